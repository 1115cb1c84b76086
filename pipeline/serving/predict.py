"""The step `predict`: predicts a user's images with the champion; logs a table and a contact sheet of the inputs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from rich.console import Console

from pipeline.data.dataset import Images, digest_of
from pipeline.errors import InputError
from pipeline.experiment import Experiment
from pipeline.serving.fit_to_frame import Frame, Invert, fit, frame_of
from pipeline.serving.inputs import read
from pipeline.session import connect
from pipeline.statistics.selective.policies import POLICIES
from pipeline.tracking import run_lock
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.names import CHAMPION, CONTACT_SHEET, PREDICTIONS_CSV, VERSION_TAG
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run
from pipeline.training.runtime import init_tensorflow

THRESHOLDS = ("min_confidence", "min_margin")
"""Policies with a threshold; a served model has params of the same names."""


def predict(
    experiment: Experiment,
    *,
    input: str | None,  # noqa: A002 - the option is called so
    version: str | None,
    policy: str | None,
    threshold: str | None,
    invert: str | None,
    console: Console,
) -> None:
    """Predicts every image of `input`; logs `predictions.csv` and `contact_sheet.png` on a run of its own."""
    if input is None or not Path(input).expanduser().exists():
        raise InputError(
            f"input is {input or 'not given'}; expected the path of an npz or IDX file, a picture or a folder"
        )
    way, params = _invert(invert), _params(policy, threshold)
    store = connect(experiment, console)
    with store_errors(store.uri):
        registry = Registry(store, experiment.name)
        asked = _version(registry, version)
        with (
            store.root(step="predict", experiment=experiment.name, tags=run_lock.owner_tag()).open() as root,
            run_lock.heartbeat(store, root),
        ):
            root.log(tags={VERSION_TAG: asked.number})
            init_tensorflow()  # before Keras is imported, which would start TensorFlow with its own settings
            line = _predict(root, registry, asked, Path(input).expanduser(), params, way)
    console.print(f"{line}; run {root.id} in {store.shown}", soft_wrap=True, markup=False)
    console.print(f"See it: predictions.csv and contact_sheet.png in {root.artifact_uri}", soft_wrap=True, markup=False)


def _invert(asked: str | None) -> Invert:
    ways: dict[str, Invert] = {way: way for way in get_args(Invert)}
    if asked is not None and asked not in ways:
        raise InputError(f"invert is {asked!r}; expected one of {', '.join(ways)}")
    return ways[asked or "auto"]


def _params(policy: str | None, threshold: str | None) -> dict[str, Any]:
    """Params of the request; without them the model uses its defaults."""
    if policy is not None and policy not in POLICIES:
        raise InputError(f"policy is {policy!r}; expected one of {', '.join(POLICIES)}")
    params: dict[str, Any] = {} if policy is None else {"policy": policy}
    if threshold is None:
        return params
    if policy not in THRESHOLDS:
        raise InputError(f"threshold is for the policies {' and '.join(THRESHOLDS)}; set policy to one of them")
    try:
        share = float(threshold)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InputError(f"threshold is {threshold!r}; expected a number from 0 to 1")
    return {**params, policy: share}


def _version(registry: Registry, number: str | None) -> Version:
    if number is not None:
        return registry.get(number)
    champion = registry.by_alias(CHAMPION)
    if champion is None:
        raise InputError(
            f"{registry.name} has no champion; create one with: mlflow run . -e retrain, or name a version: -P version=N"
        )
    return champion


def _predict(
    root: Run, registry: Registry, version: Version, path: Path, params: dict[str, Any], invert: Invert
) -> str:
    """Reads, fits and predicts the images, and logs the result; returns one line for the screen."""
    from pipeline.serving.model import load, serving  # noqa: PLC0415 - Keras

    model = load(f"models:/{registry.name}/{version.number}")
    kind = serving(model)
    frame = frame_of(np.asarray(model.input_example, np.uint8), pixel_max=kind.pixel_max)
    names, images = _read_and_fit(path, frame, invert)
    root.inputs(
        name=path.name[:500], digest=digest_of(images), context="prediction", source=str(path), shape=images.shape
    )
    table = model.predict(images, params=params)
    table.insert(0, "image", names)
    _write(root, table, images, frame, title=f"{path.name}, by version {version.number} of {registry.name}")
    accepted, confidence = float(table["accepted"].mean()), float(table["confidence"].mean())
    root.log(metrics={"images": len(table), "accepted": accepted, "confidence": confidence})
    counts = ", ".join(f"{count:,} {name}" for name, count in Counter(table["class"]).most_common(3))
    return (
        f"predict: {len(table):,} image{'s' * (len(table) != 1)} of {path.name} by version {version.number} of "
        f"{registry.name}: {int(table['accepted'].sum()):,} accepted, mean confidence {100 * confidence:.1f} %; "
        f"most often {counts}"
    )


def _read_and_fit(path: Path, frame: Frame, invert: Invert) -> tuple[list[str], Images]:
    names, images = [], []
    for picture in read(path, image_shape=frame.shape, pixel_max=frame.pixel_max):
        names.append(picture.name)
        images.append(fit(picture, frame, invert=invert))
    return names, np.stack(images)


def _write(root: Run, table: pd.DataFrame, images: Images, frame: Frame, *, title: str) -> None:
    from pipeline.figures import contact_sheet  # noqa: PLC0415 - Matplotlib
    from pipeline.figures.style import png  # noqa: PLC0415 - as above

    # A class name may contain any separator, so the list of candidates is JSON.
    candidates = table["candidates"].map(lambda names: json.dumps(list(names), ensure_ascii=False))
    root.write(PREDICTIONS_CSV, table.assign(candidates=candidates).to_csv(index=False, lineterminator="\n"))
    shown = table.head(contact_sheet.MOST)
    columns = zip(shown["image"], shown["class"], shown["confidence"], shown["accepted"], strict=True)
    answers = [contact_sheet.Answer(name, answer, float(sure), bool(taken)) for name, answer, sure, taken in columns]
    picture = contact_sheet.sheet(
        images, answers, pixel_max=frame.pixel_max, light=bool(frame.light), title=title, total=len(table)
    )
    root.write(CONTACT_SHEET, png(picture))

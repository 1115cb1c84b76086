"""The step `predict`: predicts a user's images with the champion; logs a table and a contact sheet of the inputs."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from rich.console import Console

from pipeline.data.dataset import Images, digest_of
from pipeline.data.own.parts import Form
from pipeline.data.own.pictures import Background
from pipeline.errors import InputError, as_utf8
from pipeline.experiment import Experiment, names
from pipeline.formatting import command, safe_cell
from pipeline.paths import user_path
from pipeline.serving.inputs import Picture, Unreadable, read
from pipeline.serving.resize import Frame, Invert, resize
from pipeline.session import connect
from pipeline.statistics.selective.policies import POLICIES
from pipeline.tracking import run_lock
from pipeline.tracking.connection.health import store_errors
from pipeline.tracking.connection.masking import shown
from pipeline.tracking.names import CHAMPION, CONTACT_SHEET, MODEL_PREFIX, PREDICTIONS_CSV, VERSION_TAG
from pipeline.tracking.registry import Registry, Version
from pipeline.tracking.store import Run
from pipeline.training.runtime import init_tensorflow

THRESHOLDS = ("min_confidence", "min_margin")
"""Policies with a threshold; a served model has params of the same names."""
MOST_SHOWN = 10
"""Pictures that cannot be read and are named on the screen; all of them are in the table."""


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
    path = user_path(input, name="input") if input else None
    if path is None or not path.exists():
        given = f"{input}: there is no file or folder {path.absolute()}" if path else "not given"
        raise InputError(
            f"input is {given}; expected the path of an npz, IDX, CSV or Parquet file, a picture or a folder"
        )
    way, params = _invert(invert), _params(policy, threshold)
    store = connect(experiment, console)
    with store_errors(store.uri):
        registry = Registry(store, experiment.name)
        asked = _version(registry, version)
        with run_lock.root_run(store, step="predict", experiment=experiment.name) as root:
            root.log(tags={VERSION_TAG: asked.number})
            init_tensorflow()  # before Keras is imported, which would start TensorFlow with its own settings
            lines = _predict(root, registry, asked, path, params, way)
    *unread, line = lines
    for each in unread:
        console.print(each, soft_wrap=True, markup=False)
    console.print(f"{line}; run {root.id} in {store.shown}", soft_wrap=True, markup=False)
    console.print(
        f"See it: predictions.csv and contact_sheet.png in {shown(root.artifact_uri)}", soft_wrap=True, markup=False
    )


def _invert(asked: str | None) -> Invert | None:
    """None if nothing is asked."""
    ways: dict[str, Invert] = {way: way for way in get_args(Invert)}
    if asked is not None and asked not in ways:
        raise InputError(f"invert is {asked!r}; expected one of {', '.join(ways)}")
    return None if asked is None else ways[asked]


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
        experiment = registry.name.removeprefix(MODEL_PREFIX)
        raise InputError(
            f"{registry.name} has no champion; name a version (-P version=N), or create one with: "
            + command("retrain", experiment, known=experiment in names())
        )
    return champion


def _predict(
    root: Run, registry: Registry, version: Version, path: Path, params: dict[str, Any], invert: Invert | None
) -> list[str]:
    """Reads, fits and predicts the images, and logs the result; returns the lines for the screen."""
    from pipeline.serving.model import frame, load, serving  # noqa: PLC0415 - Keras

    model = registry.read(lambda: load(f"models:/{registry.name}/{version.number}"))
    expected = frame(model)
    given = read_and_resize(path, expected, serving(model).read_as, invert)
    shown, images = as_utf8(path.absolute().name), given.images
    root.inputs(
        name=shown[:500] or "/",
        digest=digest_of(images),
        context="prediction",
        source=as_utf8(str(path)),
        shape=images.shape,
    )
    answers = model.predict(images, params=params)
    by = f"version {version.number} of {registry.name}"
    _write(root, given, answers, expected, title=f"{shown}, by {by}")
    accepted, confidence = float(answers["accepted"].mean()), float(answers["confidence"].mean())
    unread = [reason for reason in given.errors if reason]
    counted = {"images": len(answers), "unreadable": len(unread)}
    root.log(metrics={**counted, "accepted": accepted, "confidence": confidence})
    counts = ", ".join(f"{name} ({count:,})" for name, count in Counter(answers["class"]).most_common(3))
    return [
        *_few(unread),
        f"predict: {len(answers):,} image{'s' * (len(answers) != 1)} of {shown} by {by}: "
        f"{int(answers['accepted'].sum()):,} accepted, mean confidence {100 * confidence:.1f} %; most often {counts}"
        + (f"; {len(unread):,} could not be read" if unread else ""),
    ]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The images of a path, in order."""

    names: list[str]
    """One per image, read or not."""
    errors: list[str]
    """Why an image cannot be read; empty for one that is."""
    images: Images
    """Those that are read, fitted to the network."""


def read_and_resize(path: Path, frame: Frame, read_as: Form | None, invert: Invert | None) -> Inputs:
    """The user's own data become what they were in training: nothing is inverted unless it is asked for."""
    names, errors, images = [], [], []
    behind: Background = "black" if frame.light is False else "white"
    way = invert or ("auto" if read_as is None else "no")
    for picture in read(path, image_shape=frame.shape, pixel_max=frame.pixel_max, background=behind, read_as=read_as):
        names.append(picture.name)
        errors.append(picture.reason if isinstance(picture, Unreadable) else "")
        if isinstance(picture, Picture):
            images.append(resize(picture, frame, invert=way))
    if not images:
        raise InputError(f"input is {path}: none of {len(names):,} pictures can be read; the first: {errors[0]}")
    return Inputs(names, errors, np.stack(images))


def _few(reasons: list[str]) -> list[str]:
    more = len(reasons) - MOST_SHOWN
    return reasons[:MOST_SHOWN] + [f"{more:,} more cannot be read: see {PREDICTIONS_CSV}"] * (more > 0)


def table_of(given: Inputs, answers: pd.DataFrame) -> pd.DataFrame:
    """One row per image. An image that cannot be read has its reason in `error`, no candidates, and is not accepted; its
    other columns are empty.
    """
    read_rows = [row for row, reason in enumerate(given.errors) if not reason]
    # A class name may contain any separator, so the list of candidates is JSON.
    candidates = [json.dumps(list(names), ensure_ascii=False) for names in answers["candidates"]]
    types = {"label": "Int64", "accepted": "boolean"}  # these can be empty
    rows = answers.assign(candidates=candidates).astype(types).set_index(pd.Index(read_rows))
    table = rows.reindex(range(len(given.names))).fillna({"accepted": False, "candidates": "[]"})
    table.insert(0, "image", given.names)
    return table.assign(error=given.errors)


def _write(root: Run, given: Inputs, answers: pd.DataFrame, frame: Frame, *, title: str) -> None:
    from pipeline.figures import contact_sheet  # noqa: PLC0415 - Matplotlib
    from pipeline.figures.style import png  # noqa: PLC0415 - as above

    table = table_of(given, answers)
    cells = {column: table[column].map(safe_cell, na_action="ignore") for column in ("image", "class", "error")}
    root.write(PREDICTIONS_CSV, table.assign(**cells).to_csv(index=False, lineterminator="\n"))
    shown = table[table["error"] == ""].head(contact_sheet.MOST)
    columns = zip(shown["image"], shown["class"], shown["confidence"], shown["accepted"], strict=True)
    captions = [contact_sheet.Answer(name, answer, float(sure), bool(taken)) for name, answer, sure, taken in columns]
    picture = contact_sheet.sheet(
        given.images,
        captions,
        pixel_max=frame.pixel_max,
        light=frame.light is not False,
        title=title,
        total=len(answers),
    )
    root.write(CONTACT_SHEET, png(picture))

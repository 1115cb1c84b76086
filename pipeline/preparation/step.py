"""The step `prepare`: explores the data and records them as inputs."""

import re

import numpy as np

from pipeline.data.dataset import DatasetFacts
from pipeline.data.exploration import explore
from pipeline.figures import exploration as pictures
from pipeline.figures.style import png
from pipeline.formatting import few, safe_cell
from pipeline.session import PreparedData, Session
from pipeline.statistics.data_quality.imbalance import imbalance
from pipeline.tracking.names import (
    CLASS_COUNTS_CSV,
    CLASS_COUNTS_PNG,
    DATA_CSV,
    INTENSITIES_PNG,
    PIXEL_RANGE_PNG,
    SAMPLES,
)
from pipeline.tracking.store import Run

MOST_LETTERS = 100
"""Of a class name in the name of a file, which may have 255."""


def prepare(session: Session, run: Run) -> None:
    """Records the exploration: tables, pictures and counts."""
    prepared = session.prepared
    run.log(tags=prepared.tags)
    record_inputs(run, prepared)
    split = prepared.split
    exploration = explore(prepared.dataset, split)
    table, counts = exploration.table, exploration.class_counts
    run.write(DATA_CSV, table.assign(value=[safe_cell(str(value)) for value in table["value"]]).to_csv(index=False))
    run.write(CLASS_COUNTS_CSV, counts.set_index(counts.index.map(safe_cell)).to_csv())
    for name, figure in (
        (PIXEL_RANGE_PNG, pictures.pixel_range(exploration)),
        (INTENSITIES_PNG, pictures.intensities(exploration)),
        (CLASS_COUNTS_PNG, pictures.class_counts(exploration)),
    ):
        run.write(name, png(figure))
    for label, class_name in enumerate(split.class_names):
        rows = np.flatnonzero(split.train.labels == label)
        shown = split.train.images[rows[: pictures.SAMPLES]]
        figure = pictures.samples(shown, class_name, pixel_max=split.pixel_max, count=len(rows))
        run.write(f"{SAMPLES}/{label}_{re.sub('[^A-Za-z0-9]+', '_', class_name)[:MOST_LETTERS]}.png", png(figure))
    shares = imbalance(split.train.labels, split.class_names)
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in split.parts())
    run.log(
        metrics={f"images_{name}": len(part) for name, part in split.parts()}
        | {"largest_class_rate": shares.largest_rate}
        | {f"duplicates_{pair.replace('/', '_')}": count for pair, count in exploration.duplicates.items()}
    )
    duplicates = ", ".join(f"{count} {pair}" for pair, count in exploration.duplicates.items())
    single = _single_test_images(prepared)
    converted = f" Converted: {'; '.join(prepared.dataset.notes)}." if prepared.dataset.notes else ""
    run.note(
        f"{prepared.dataset.name}: {sizes}. Exact duplicates across the parts: {duplicates}. Training images: {shares.text}."
        f"{converted}{f' {single}.' if single else ''}"
    )
    session.say(
        f"data: {prepared.dataset.name} from {prepared.dataset.source}; {sizes}; duplicates: {duplicates}; "
        f"{shares.text}{f'; {single}' if single else ''}"
    )


def _single_test_images(prepared: PreparedData) -> str:
    """A remark on classes of the user's own data whose only test image was held out by its hash; empty if there are none."""
    dataset, split = prepared.dataset, prepared.split
    facts = dataset if isinstance(dataset, DatasetFacts) else dataset.facts
    if facts.name != "own" or "test" in facts.parts:
        return ""
    counts = np.bincount(split.test.labels, minlength=split.classes)
    names = [split.class_names[label] for label in np.flatnonzero(counts == 1)]
    if not names:
        return ""
    return (
        f"{len(names)} {'classes have' if len(names) > 1 else 'class has'} a single test image ({few(names)}): if it is "
        "removed or relabelled, an image that was trained on takes its place"
    )


def record_inputs(run: Run, prepared: PreparedData) -> None:
    """Records the three parts as MLflow inputs with their contexts."""
    dataset, split = prepared.dataset, prepared.split
    for context, part in (("training", split.train), ("validation", split.validation), ("test", split.test)):
        run.inputs(
            name=dataset.name,
            digest=prepared.digest_of(part),
            context=context,
            source=dataset.source,
            shape=part.images.shape,
        )

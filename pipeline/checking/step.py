"""The step `check`: what is there, what was converted, and what looks wrong."""

import pandas as pd

from pipeline.checking.findings import Findings, examine
from pipeline.checking.page import page, summary
from pipeline.data.exploration import explore
from pipeline.formatting import safe_cell
from pipeline.preparation.step import record_inputs
from pipeline.session import Session
from pipeline.tracking.names import CHECK_HTML, DUPLICATES_CSV, SUSPECT_LABELS_CSV
from pipeline.tracking.store import Run


def check(session: Session, run: Run) -> None:
    """Judges the data and writes `check.html` with its tables; nothing is trained that is kept."""
    prepared = session.prepared
    run.log(tags=prepared.tags)
    record_inputs(run, prepared)
    split = prepared.split
    found = examine(split, explore(prepared.dataset, split), prepared.dataset.notes, seed=session.experiment.data.seed)
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in split.parts())
    facts = [("data", f"{prepared.dataset.name} from {prepared.dataset.source}"), ("images", sizes), ("run", run.id)]
    run.write(CHECK_HTML, page(found, prepared, name=session.experiment.name, facts=facts))
    run.write(DUPLICATES_CSV, _cells(found.duplicates_table(prepared.source_of)).to_csv(index=False))
    labels = found.labels_table(split.class_names, prepared.source_of)
    run.write(SUSPECT_LABELS_CSV, _cells(labels).to_csv(index=False))
    run.log(metrics=found.metrics())
    run.note(summary(found))
    _say(session, run, found, sizes)


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    """The table with names that no spreadsheet runs as a formula."""
    texts = [name for name in ("image", "other_image", "label", "suggested") if name in table]
    return table.assign(**{name: table[name].map(safe_cell) for name in texts})


def _say(session: Session, run: Run, found: Findings, sizes: str) -> None:
    dataset = session.prepared.dataset
    session.say(f"data: {dataset.name} from {dataset.source}; {sizes}")
    for overlap in found.overlaps:
        if overlap.twins:
            session.say(
                f"check: {overlap.exact:,} images of {overlap.later} occur in {overlap.earlier}, {overlap.near:,} are "
                "near-duplicates of one"
            )
    session.say(f"check: {summary(found)}")
    session.say(f"Page: {run.artifact_place(CHECK_HTML)}")

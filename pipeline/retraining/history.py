"""What a night leaves beside its decision: figures, the control chart, and drift of the data since the champion's.

Enters: a decision and the earlier nights of the store. Leaves: metrics, pictures and warnings on the retrain run.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pipeline.data.dataset import Images, Labels
from pipeline.data.split import Split
from pipeline.errors import InputError
from pipeline.figures import control_chart as control_figure
from pipeline.figures import drift as drift_figure
from pipeline.figures.style import png
from pipeline.retraining.challenger import Challenger
from pipeline.retraining.decision import Condition, Decision, Figures
from pipeline.session import Session
from pipeline.statistics.monitoring.control_chart import Night, Scores, beyond, chart
from pipeline.statistics.monitoring.drift import SIZES, drift, sentence, table
from pipeline.tracking.names import REFERENCE, RETRAIN_RUN_TAG, WARNING_TAG
from pipeline.tracking.registry import Version
from pipeline.tracking.store import Run

MOST_REFERENCE = 5000
"""Training images that later nights are compared with, and how many at most."""
FIGURES = ("accuracy", "loss", "accuracy_gap")


@dataclass(frozen=True)
class DriftCheck:
    """How the data differ from those that the champion was trained on."""

    warnings: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    """For a gate that is to refuse drift."""


@dataclass(frozen=True, eq=False)
class JudgedChallenger:
    """A challenger, and what it was judged against."""

    version: Version
    champion: Version | None
    challenger: Challenger
    decision: Decision


def log_monitoring(session: Session, root: Run, judged: JudgedChallenger, warnings: Sequence[str]) -> list[str]:
    """Writes all of it on the retrain run; warnings are said, tagged and returned."""
    decision = judged.decision
    root.log(metrics=_metrics("challenger", decision.challenger) | _metrics("champion", decision.champion))
    root.log(metrics={name: summary.mean for name, summary in judged.challenger.group.summaries.items()})
    buffer = io.BytesIO()
    images, labels = _sample(session.prepared.split, session.experiment.data.seed)
    np.savez_compressed(buffer, images=images, labels=labels)
    root.write(REFERENCE, buffer.getvalue())
    warnings = [*_charted(session, root, judged), *warnings]
    for warning in warnings:
        session.say(f"retrain: warning: {warning}")
    if warnings:
        root.log(tags={WARNING_TAG: "; ".join(warnings)})
    return warnings


def _metrics(role: str, figures: Figures | None) -> dict[str, float]:
    if figures is None:
        return {}
    return {f"{role}/{name}": getattr(figures, name) for name in (*FIGURES, "loss_gap", "calibration_error")}


def _charted(session: Session, root: Run, judged: JudgedChallenger) -> list[str]:
    """The control chart over all nights of this experiment in the store."""
    champion, decision = judged.champion, judged.decision
    now = datetime.fromtimestamp(root.start_time_ms / 1000, UTC)
    seen = [night for run in session.store.runs(step="retrain", experiment=session.experiment.name) if run.id != root.id
            for night in _of_run(run)]  # fmt: skip
    seen.append(Night(now, "challenger", f"version {judged.version.number}", _scores(decision.challenger)))
    if champion is not None and decision.champion is not None:
        seen.append(Night(now, "champion", f"version {champion.number}", _scores(decision.champion)))
    charted = chart(seen, judged.challenger.scores)
    root.write("control.png", png(control_figure.control(charted)))
    return beyond(charted)


def _of_run(run: Run) -> list[Night]:
    """What an earlier night recorded."""
    when = datetime.fromtimestamp(run.start_time_ms / 1000, UTC)
    found = []
    for role in ("champion", "challenger"):
        values = [run.metrics.get(f"{role}/{name}") for name in FIGURES]
        if all(value is not None for value in values):
            found.append(Night(when, role, f"{role} of {when:%Y-%m-%d}", Scores(*values)))  # type: ignore[arg-type]  # none is None
    return found


def _scores(figures: Figures) -> Scores:
    return Scores(figures.accuracy, figures.loss, figures.accuracy_gap)


def drifted(session: Session, root: Run, champion: Version) -> DriftCheck:
    """Whether the images differ from those that the champion was trained on; leaves a table and a picture."""
    split = session.prepared.split
    try:
        before = np.load(io.BytesIO(session.store.get(champion.tags[RETRAIN_RUN_TAG]).read(REFERENCE)))
    except InputError:
        told = "the sample of the champion's images is gone: drift cannot be told"
        return DriftCheck((told,), (Condition("no drift", met=False, figure=math.nan, bound=math.nan, sentence=told),))
    then: tuple[Images, Labels] = before["images"], before["labels"]
    flattered = _flattered(champion, then[0], split)
    seed = session.experiment.data.seed
    found = drift(then, _sample(split, seed), split.class_names, pixel_max=split.pixel_max, seed=seed)
    root.write("drift.csv", table(found).to_csv(index=False))
    root.write("drift.png", png(drift_figure.drift(found)))
    worst = max(found.findings, key=lambda each: (each.warning, each.size))
    condition = Condition("no drift", not found.warning, worst.size, SIZES[worst.what], sentence(found))
    return DriftCheck((*flattered, sentence(found)) if found.warning else tuple(flattered), (condition,))


def _flattered(champion: Version, then: Images, split: Split) -> list[str]:
    """Whether test images are among those that the champion was trained on, duplicates of what the challenger was trained
    on aside.
    """
    theirs, ours = ({image.tobytes() for image in images} for images in (then, split.train.images))
    only_theirs = theirs - ours
    known = sum(image.tobytes() in only_theirs for image in split.test.images)
    if not known:
        return []
    told = (
        f"champion version {champion.number} was trained on {known} or more of the {len(split.test)} test images, which "
        "flatters it: it will be kept too readily. Are data.seed and data.test what they were?"
    )
    return [told]


def _sample(split: Split, seed: int) -> tuple[Images, Labels]:
    """Training images and labels, drawn without replacement."""
    rows = np.random.default_rng(seed).permutation(len(split.train))[:MOST_REFERENCE]
    return split.train.images[rows], split.train.labels[rows]

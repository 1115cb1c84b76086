"""Monitoring of retraining runs: metrics, control chart over all runs, and drift since the champion was trained."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np

from pipeline.data.split import Split
from pipeline.figures import control_chart as control_figure
from pipeline.figures import drift as drift_figure
from pipeline.figures.style import png
from pipeline.formatting import few
from pipeline.retraining import drift_reference
from pipeline.retraining.challenger import Challenger
from pipeline.retraining.decision import Condition, Decision
from pipeline.retraining.drift_reference import NoReferenceError
from pipeline.retraining.model_metrics import ModelMetrics
from pipeline.session import Session
from pipeline.statistics.monitoring.control_chart import ChartPoint, ModelScores, control_chart, limit_warnings
from pipeline.statistics.monitoring.drift import SIZES, drift, drift_sentence, drift_table
from pipeline.statistics.monitoring.image_features import ImageFeatures, digests
from pipeline.tracking.names import CONTROL_PNG, DRIFT_CSV, DRIFT_PNG, WARNING_TAG
from pipeline.tracking.registry import Version
from pipeline.tracking.store import Run

CHARTED = ("accuracy", "loss", "accuracy_gap")


@dataclass(frozen=True)
class DriftCheck:
    """Whether the data have drifted since the champion was trained."""

    warnings: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    """For the gate, if it must refuse drift."""


@dataclass(frozen=True, eq=False)
class JudgedChallenger:
    """A challenger, the champion it was compared with, and the decision."""

    version: Version
    champion: Version | None
    challenger: Challenger
    decision: Decision


def log_monitoring(session: Session, root: Run, judged: JudgedChallenger, warnings: Sequence[str]) -> list[str]:
    """Logs metrics and control chart on the retrain run; prints, tags and returns the warnings."""
    decision = judged.decision
    root.log(metrics=_metrics("challenger", decision.challenger) | _metrics("champion", decision.champion))
    root.log(metrics={name: summary.mean for name, summary in judged.challenger.group.summaries.items()})
    warnings = [*_control_chart(session, root, judged), *warnings]
    for warning in warnings:
        session.say(f"retrain: warning: {warning}")
    tag_warnings(root, warnings)
    return warnings


def tag_warnings(root: Run, warnings: Sequence[str]) -> None:
    """Tags the run with these warnings alone: those of a refit that was not promoted say nothing of the search after it."""
    if warnings:
        root.log(tags={WARNING_TAG: "; ".join(warnings)})
    elif WARNING_TAG in root.tags:
        root.remove(WARNING_TAG)


def _metrics(role: str, metrics: ModelMetrics | None) -> dict[str, float]:
    return {} if metrics is None else {f"{role}/{name}": value for name, value in asdict(metrics).items()}


def _control_chart(session: Session, root: Run, judged: JudgedChallenger) -> list[str]:
    """Draws the control chart over all retraining runs of this experiment; returns the values beyond its limits."""
    champion, decision = judged.champion, judged.decision
    now = datetime.fromtimestamp(root.start_time_ms / 1000, UTC)
    points = [point for run in session.store.runs(step="retrain", experiment=session.experiment.name) if run.id != root.id
            for point in _of_run(run)]  # fmt: skip
    points.append(ChartPoint(now, "challenger", f"version {judged.version.number}", decision.challenger))
    if champion is not None and decision.champion is not None:
        points.append(ChartPoint(now, "champion", f"version {champion.number}", decision.champion))
    charted = control_chart(points, judged.challenger.scores)
    root.write(CONTROL_PNG, png(control_figure.control_chart(charted)))
    return limit_warnings(charted)


def _of_run(run: Run) -> list[ChartPoint]:
    """What an earlier run recorded."""
    when = datetime.fromtimestamp(run.start_time_ms / 1000, UTC)
    found = []
    for role in ("champion", "challenger"):
        values = [run.metrics.get(f"{role}/{name}") for name in CHARTED]
        if all(value is not None for value in values):
            found.append(ChartPoint(when, role, f"{role} of {when:%Y-%m-%d}", ModelScores(*values)))  # type: ignore[arg-type]  # none is None
    return found


def unseen_classes(split: Split) -> list[str]:
    """A warning if classes have no test images: the gate cannot judge them."""
    counts = np.bincount(split.test.labels, minlength=len(split.class_names))
    unseen = [name for name, count in zip(split.class_names, counts, strict=True) if not count]
    if not unseen:
        return []
    return [
        f"no test images of {few(unseen)}, so a loss of recall there is not seen; add images of them, or raise data.test"
    ]


def check_drift(session: Session, root: Run, champion: Version) -> DriftCheck:
    """Compares the images with those that the champion was trained on; logs a table and a picture."""
    split, seed = session.prepared.split, session.experiment.data.seed
    try:
        before = drift_reference.read(session.store, champion, split)
    except NoReferenceError as error:
        text = f"drift cannot be measured: {error}"
        return DriftCheck((text,), (Condition("no drift", met=False, figure=math.nan, bound=math.nan, sentence=text),))
    warnings = []
    if leaked := leaked_test_images(before, split):
        warnings.append(
            f"champion version {champion.number} was trained on at least {leaked} of the {len(split.test)} test images, so "
            "its test accuracy is too high; were data.seed or data.test changed?"
        )
    found = drift(before, drift_reference.sample(split, seed), split.class_names, seed=seed)
    root.write(DRIFT_CSV, drift_table(found).to_csv(index=False))
    root.write(DRIFT_PNG, png(drift_figure.drift(found)))
    worst = max(found.tests, key=lambda each: (each.warning, each.size))
    condition = Condition("no drift", not found.warning, worst.size, SIZES[worst.what], drift_sentence(found))
    if found.warning:
        warnings.append(drift_sentence(found))
    return DriftCheck(tuple(warnings), (condition,))


def leaked_test_images(trained_on: ImageFeatures, split: Split) -> int:
    """Number of test images among those that the champion was trained on. Duplicates of current training images do not
    count: the challenger was trained on them too.
    """
    only_theirs = set(trained_on.digests.tolist()) - set(digests(split.train.images).tolist())
    return sum(each in only_theirs for each in digests(split.test.images).tolist())

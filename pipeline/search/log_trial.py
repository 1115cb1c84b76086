"""Logs one trained network to a run: what every trial and refit holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.data.split import Split
from pipeline.models.dense import DenseSpec, dense
from pipeline.statistics import trial_metrics
from pipeline.tracking.names import NETWORK_TXT
from pipeline.tracking.store import Point, Run
from pipeline.training.result import TrialResult


@dataclass(frozen=True)
class Logged:
    """What a trained network leaves in its run."""

    metrics: Mapping[str, float]
    series: Sequence[tuple[str, float, int]]
    """Metric, value and epoch."""
    artifacts: Mapping[str, bytes]
    """Content by path."""


def logged(result: TrialResult, split: Split, pictures: Mapping[str, bytes], *, seconds: float) -> Logged:
    """Curves, scores, gaps and pictures of a trained network, with its wall-clock seconds including pictures."""
    table = result.layers or describe(dense(result.recipe.spec), split)
    return Logged(
        metrics={name: float(value) for name, value in trial_metrics.trial_metrics(result).items()}
        | dict(result.class_metrics)
        | {"seconds": seconds},
        series=[(name, float(value), epoch) for name, value, epoch in trial_metrics.epoch_metrics(result)],
        artifacts={**pictures, NETWORK_TXT: table.encode()},
    )


def log_result(run: Run, result: TrialResult, split: Split, pictures: Mapping[str, bytes], *, seconds: float) -> None:
    """Writes what `logged` returns to a run, which stays open."""
    content = logged(result, split, pictures, seconds=seconds)
    run.log(metrics=content.metrics, series=(Point(*each) for each in content.series))
    for name, artifact in content.artifacts.items():
        run.write(name, artifact)


def describe(spec: DenseSpec, split: Split) -> str:
    """The network as a text table of its layers."""
    rows = [
        ("layer", "output", "parameters"),
        (f"input {'x'.join(map(str, split.image_shape))}, divided by {split.pixel_max}", str(split.inputs), "0"),
    ]
    sizes = (split.inputs, *spec.hidden, split.classes)
    activations = (*spec.activations, "softmax")
    for place, (before, after) in enumerate(pairwise(sizes)):
        if spec.dropout[place]:
            rows.append((f"dropout {spec.dropout[place]:g}", str(before), "0"))
        normalization = spec.normalization if place < len(spec.hidden) else "none"
        biases = 0 if normalization == "batch" else after
        count = f"{before * after + biases:,}"
        if normalization == "none":
            rows.append((f"dense {activations[place]}", str(after), count))
        else:
            rows += [
                ("dense", str(after), count),
                (f"{normalization} normalization", str(after), f"{2 * after:,}"),
                (activations[place], str(after), "0"),
            ]
    total = spec.parameters(split.inputs, split.classes)
    lines = [f"{layer:<36}{output:>8}{count:>14}" for layer, output, count in rows]
    return "\n".join(
        (spec.architecture(split.inputs, split.classes), "", *lines, f"{'all':<36}{'':>8}{total:>14,}", "")
    )

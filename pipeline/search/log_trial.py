"""Logs one trained network to a run: what every trial and refit holds."""

from collections.abc import Mapping
from itertools import pairwise

from pipeline.data.split import Split
from pipeline.models.dense import DenseSpec, dense
from pipeline.statistics import trial_metrics
from pipeline.tracking.names import NETWORK_TXT
from pipeline.tracking.store import Point, Run
from pipeline.training.result import TrialResult


def log_result(run: Run, result: TrialResult, split: Split, pictures: Mapping[str, bytes], *, seconds: float) -> None:
    """Logs curves, scores, gaps and pictures of a trained network, with its wall-clock seconds including pictures. The
    run stays open.
    """
    run.log(
        metrics={**trial_metrics.trial_metrics(result), "seconds": seconds},
        series=(Point(*each) for each in trial_metrics.epoch_metrics(result)),
    )
    for name, content in pictures.items():
        run.write(name, content)
    run.write(NETWORK_TXT, describe(dense(result.recipe.spec), split))


def describe(spec: DenseSpec, split: Split) -> str:
    """The network as a text table of its layers."""
    height, width = split.train.images.shape[1:]
    rows = [
        ("layer", "output", "parameters"),
        (f"input {height}x{width}, divided by {split.pixel_max}", str(split.inputs), "0"),
    ]
    sizes = (split.inputs, *spec.hidden, split.classes)
    activations = (*spec.activations, "softmax")
    for place, (before, after) in enumerate(pairwise(sizes)):
        if spec.dropout[place]:
            rows.append((f"dropout {spec.dropout[place]:g}", str(before), "0"))
        rows.append((f"dense {activations[place]}", str(after), f"{(before + 1) * after:,}"))
    total = spec.parameters(split.inputs, split.classes)
    lines = [f"{layer:<36}{output:>8}{count:>14}" for layer, output, count in rows]
    return "\n".join(
        (spec.architecture(split.inputs, split.classes), "", *lines, f"{'all':<36}{'':>8}{total:>14,}", "")
    )

"""One trained network into one run, by the names of the contract. Owns what a trial's and a refit's run hold."""

import json
from collections.abc import Mapping
from itertools import pairwise

from pipeline.data.split import Split
from pipeline.experiment import Training
from pipeline.findings import metrics
from pipeline.network.result import TrialResult
from pipeline.network.spec import NetworkSpec
from pipeline.tracking.store import Point, Run

NETWORK_TAG = "narrowgap.network"
"""The specification as JSON: what a later step rebuilds the network from."""


def trial_params(spec: NetworkSpec, settings: Training, seed: int, split: Split) -> dict[str, str | int | float]:
    """What is known of a trial before it is trained."""
    layers = range(1, len(spec.hidden) + 1)
    return {
        "depth": len(spec.hidden),
        **{f"hidden_{layer}": spec.hidden[layer - 1] for layer in layers},
        **{f"dropout_{place}": rate for place, rate in enumerate(spec.dropout)},
        "activations": ",".join(spec.activations),
        "parameters": spec.parameters(split.inputs, split.classes),
        "seed": seed,
        "architecture": spec.architecture(split.inputs, split.classes),
        **{key: str(value) if value is None else value for key, value in settings.model_dump().items()},
    }


def network_tag(spec: NetworkSpec) -> dict[str, str]:
    content = {"hidden": spec.hidden, "dropout": spec.dropout, "activations": spec.activations}
    return {NETWORK_TAG: json.dumps(content)}


def network_of(tags: Mapping[str, str]) -> NetworkSpec:
    """The specification that `network_tag` wrote."""
    content = json.loads(tags[NETWORK_TAG])
    return NetworkSpec(tuple(content["hidden"]), tuple(content["dropout"]), tuple(content["activations"]))


def trained(run: Run, result: TrialResult, split: Split, pictures: Mapping[str, bytes], *, seconds: float) -> None:
    """Writes curves, scores, gaps and pictures of one trained network, and its wall clock, pictures included; the run
    stays open.
    """
    run.log(
        metrics={**metrics.trial_metrics(result), "seconds": seconds},
        series=(Point(*each) for each in metrics.epoch_metrics(result)),
    )
    for name, content in pictures.items():
        run.write(name, content)
    run.write("network.txt", describe(result.spec, split))


def describe(spec: NetworkSpec, split: Split) -> str:
    """The network as a table of layers for people."""
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

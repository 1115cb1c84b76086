"""One trained network into one run, by the names of the contract. Owns what a trial's and a refit's run hold."""

import json
from collections.abc import Mapping
from itertools import pairwise

from pipeline.data.split import Split
from pipeline.findings import metrics
from pipeline.network.recipe import Recipe
from pipeline.network.result import TrialResult
from pipeline.network.spec import NetworkSpec
from pipeline.tracking.store import Point, Run

NETWORK_TAG, RECIPE_TAG = "narrowgap.network", "narrowgap.recipe"
"""The network alone, and the network with its own training settings, as JSON. The second is what a later step trains
again; runs and versions of Narrowgap 0.1 have the first only.
"""


def recipe_tags(recipe: Recipe) -> dict[str, str]:
    """The tags from which `recipe_of` makes the recipe again."""
    return {NETWORK_TAG: json.dumps(recipe.spec.to_dict()), RECIPE_TAG: recipe.to_json()}


def recipe_of(tags: Mapping[str, str]) -> Recipe:
    """The recipe of a run or a version. One that has the older tag alone has no training settings of its own."""
    if RECIPE_TAG in tags:
        return Recipe.from_json(tags[RECIPE_TAG])
    return Recipe(NetworkSpec.from_dict(json.loads(tags[NETWORK_TAG])))


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
    run.write("network.txt", describe(result.recipe.spec, split))


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

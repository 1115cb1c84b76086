"""Who is trained again. Enters: a search and its trials. Leaves: finalists, the references beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.experiment import Experiment, FixedNetwork, Published, Training
from pipeline.models.dense import DenseSpec, notebook_network
from pipeline.models.recipe import Recipe
from pipeline.models.spec import ModelSpec
from pipeline.search.trials import Trial, fully_trained
from pipeline.statistics.selection import ranked

BASELINE, NOTEBOOK = "baseline", "notebook, dropout"
NOTEBOOK_DROPOUT = (0.0, 0.0, 0.1, 0.0)


@dataclass(frozen=True)
class Finalist:
    """One network to train again, with every seed."""

    role: str
    """`finalist 1`… in the order of the search's selection, `network 1`… of fixed ones by their place in the experiment's
    file, `baseline` (without dropout), or `notebook, dropout`. No other has the same."""
    recipe: Recipe
    settings: Training
    """The recipe's, resolved with the experiment's."""
    at_selection: float | None = None
    """Its validation accuracy in the search, by which it came here; None where it was not selected, or where Hyperband had
    stopped it early: another training's accuracy is not to be compared with."""
    reference: bool = False
    """Whether it is only compared with, and cannot be chosen."""
    published: Published | None = None
    """What others report of it."""


def finalists(experiment: Experiment, found: Sequence[Trial], validation_size: int) -> list[Finalist]:
    """All of the fixed networks that were trained; or else the search's best by the experiment's rule, and after them the
    notebook's two networks, which no space has: their layers differ in activation.
    """
    if experiment.space.networks is not None:
        return _fixed(experiment.space.networks, experiment.training, found)
    full = {trial.number for trial in fully_trained(found)}
    best = [
        Finalist(
            f"finalist {rank}",
            trial.recipe,
            trial.recipe.settings(experiment.training),
            trial.run.metrics["val_accuracy"] if trial.number in full else None,
        )
        for rank, trial in enumerate(_best(experiment, found, validation_size), start=1)
    ]
    references = ((BASELINE, notebook_network()), (NOTEBOOK, notebook_network(dropout=NOTEBOOK_DROPOUT)))
    return best + [Finalist(role, Recipe(spec), experiment.training, reference=True) for role, spec in references]


def _best(experiment: Experiment, found: Sequence[Trial], validation_size: int) -> list[Trial]:
    """As many trials as there are to be finalists, no two of the same recipe: Hyperband trains one several times. Those
    that it stopped early, whose gap is small because they were, come only where there are too few others.
    """
    rule, tolerance = experiment.selection.rule, experiment.selection.tolerance
    full = fully_trained(found)
    numbers = {trial.number for trial in full}
    best: dict[Recipe, Trial] = {}
    for those in (full, [trial for trial in found if trial.number not in numbers]):
        candidates = [trial.candidate() for trial in those]
        for place in ranked(candidates, rule, validation_size=validation_size, tolerance=tolerance):
            if len(best) < experiment.evaluation.finalists:
                best.setdefault(those[place].recipe, those[place])
    return list(best.values())


def _fixed(networks: Sequence[FixedNetwork], training: Training, found: Sequence[Trial]) -> list[Finalist]:
    """In the order of the experiment's file, each with the settings that it was searched with."""
    fixed: list[Finalist] = []
    for place in sorted({trial.proposed["network"] for trial in found}):
        network = networks[place]
        recipe, taken = Recipe(DenseSpec.of(network), network.training), {each.role for each in fixed}
        role = next((each for each in _known(recipe.spec) if each not in taken), f"network {place + 1}")
        fixed.append(Finalist(role, recipe, recipe.settings(training), published=network.published))
    return fixed


def _known(spec: ModelSpec) -> list[str]:
    """The role of a network that others are compared with."""
    if not spec.has_dropout:
        return [BASELINE]
    return [NOTEBOOK] if spec == notebook_network(dropout=NOTEBOOK_DROPOUT) else []

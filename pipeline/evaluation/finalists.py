"""Selects what is refitted: the finalists of a search, and the reference networks beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.experiment import Experiment, FixedNetwork, Published, Training, TrainingOverrides
from pipeline.models.dense import DenseSpec, notebook_network
from pipeline.models.recipe import Recipe
from pipeline.models.spec import ModelSpec
from pipeline.search.trials import Trial, fully_trained
from pipeline.statistics.selection import ranked

BASELINE, NOTEBOOK = "baseline", "notebook, dropout"
NOTEBOOK_DROPOUT = (0.0, 0.0, 0.1, 0.0)


def label(role: str) -> str:
    """A role as people read it: in a list, the comma of the stored one would separate."""
    return "notebook with dropout" if role == NOTEBOOK else role


def in_sentence(role: str) -> str:
    """The same with its article, such as `the baseline`."""
    return f"the {label(role)}" if role in {BASELINE, NOTEBOOK} else role


@dataclass(frozen=True)
class Finalist:
    """One network to retrain with every seed."""

    role: str
    """`finalist 1`… in the order of the search's selection, `network 1`… of fixed ones by their place in the experiment's
    file, `baseline` (without dropout), or `notebook, dropout`. No other has the same."""
    recipe: Recipe
    settings: Training
    """The recipe's, resolved with the experiment's."""
    at_selection: float | None = None
    """Validation accuracy in the search that selected it; None if it was not selected, or if Hyperband stopped it
    early, since that was another training.
    """
    reference: bool = False
    """Whether it is shown but never selected."""
    published: Published | None = None
    """Published results of this network."""

    @property
    def kind(self) -> str:
        """What it is among others: `finalist` of a search, or `network` of an experiment's list."""
        return "finalist" if self.role.startswith("finalist ") else "network"


def finalists(experiment: Experiment, found: Sequence[Trial], validation_size: int) -> list[Finalist]:
    """All fixed networks that were trained; otherwise the search's best by the experiment's rule, followed by the two
    networks of the notebook, which no search space contains: their layers differ in activation.

    The references copy those training settings of the search's best network that were searched, or that a user's own model
    names among its hyperparameters; all others come from the experiment. With other settings, a difference to it could
    come from the learning rate rather than from the layers. What a compiled model gives its own optimizer is its own.
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
    own, searched = _shared(experiment, best[0].recipe) if best else (TrainingOverrides(), ())
    settings = experiment.training.merged(own)
    return best + [Finalist(role, Recipe(spec, own, searched), settings, reference=True) for role, spec in references]


def _shared(experiment: Experiment, best: Recipe) -> tuple[TrainingOverrides, tuple[tuple[str, str | float], ...]]:
    """The training settings of the search's best network that the references have too, and those that name them."""
    if experiment.model is None:
        asked = experiment.training.searched
        own = best.own if asked else TrainingOverrides()
        return own, tuple(pair for pair in best.searched if pair[0] in asked)
    given = best.own.model_dump(exclude_none=True, exclude=set(best.spec.own_settings))
    named = tuple((key, value) for key, value in given.items() if not isinstance(value, bool))
    return TrainingOverrides(**given), named


def _best(experiment: Experiment, found: Sequence[Trial], validation_size: int) -> list[Trial]:
    """The best trials, at most `evaluation.finalists`, no two of the same recipe: Hyperband trains one several times.
    Trials that Hyperband stopped early have a small gap for that reason; they are used only if there are too few
    others.
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
    """In the order of the experiment's file, each with its own settings."""
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

"""Who is trained again. Enters: a search and its trials. Leaves: finalists, the references beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.experiment import Experiment, Training
from pipeline.findings.selection import ranked
from pipeline.network.spec import NetworkSpec, notebook_network
from pipeline.steps.trials import Trial

BASELINE, NOTEBOOK = "baseline", "notebook, dropout"
NOTEBOOK_DROPOUT = (0.0, 0.0, 0.1, 0.0)


@dataclass(frozen=True)
class Finalist:
    """One network to train again, with every seed."""

    role: str
    """`finalist 1`… in the order of the search's selection, `network 1`… of fixed ones, `baseline` (without dropout), or
    `notebook, dropout`."""
    spec: NetworkSpec
    settings: Training
    at_selection: float | None
    """Its validation accuracy in the search, by which it came here; None for a reference."""

    @property
    def reference(self) -> bool:
        """Whether it is only compared with, and cannot be chosen."""
        return self.at_selection is None


def finalists(experiment: Experiment, found: Sequence[Trial], validation_size: int) -> list[Finalist]:
    """All of the fixed networks that were trained; or else the search's best by the experiment's rule, and after them the
    notebook's two networks, where the search did not bring them along.
    """
    rule, tolerance = experiment.selection.rule, experiment.selection.tolerance
    most = len(found) if experiment.space.networks else experiment.evaluation.finalists
    order = ranked(
        [trial.candidate() for trial in found], rule, validation_size=validation_size, most=most, tolerance=tolerance
    )
    if experiment.space.networks:
        return _fixed(experiment, sorted((found[place] for place in order), key=lambda trial: trial.number))
    best = [
        Finalist(f"finalist {rank}", found[place].spec, experiment.training, found[place].run.metrics["val_accuracy"])
        for rank, place in enumerate(order, start=1)
    ]
    references = ((BASELINE, notebook_network()), (NOTEBOOK, notebook_network(dropout=NOTEBOOK_DROPOUT)))
    known = {finalist.spec for finalist in best}
    return best + [Finalist(role, spec, experiment.training, None) for role, spec in references if spec not in known]


def _fixed(experiment: Experiment, found: Sequence[Trial]) -> list[Finalist]:
    """In the order of the experiment's file; the first without dropout is the baseline."""
    fixed: list[Finalist] = []
    for place, trial in enumerate(found, start=1):
        plain = not any(trial.spec.dropout) and BASELINE not in {each.role for each in fixed}
        role = BASELINE if plain else f"network {place}"
        fixed.append(Finalist(role, trial.spec, settings(experiment, trial.spec), trial.run.metrics["val_accuracy"]))
    return fixed


def settings(experiment: Experiment, spec: NetworkSpec) -> Training:
    """As the search trained it: a fixed network may have settings of its own."""
    for fixed in experiment.space.networks or ():
        if fixed.spec() == spec:
            return experiment.training.merged(fixed.training)
    return experiment.training

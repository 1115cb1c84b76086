"""The life of a search, told with real oracles and a trainer that answers from a formula."""

import dataclasses
import random
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.errors import InputError, SearchFailedError
from pipeline.experiment import Experiment, load
from pipeline.models.dense import DenseSpec, dense
from pipeline.search.deadline import Deadline, Refits
from pipeline.search.loop import TrialScore, search
from pipeline.search.proposals.proposals import Proposal, Proposals
from pipeline.search.pruning import PrunerName, reached
from pipeline.search.workers.jobs import InProcess, Job, Outcome
from pipeline.search.workers.run_job import describe_error
from pipeline.time_limit import TimeLimit
from pipeline.training.result import EarlyStopping, Score, TrainingState, TrialResult
from tests.evaluation.samples import figures
from tests.evaluation.samples import trial as made_up

pytestmark = pytest.mark.tensorflow

TUNERS = ["random", "grid", "bayesian", "hyperband"]


def asked(tuner: str = "random", **overrides: str) -> Experiment:
    return load("smoke", {"search.tuner": tuner, "training.epochs": "9", **overrides})


def loss_of(job: Job) -> float:
    """A formula in the place of training: small for large networks, smaller with every epoch."""
    return 1 / (sum(dense(job.recipe.spec).hidden) + 10 * sum(dense(job.recipe.spec).dropout) + job.until)


def simulated(job: Job, *, fails: Callable[[Job], str | None] = lambda _job: None) -> Outcome:
    """An outcome without training."""
    reason = fails(job)
    if reason:
        return Outcome(job.number, None, {}, reason, 0.0)
    weights = (np.array([job.seed], np.float32),)
    state = TrainingState(job.until, weights, (), EarlyStopping(), {})
    score = Score(loss_of(job), 0.5)
    result = TrialResult(job.recipe, job.seed, {}, 0, job.until, score, score, score, {}, weights, state, {})
    return Outcome(job.number, result, {}, None, 0.0)


class Remembering:
    """A journal in memory: what it recorded is known to the next search."""

    def __init__(self) -> None:
        self.scores: dict[int, TrialScore] = {}
        self.values: dict[int, dict] = {}
        self.states: dict[int, TrainingState] = {}
        self.trained: list[int] = []
        self.parents: dict[int, int] = {}

    def known(self, proposal):
        if proposal.number in self.values and self.values[proposal.number] != dict(proposal.values):
            raise InputError("another network stands there")
        return self.scores.get(proposal.number)

    def asked(self, proposal):
        self.values[proposal.number] = dict(proposal.values)
        if proposal.parent is not None:
            self.parents[proposal.number] = proposal.parent

    def ended(self, proposal, outcome):
        self.trained.append(proposal.number)
        score = None if outcome.result is None else outcome.result.validation.loss
        self.scores[proposal.number] = TrialScore(score, outcome.failure)
        if outcome.result is not None:
            self.states[proposal.number] = outcome.result.state
        return self.scores[proposal.number]

    def state(self, number):
        return self.states[number]


class OutOfOrder:
    """Simulated workers that finish in a random order, as many at a time as there are."""

    def __init__(self, count: int, seed: int, train=simulated) -> None:
        self.count, self._train = count, train
        self._random = random.Random(seed)  # noqa: S311 - which worker is quicker is no secret
        self.jobs: list[Job] = []
        self.most = 0

    def submit(self, job):
        self.jobs.append(job)
        self.most = max(self.most, len(self.jobs))

    def finished(self):
        running = self.jobs[: self.count]
        return [self._train(self.jobs.pop(self._random.randrange(len(running))))] if running else []

    def close(self):
        self.jobs.clear()


def no_deadline() -> Deadline:
    return Deadline(None, workers=1, inputs=64, classes=10)


def run(experiment, workers=None, journal=None, *, window=1, deadline=None):
    journal = journal or Remembering()
    ending = search(
        Proposals(experiment),
        workers or InProcess(simulated),
        journal,
        trials=experiment.search.trials,
        window=window,
        deadline=deadline or no_deadline(),
    )
    return ending, journal


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_trains_as_many_trials_as_asked_for(tuner):
    ending, journal = run(asked(tuner, **{"search.trials": "6"}))
    assert (ending.reason, ending.trials, ending.failed) == ("trials", 6, 0)
    assert journal.trained == list(range(6))


@pytest.mark.parametrize("tuner", ["random", "grid", "bayesian"])
def test_a_space_of_20_networks_ends_a_search_for_50_early_with_each_network_once(tuner):
    ending, journal = run(asked(tuner, **{"search.trials": "50"}))
    assert (ending.reason, ending.trials) == ("exhausted", 20)
    assert len({tuple(sorted(values.items())) for values in journal.values.values()}) == 20


def test_hyperband_to_9_epochs_takes_23_trials_and_continues_those_it_promotes():
    ending, journal = run(asked("hyperband", **{"search.trials": "99"}))
    assert (ending.reason, ending.trials) == ("exhausted", 23)
    trained = sum(values["tuner/epochs"] - values["tuner/initial_epoch"] for values in journal.values.values())
    assert trained == 75
    for child, parent in journal.parents.items():
        own, before = (
            {key: value for key, value in journal.values[number].items() if not key.startswith("tuner/")}
            for number in (child, parent)
        )
        assert own == before
        assert journal.values[child]["tuner/initial_epoch"] == journal.values[parent]["tuner/epochs"]


@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.parametrize("count", [2, 3])
def test_the_order_in_which_workers_finish_changes_nothing(tuner, count):
    searches = [
        run(asked(tuner, **{"search.trials": "14"}), OutOfOrder(count, seed), window=2 * count)[1] for seed in range(4)
    ]
    assert len({repr(sorted(journal.values.items())) for journal in searches}) == 1
    assert len({repr(sorted(journal.scores.items())) for journal in searches}) == 1


def test_no_more_trials_are_under_way_than_the_window_holds():
    workers = OutOfOrder(2, seed=1)
    run(asked(**{"search.trials": "12"}), workers, window=4)
    assert workers.most == 4


@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.parametrize("window", [1, 4])
def test_a_search_that_is_stopped_anywhere_goes_on_to_the_same_end(tuner, window):
    experiment = asked(tuner, **{"search.trials": "14"})
    whole = run(experiment, OutOfOrder(2, seed=0), window=window)[1]
    for stop in (1, 3, 8):
        journal, left = Remembering(), [stop]

        def dies(job, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return simulated(job)

        with pytest.raises(KeyboardInterrupt):
            run(experiment, OutOfOrder(2, seed=stop, train=dies), journal, window=window)
        assert len(journal.scores) == stop
        run(experiment, OutOfOrder(2, seed=9), journal, window=window)
        assert journal.values == whole.values
        assert journal.scores == whole.scores
        assert sorted(journal.trained) == sorted(whole.scores)


def test_another_network_at_a_recorded_place_stops_the_search():
    journal = run(asked(**{"search.trials": "3"}))[1]
    journal.scores.popitem()
    with pytest.raises(InputError, match="another network stands there"):
        run(asked(**{"search.trials": "3", "search.seed": "2"}), journal=journal)


def test_raising_the_number_of_trials_trains_only_the_new_ones():
    journal = run(asked(**{"search.trials": "4"}))[1]
    run(asked(**{"search.trials": "6"}), journal=journal)
    assert journal.trained == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(tuner):
    bad = InProcess(lambda job: simulated(job, fails=lambda each: "boom" if each.number in {0, 2, 3} else None))
    ending, journal = run(asked(tuner, **{"search.trials": "6"}), bad)
    assert (ending.trials, ending.failed) == (6, 3)
    assert [number for number, score in journal.scores.items() if score.failure == "boom"] == [0, 2, 3]


def test_three_failures_in_a_row_end_the_search_with_the_last_reason():
    bad = InProcess(lambda job: simulated(job, fails=lambda each: f"boom {each.number}" if each.number else None))
    journal = Remembering()
    with pytest.raises(SearchFailedError, match="3 trials in a row failed, the last with: boom 3"):
        run(asked(**{"search.trials": "9"}), bad, journal)
    assert sorted(journal.scores) == [0, 1, 2, 3]


def test_a_search_of_which_every_trial_fails_is_a_failure():
    bad = InProcess(lambda job: simulated(job, fails=lambda _each: "boom"))
    with pytest.raises(SearchFailedError, match=r"every trial failed \(2 of 2\), the last with: boom"):
        run(asked(**{"search.trials": "2"}), bad)


def ask(proposals: Proposals) -> Proposal:
    proposal = proposals.ask()
    assert isinstance(proposal, Proposal)
    return proposal


def test_a_score_that_is_no_number_counts_as_a_failure_for_the_oracle():
    proposals = Proposals(asked("bayesian"))
    first = ask(proposals)
    proposals.tell(first.trial_id, float("nan"))
    second = ask(proposals)
    proposals.tell(second.trial_id, float("inf"))
    assert ask(proposals).values not in (first.values, second.values)


@pytest.mark.parametrize("tuner", TUNERS)
def test_only_hyperband_asks_workers_for_the_state_of_training(tuner):
    workers = OutOfOrder(1, seed=0)
    kept = set()

    def noting(job):
        kept.add(job.keeps)
        return simulated(job)

    workers._train = noting
    run(asked(tuner, **{"search.trials": "4"}), workers)
    assert kept == {"state" if tuner == "hyperband" else "scores"}


class Clock:
    """Time that passes when told to, seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_no_trial_starts_that_would_not_be_finished_by_the_deadline():
    """Every trial takes 10 s; in one minute there is time for six, and the seventh is left out."""
    clock = Clock()

    def slow(job):
        clock.now += 10
        return dataclasses.replace(simulated(job), seconds=10.0)

    deadline = Deadline(1, workers=1, inputs=64, classes=10, clock=clock)
    ending, journal = run(asked(**{"search.trials": "20"}), InProcess(slow), deadline=deadline)
    assert (ending.reason, ending.trials) == ("minutes", 6)
    assert clock.now == 60
    assert len(journal.values) == 6


def test_a_larger_network_is_estimated_to_take_longer():
    clock = Clock()
    deadline = Deadline(1, workers=1, inputs=1000, classes=10, clock=clock)
    proposals = Proposals(
        asked("grid", **{"space.depth": "[1, 1]", "space.hidden": "[10, 100]", "space.dropout": "[0]"})
    )
    small, large = ask(proposals), ask(proposals)
    for proposal in (small, large):
        deadline.started(proposal)
        million = proposal.recipe.spec.parameters(1000, 10) * proposal.until / 1e6
        deadline.ended(
            proposal,
            dataclasses.replace(simulated(Job(0, proposal.recipe, proposal.settings, 1, 9)), seconds=1 + 20 * million),
        )
    # small: 1 + 20 * 0.0910 = 2.8 s; large: 1 + 20 * 0.910 = 19.2 s
    clock.now = 50
    assert deadline.allows(small)
    assert not deadline.allows(large)
    clock.now = 40
    assert deadline.allows(large)
    deadline.started(large)
    assert not deadline.allows(small), "the large one is still under way"


def limited(clock, minutes, refits=None, *, own=None, workers=1):
    """A deadline of the whole command, which began 20 s before the search."""
    whole = TimeLimit(minutes, clock.now, clock)
    clock.now += 20
    return Deadline(own, workers=workers, inputs=64, classes=10, clock=clock, whole=whole, refits=refits)


def slow_by(clock, seconds):
    def slow(job):
        clock.now += seconds
        return dataclasses.replace(simulated(job), seconds=float(seconds))

    return InProcess(slow)


@pytest.mark.parametrize(
    ("refits", "trials", "why"),
    [
        (None, 10, "minutes=2 was over"),
        # 15 s of the 120 are for the report, and 20 have gone: 85 for trials and refits.
        (Refits(2, 2, 15), 6, "the rest of minutes=2 is for the refits"),
        # Half of the 100 s for those that are not needed: 50 + 15.
        (Refits(2, 50, 15), 3, "the rest of minutes=2 is for the refits"),
        (Refits(6, 50, 15), 2, "the rest of minutes=2 is for the refits"),
        (Refits(600, 600, 15), 1, "the rest of minutes=2 is for the refits"),
    ],
)
def test_a_search_leaves_time_for_refits_preparation_counts_and_one_trial_is_trained_in_any_case(refits, trials, why):
    """Every network takes 10 s, trial or refit; 100 s of two minutes are left."""
    clock = Clock()
    deadline = limited(clock, 2, refits and (lambda _trials: refits))
    ending, _ = run(asked(**{"search.trials": "20"}), slow_by(clock, 10), deadline=deadline)
    assert (ending.reason, ending.trials) == ("minutes", trials)
    assert deadline.why == why


def test_fewer_trials_need_fewer_refits():
    """Three refits per trial, as of fixed networks: 100 s are 2 trials and 6 refits, and 20 s too few for another three."""
    clock = Clock()
    deadline = limited(clock, 2, lambda trials: Refits(3 * trials, 3 * trials, 0))
    assert run(asked(**{"search.trials": "20"}), slow_by(clock, 10), deadline=deadline)[0].trials == 2


def test_the_first_trial_is_trained_when_the_time_is_over_before_the_search():
    clock = Clock()
    deadline = limited(clock, 0.1)
    ending, journal = run(asked(**{"search.trials": "20"}), slow_by(clock, 10), deadline=deadline)
    assert (ending.reason, ending.trials, journal.trained) == ("minutes", 1, [0])
    assert deadline.why == "minutes=0.1 was over"


@pytest.mark.parametrize(("own", "trials", "why"), [(0.4, 2, "search.minutes=0.4"), (5, 9, "minutes=2")])
def test_of_two_limits_both_hold(own, trials, why):
    clock = Clock()
    deadline = limited(clock, 2, own=own)
    assert deadline.left == min(60 * own, 100)
    ending, _ = run(asked(**{"search.trials": "20"}), slow_by(clock, 11), deadline=deadline)
    assert ending.trials == trials
    assert deadline.why.endswith(f" within {why}")


def test_the_times_of_an_earlier_part_of_the_search_count():
    """Its trials took 30 s, and 100 are left: 3 more."""
    clock = Clock()
    first = run(asked(**{"search.trials": "2"}))[1]
    deadline = limited(clock, 2)
    for number in range(2):
        metrics = figures(accuracy=0.9) | {"seconds": 30.0}
        deadline.resume(made_up(number, DenseSpec((16,), (0.0, 0.0), ("relu",)), metrics), epochs=9)
    ending, _ = run(asked(**{"search.trials": "20"}), slow_by(clock, 30), first, deadline=deadline)
    assert ending.trials == 5


def test_refits_have_all_epochs_although_trials_were_pruned():
    """Of one network, 3 of 9 epochs took 10 s and all of them 30 s; so will the next trial and both refits."""
    clock = Clock()
    deadline = limited(clock, 2, lambda _trials: Refits(2, 2, 0))
    proposals = Proposals(asked("grid"))
    first, second = ask(proposals), ask(proposals)
    for proposal, until, seconds in ((first, 3, 10.0), (second, 9, 30.0)):
        deadline.started(proposal)
        outcome = simulated(Job(0, proposal.recipe, proposal.settings, 1, until))
        deadline.ended(proposal, dataclasses.replace(outcome, seconds=seconds, pruned=until == 3))
    clock.now = 120 - 91
    assert deadline.allows(second)
    clock.now = 120 - 89
    assert not deadline.allows(second)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_trial_that_continues_another_takes_the_time_of_its_own_epochs(resumed):
    """An epoch takes 10 s: 3 epochs took 30, going on to 9 took 60; 9 epochs from the first one will take 90."""
    clock = Clock()
    deadline = limited(clock, 2)
    low = dataclasses.replace(ask(Proposals(asked("grid"))), until=3)
    begun = {"tuner/epochs": 9, "tuner/initial_epoch": 3}
    continued = dataclasses.replace(low, number=1, until=9, parent=0, values=begun)
    whole = dataclasses.replace(low, number=2, until=9)
    for proposal, seconds in ((low, 30.0), (continued, 60.0)):
        if resumed:
            proposed = {"tuner/epochs": proposal.until, "tuner/initial_epoch": proposal.begins}
            metrics = figures(accuracy=0.9) | {"seconds": seconds}
            deadline.resume(made_up(proposal.number, proposal.recipe.spec, metrics, proposed=proposed), epochs=9)
        else:
            outcome = simulated(Job(0, proposal.recipe, proposal.settings, 1, proposal.until))
            deadline.ended(proposal, dataclasses.replace(outcome, seconds=seconds))
    for proposal, seconds in ((low, 30), (continued, 60), (whole, 90)):
        clock.now = 120 - seconds - 1
        assert deadline.allows(proposal)
        clock.now = 120 - seconds + 1
        assert not deadline.allows(proposal)


def test_a_deadline_stops_no_trial_that_is_known_already():
    journal = run(asked(**{"search.trials": "4"}))[1]
    over = Deadline(1e-9, workers=1, inputs=64, classes=10)
    ending, journal = run(asked(**{"search.trials": "9"}), journal=journal, deadline=over)
    assert (ending.reason, ending.trials) == ("minutes", 4)


def test_trials_have_seeds_of_their_own_and_a_promoted_one_keeps_its_parents():
    journal = Remembering()
    seeds = {}

    def noting(job):
        seeds[job.number] = job.seed
        return simulated(job)

    run(asked("hyperband", **{"search.trials": "99"}), InProcess(noting), journal)
    fresh = [number for number in seeds if number not in journal.parents]
    assert len({seeds[number] for number in fresh}) == len(fresh)
    assert all(seeds[child] == seeds[parent] for child, parent in journal.parents.items())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (MemoryError(), "out of memory (MemoryError: )"),
        (FloatingPointError("loss is nan in epoch 3"), "FloatingPointError: loss is nan in epoch 3"),
        (KeyError(), "KeyError"),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_one_line(error, line):
    assert describe_error(error) == line


PRUNED = {"search.trials": "14", "training.epochs": "8", "space.hidden": "[8, 12, 16]"}


def halting(job: Job) -> Outcome:
    """An outcome without training, of a network that gets better by a tenth with every epoch and stops where it has to."""
    start = 1 / sum(dense(job.recipe.spec).hidden) + 0.1 * sum(dense(job.recipe.spec).dropout)
    values: list[float] = []
    while len(values) < job.until and not (job.pruning and job.pruning.stops(values)):
        values.append(start * 0.9 ** len(values))
    outcome = simulated(job)
    assert outcome.result is not None
    result = dataclasses.replace(
        outcome.result, history={"val_loss": tuple(values)}, validation=Score(values[-1], 0.5), epochs_run=len(values)
    )
    return dataclasses.replace(outcome, result=result, pruned=len(values) < job.until)


class RememberingRungs(Remembering):
    """A journal in memory that knows scores at the rungs too."""

    def __init__(self, pruner: PrunerName) -> None:
        super().__init__()
        self.pruner: PrunerName = pruner
        self.epochs: dict[int, int] = {}

    def ended(self, proposal, outcome):
        scored = super().ended(proposal, outcome)
        self.epochs[proposal.number] = outcome.result.epochs_run
        at_rungs = reached(self.pruner, "val_loss", outcome.result.history, epochs=8, pruned=outcome.pruned)
        self.scores[proposal.number] = dataclasses.replace(scored, rungs=at_rungs)
        return self.scores[proposal.number]


@pytest.mark.parametrize("pruner", ["median", "successive_halving"])
@pytest.mark.parametrize("tuner", ["random", "grid", "bayesian"])
def test_a_pruned_search_stops_the_same_trials_with_workers_in_any_order_and_when_it_is_resumed(tuner, pruner):
    experiment = asked(tuner, **{**PRUNED, "search.pruner": pruner})
    whole = run(experiment, InProcess(halting), RememberingRungs(pruner), window=4)[1]
    assert set(whole.epochs.values()) > {8}
    assert whole.epochs[0] == 8  # nothing was known
    resumed = RememberingRungs(pruner)
    for source in ("scores", "values", "epochs"):
        getattr(resumed, source).update({number: getattr(whole, source)[number] for number in range(9)})
    for journal in (RememberingRungs(pruner), resumed):
        again = run(experiment, OutOfOrder(2, 3, halting), journal, window=4)[1]
        assert (again.scores, again.epochs) == (whole.scores, whole.epochs)
    assert resumed.trained
    assert min(resumed.trained) == 9

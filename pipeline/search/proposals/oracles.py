"""Keras Tuner's oracles as an ask-and-tell search needs them: silent, exact at the end of a space, fast.

Their proposals depend only on the seed and the order of asks and tells, not on the process, its hash seed or its clock.
"""

import random
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor

from pipeline.search.proposals.grid_encoding import GridEncoding, Rows

MAX_COLLISIONS = 1_000
"""Random draws in a row that repeat a tried network before the untried ones are listed. Keras Tuner's own 20 give up on
small spaces with a quarter of the networks untried.
"""
MOST_LISTED = 100_000
"""Largest space whose untried networks are listed. No search exhausts a larger one."""
INITIAL_POINTS = 8
"""Random networks before the Gaussian process is used. 6, 8 and 10 measured alike, and so did stratified ones."""
CAP = 2.0
"""A score counts as worse than the median by at most this many times the lead of the best over the median. One network
in 20 that diverges would otherwise hide the differences between the others (best loss after 36 trials .367 instead of
.360).
"""
CANDIDATES = 4_000
"""Random networks over which the acquisition function is minimised; a space up to this size is enumerated."""
BEST = 5
"""Number of best networks whose neighbours are candidates too."""
LENGTH_SCALES = np.geomspace(0.1, 10, 24)
"""Candidate length scales of the kernel; two networks are at most the square root of the number of choices apart."""


class AskTell(keras_tuner.Oracle):  # type: ignore[misc]  # untyped base
    """An oracle without files and screen output, and without an exception that leaves its lock held: the search loop
    counts failures in a row.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.verbose = 0

    def save(self) -> None:
        """Does nothing: a search is resumed by repeating its calls."""

    def _save_trial(self, trial: keras_tuner.engine.trial.Trial) -> None:
        pass

    def _check_consecutive_failures(self) -> None:
        pass


class Exhaustive(AskTell):
    """An oracle that draws at random and ends exactly when every network has been tried."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._max_collisions = MAX_COLLISIONS
        self._encoding = GridEncoding(self.hyperparameters.space)
        self._untried: list[dict[str, Any]] | None = None

    def _random_values(self) -> dict[str, Any] | None:
        if self._untried is None:
            values: dict[str, Any] | None = super()._random_values()
            everything = self._encoding.everything(limit=MOST_LISTED) if values is None else None
            if everything is None:
                return values
            self._untried = [self._encoding.values(row) for row in everything]
        self._untried = [values for values in self._untried if not self._duplicate(values)]
        if not self._untried:
            return None
        self._seed_state += 1
        return dict(random.Random(self._seed_state).choice(self._untried))  # noqa: S311 - no secret


class RandomOracle(Exhaustive, keras_tuner.oracles.RandomSearchOracle):  # type: ignore[misc]  # untyped base
    """Random networks without repetition."""


class HyperbandOracle(Exhaustive, keras_tuner.oracles.HyperbandOracle):  # type: ignore[misc]  # untyped base
    """Hyperband: random networks, of which the better ones train longer."""

    @property
    def networks(self) -> int:
        """Number of different networks that it starts; a smaller space would leave brackets without promotions."""
        return sum(self._get_size(bracket, 0) for bracket in range(self._get_num_brackets()))


class StockBayesianOracle(AskTell, keras_tuner.oracles.BayesianOptimizationOracle):  # type: ignore[misc]  # untyped base
    """Keras Tuner's own Bayesian oracle, for comparison."""


class GridOracle(AskTell, keras_tuner.oracles.GridSearchOracle):  # type: ignore[misc]  # untyped base
    """Every network of the space once, without waiting for scores. The stock oracle runs one trial at a time until
    others have ended, to find hyperparameters that appear during a search; here there are none.
    """

    _last: dict[str, Any] | None = None

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002 - Keras Tuner's signature
        values = self._get_next_combination(self._last) if self._last is not None else self._first()
        if values is None:
            return {"status": "STOPPED", "values": None}
        self._last = values
        return {"status": "RUNNING", "values": values}

    def _first(self) -> dict[str, Any]:
        hp = self.get_space()
        hp.values = {entry.name: entry.default for entry in hp.space}
        hp.ensure_active_values()
        return dict(hp.values)


class BayesianOracle(Exhaustive, keras_tuner.oracles.BayesianOptimizationOracle):  # type: ignore[misc]  # untyped base
    """Keras Tuner's Gaussian process (Matérn 5/2, noise `alpha`, normalised scores) with the lower confidence bound
    (mean minus `beta` standard deviations, of a score to minimise), evaluated for thousands of networks at once.

    The stock oracle descends the bound from 50 points of the unit cube, one row per prediction, and rounds to a
    network. Here the candidates are networks, and the best untried one is proposed. Its 3 random points per choice (30
    in the default space) would leave a search of 24 trials without any model.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"num_initial_points": INITIAL_POINTS} | arguments)
        self._everything = self._encoding.everything(limit=CANDIDATES)

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002 - Keras Tuner's signature
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if len(self.trials) >= self.num_initial_points and len(completed) > 1:
            for row in self._ranked(completed):
                values = self._encoding.values(row)
                if not self._duplicate(values):
                    return {"status": "RUNNING", "values": values}
        drawn: dict[str, Any] = self._random_populate_space()
        return drawn

    def _ranked(self, completed: list[keras_tuner.engine.trial.Trial]) -> Rows:
        """Candidates, the most promising first."""
        rows = self._rows(completed)
        sign = -1 if self.objective.direction == "max" else 1
        scores = _capped(sign * np.array([trial.score for trial in completed]))
        gpr = self._with_pending(self._encoding.encoded(rows), scores)
        candidates = self._candidates(rows[np.argsort(scores, kind="stable")[:BEST]])
        mean, deviation = gpr.predict(self._encoding.encoded(candidates), return_std=True)
        # Rounded, so that what is equal but for the last bits is in the order of the candidates on every machine.
        bound = np.round((mean - self.beta * deviation) / (np.std(scores) or 1), 9)
        return candidates[np.argsort(bound, kind="stable")]

    def _with_pending(self, points: NDArray[np.float64], scores: NDArray[np.float64]) -> GaussianProcessRegressor:
        """The Gaussian process of completed trials, and of running ones as if each had scored one standard deviation
        worse than predicted.
        """
        gpr = self.gpr.fit(points, scores)
        pending = [trial for trial in self.trials.values() if trial.status == "RUNNING"]
        if not pending:
            return gpr
        places = self._encoding.encoded(self._rows(pending))
        mean, deviation = gpr.predict(places, return_std=True)
        return GaussianProcessRegressor(gpr.kernel_, alpha=self.alpha, optimizer=None, normalize_y=True).fit(
            np.concatenate((points, places)), np.concatenate((scores, mean + deviation))
        )

    def _candidates(self, best: Rows) -> Rows:
        if self._everything is not None:
            return self._everything
        rng = np.random.default_rng([self.seed, len(self.trials)])
        return np.concatenate((self._encoding.sample(CANDIDATES, rng), self._encoding.neighbours(best, rng)))

    def _rows(self, trials: list[keras_tuner.engine.trial.Trial]) -> Rows:
        return self._encoding.rows([trial.hyperparameters.values for trial in trials])

    def _make_gpr(self) -> GaussianProcessRegressor:
        stock = super()._make_gpr()
        return stock.set_params(optimizer=_likeliest, n_restarts_optimizer=0)


def _capped(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores to minimise, with bad ones capped by `CAP`; unchanged if the median is the best."""
    best, median = scores.min(), np.median(scores)
    return np.minimum(scores, median + CAP * (median - best)) if best < median else scores


def _likeliest(
    loss: Callable[..., float],
    initial: NDArray[np.float64],  # noqa: ARG001 - scikit-learn's signature
    bounds: NDArray[np.float64],  # noqa: ARG001 - scikit-learn's signature
) -> tuple[NDArray[np.float64], float]:
    """The log length scale with the smallest negative log likelihood, and that likelihood.

    One number is searched: evaluating a few everywhere is faster than 21 descents, and the result does not depend on
    earlier fits.
    """
    losses = [loss(np.log([scale]), eval_gradient=False) for scale in LENGTH_SCALES]
    best = int(np.argmin(losses))
    return np.log(LENGTH_SCALES[[best]]), losses[best]

"""Shows the progress of a search: a live table on a terminal, a line per trial elsewhere (cron, CI)."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.formatting import duration, points
from pipeline.tracking.names import METRICS


@dataclass(frozen=True)
class TrialUpdate:
    """An ended trial, as shown on the screen."""

    name: str
    """Architecture, such as `784-256(0.2)-128-10`, and own training settings."""
    objective: float | None
    """Objective value; None if the trial failed."""
    accuracy_gap: float | None
    """Honest validation gap: train minus validation accuracy, 0 to 1."""
    seconds: float
    failure: str | None = None
    accuracy: float | None = None
    """Validation accuracy, 0 to 1, which most rules of choice use; shown beside another objective."""
    earlier: bool = False
    """Trained before this process started (a resumed search)."""
    ranked: bool = True
    """Whether it can be the best so far; a refit cannot: it is one seed of a network."""
    warning: str | None = None
    """What is missing of a trained network, one line."""
    pruned: bool = False
    """Stopped early by the search's pruner; never the best."""


class ProgressDisplay:
    """A context that shows ended trials or refits. `total` is their maximum number, `workers` how many are trained at
    the same time; `limit` gives the seconds until the time limit.
    """

    def __init__(
        self,
        console: Console,
        *,
        total: int,
        objective: str,
        noun: str = "trial",
        workers: int = 1,
        limit: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._limit, self._workers = limit, max(1, workers)
        self._console, self._total, self._objective, self._noun = console, total, METRICS[objective], noun
        self._lower_is_better = self._objective.unit == "nats"
        self._start = time.monotonic()
        self._done = self._fresh = self._failed = self._pruned = 0
        self._best: TrialUpdate | None = None
        self._last: TrialUpdate | None = None
        self._of, self._slash = "of", "/"
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._live.stop()

    def expect(self, total: int, *, at_most: bool) -> None:
        """Changes the number that is expected; `at_most` says that fewer may do."""
        self._total, self._of = total, "of at most" if at_most else "of"
        self._slash = f" {self._of} "  # from now on: a line with "/" after one with "of at most" would look odd

    def ended(self, trial: TrialUpdate) -> None:
        """Shows one more ended trial."""
        self._done += 1
        self._fresh += not trial.earlier
        self._failed += trial.objective is None
        self._pruned += trial.pruned
        self._last = trial
        if self._better(trial):
            self._best = trial
        if not trial.earlier and (trial.failure or not self._console.is_terminal):
            self._console.print(Text(self._line(trial)), soft_wrap=True)
        if trial.warning:
            self._console.print(
                Text(f"warning: {self._noun} {self._done}, {trial.name}: {trial.warning}"), soft_wrap=True
            )

    def _better(self, trial: TrialUpdate) -> bool:
        if trial.objective is None or not trial.ranked or trial.pruned:
            return False
        if self._best is None or self._best.objective is None:
            return True
        if self._lower_is_better:
            return trial.objective < self._best.objective
        return trial.objective > self._best.objective

    def _line(self, trial: TrialUpdate) -> str:
        head = f"{self._noun} {self._done}{self._slash}{self._total}  {trial.name}"
        if trial.objective is None:
            return f"{head}  FAILED: {trial.failure}"
        best = f"  ({self._extreme} {self._objective.label} so far)"
        mark = best if trial is self._best else "  (pruned)" if trial.pruned else ""
        return f"{head}  {self._measured(trial)}  {duration(trial.seconds)}{mark}  {self._left()}".rstrip()

    @property
    def _extreme(self) -> str:
        return "lowest" if self._lower_is_better else "highest"

    def _measured(self, trial: TrialUpdate) -> str:
        score = "none" if trial.objective is None else self._objective.text(trial.objective)
        unit = " %" if self._objective.unit == "%" else ""
        gap = "" if trial.accuracy_gap is None else f"  validation gap {points(trial.accuracy_gap)} points"
        return f"{self._objective.label} {score}{unit}{self._accuracy(trial)}{gap}"

    def _accuracy(self, trial: TrialUpdate) -> str:
        shown = METRICS["val_accuracy"]
        if trial.accuracy is None or shown is self._objective:
            return ""
        return f"  {shown.label} {shown.text(trial.accuracy)} %"

    def _left(self) -> str:
        left = self._total - self._done
        if left <= 0 or not self._fresh:
            return ""
        under_way = min(self._workers - 1, left) / 2  # on average, each is half done
        each = (time.monotonic() - self._start) / (self._fresh + under_way)
        if_all = "" if self._of == "of" else f" if all {self._total} are trained"
        return f"about {duration(each * (left - under_way))} left{if_all}{self._limit_text()}"

    def _limit_text(self) -> str:
        seconds = self._limit()
        if seconds == math.inf:
            return ""
        return f", time limit in {duration(seconds)}" if seconds > 0 else ", the time limit is over"

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_row(f"{self._noun}s", ProgressBar(total=self._total, completed=self._done, width=40), self._counts())
        if self._best:
            table.add_row(f"{self._extreme} so far", Text(self._best.name), self._measured(self._best))
        if self._last and self._last.objective is not None:
            table.add_row("last", Text(self._last.name), self._measured(self._last))
        return table

    def _counts(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        pruned = f", {self._pruned} pruned" if self._pruned else ""
        spent = duration(time.monotonic() - self._start)
        return (
            f"{self._done} {self._of} {self._total}{failed}{pruned}, {spent} gone"
            f"{', ' if self._left() else ''}{self._left()}"
        )

"""What every step is given: the experiment, the store, the data and the screen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rich.console import Console

from pipeline.data import sources
from pipeline.data.dataset import Dataset, DatasetFacts, digest_of
from pipeline.data.shared_split import SharedSplit, share
from pipeline.data.split import Part, Split
from pipeline.experiment import Experiment
from pipeline.time_limit import TimeLimit
from pipeline.tracking import run_lock
from pipeline.tracking.names import DATA_DIGEST_TAG, EXPERIMENT_TAG, EXPERIMENT_YAML, SPLIT_TAG, TEST_DIGEST_TAG
from pipeline.tracking.store import Run, Store


@dataclass(frozen=True)
class PreparedData:
    """The data as the trials see them, loaded once per process."""

    dataset: Dataset | DatasetFacts
    split: Split
    shared: SharedSplit | None = None
    """The split's files, where its arrays are mapped."""

    @cached_property
    def tags(self) -> dict[str, str]:
        """The tags of a run that used these data."""
        return {
            DATA_DIGEST_TAG: self.dataset.digest,
            SPLIT_TAG: self.split.fingerprint,
            TEST_DIGEST_TAG: self.digest_of(self.split.test),
        }

    def source_of(self, part: str, row: int) -> str:
        """Where the image in a row of a part came from: its file, or its row in the data set, such as `train 7`."""
        facts = self.dataset if isinstance(self.dataset, DatasetFacts) else self.dataset.facts
        if self.shared is None:
            return f"{part} {row}"
        return facts.source_of(part if part in facts.parts else "train", int(self.shared.rows(part)[row]))

    @staticmethod
    def digest_of(part: Part) -> str:
        """SHA-256 (hex) of one part."""
        return digest_of(part.images, part.labels)


def load(experiment: Experiment, *, progress: Callable[[str], None], folder: Path) -> PreparedData:
    """Loads the data set of an experiment, splits it, and keeps its arrays in files of a temporary folder: this process and
    its workers then have them in memory once.

    Raises:
        InputError: If the data cannot be used.
    """
    dataset = sources.load(experiment.data, keep_colour=experiment.model is not None, progress=progress)
    facts = dataset.facts
    shared = share(dataset, experiment.data, folder)
    del dataset
    return PreparedData(facts, shared.open(), shared)


def connect(experiment: Experiment, console: Console) -> Store:
    """Connects to the store, which is waited for as long as the experiment says if it goes away later."""
    return Store.connect(
        wait_minutes=experiment.tracking.wait_minutes,
        say=lambda line: console.print(line, soft_wrap=True, markup=False),
    )


@dataclass(frozen=True)
class Session:
    """One call of the command line."""

    experiment: Experiment
    store: Store
    console: Console
    prepared: PreparedData
    limit: TimeLimit = field(default_factory=TimeLimit)
    """The experiment's `minutes`, from the beginning of the command."""

    def say(self, line: str) -> None:
        """Prints one line, without markup."""
        self.console.print(line, soft_wrap=True, markup=False)

    @contextmanager
    def child(self, parent: Run, *, step: str, name: str, held: bool = False) -> Iterator[Run]:
        """Opens a nested run of a step; it ends with the block: FINISHED, FAILED with the reason, or KILLED.

        Args:
            parent: The run above it.
            step: The step.
            name: The name of the run.
            held: Whether it says which process works on it, since another one may resume it.
        """
        tags = {EXPERIMENT_TAG: self.experiment.name, **self.prepared.tags, **(run_lock.owner_tag() if held else {})}
        run = self.store.child(parent, step=step, name=name, tags=tags)
        with run.open():
            run.write(EXPERIMENT_YAML, self.experiment.to_yaml())
            yield run

"""What every step is handed: the experiment, the store, the screen. Owns how a step's run is opened and tagged."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from pipeline.data import sources
from pipeline.data.dataset import Dataset, digest_of
from pipeline.data.split import Part, Split, split
from pipeline.experiment import Experiment
from pipeline.tracking.store import Run, Store


@dataclass(frozen=True)
class Prepared:
    """The data as the trials see them, loaded once per process."""

    dataset: Dataset
    split: Split

    @property
    def tags(self) -> dict[str, str]:
        """What a run that used these data says of them."""
        return {"narrowgap.data_digest": self.dataset.digest, "narrowgap.split": self.split.fingerprint}

    @staticmethod
    def digest_of(part: Part) -> str:
        """SHA-256 (hex) of one part."""
        return digest_of(part.images, part.labels)


@dataclass(frozen=True)
class Session:
    """One call of the command line."""

    experiment: Experiment
    store: Store
    console: Console

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, markup=False)

    def load(self) -> Prepared:
        """The data set and its split; raises InputError for data that do not serve."""
        dataset = sources.load(self.experiment.data, progress=self.say)
        return Prepared(dataset, split(dataset, self.experiment.data))

    @contextmanager
    def child(self, parent: Run, *, step: str, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
        """A nested run of a step, ended with the block: FINISHED, FAILED with the reason, or KILLED."""
        own = {"narrowgap.experiment": self.experiment.name, **tags}
        with self.store.child(parent, step=step, name=name, tags=own).open() as run:
            run.write("experiment.yaml", self.experiment.to_yaml())
            yield run

"""Train, validation and test as the trials see them. Enters: a `Dataset`. Leaves: a `Split`."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.data.dataset import Images, Labels


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a split. Pixels stay uint8 until they are inside the compiled step."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Split:
    """A stratified division of one data set."""

    train: Part
    validation: Part
    test: Part
    class_names: tuple[str, ...]
    pixel_max: int
    data_digest: str
    fingerprint: str
    """SHA-256 (hex) over the digest of the data and the rows of each part: equal exactly when the parts are."""

    def parts(self) -> Iterator[tuple[str, Part]]:
        """`("train", …)`, `("validation", …)`, `("test", …)`, in that order."""
        yield "train", self.train
        yield "validation", self.validation
        yield "test", self.test

    @property
    def inputs(self) -> int:
        """Pixels per image."""
        return int(self.train.images.shape[1] * self.train.images.shape[2])

    @property
    def classes(self) -> int:
        return len(self.class_names)

"""How much memory a worker needs for the data of an experiment, computed before any process starts."""

from dataclasses import dataclass

from pipeline.data.split import Split
from pipeline.experiment import Experiment
from pipeline.models.spaces import DenseSpace, SearchSpace
from pipeline.training.call_size import MOST_SCORING_ROWS, MOST_TRAINING_ROWS, rows_per_call

GIB = 1024**3
LEAST_BYTES = 3 * GIB // 4
"""What a process takes for TensorFlow and its first networks, measured: less than that, and it cannot train at all."""
AMPLE_BYTES = 2 * GIB
"""The same with room for all networks that a worker compiles before it is renewed, and for what Python does not return."""
GPU_BYTES = 6 * GIB
"""What a worker may take besides where it has a GPU: CUDA's libraries, of the machine's own memory; not measured."""
CALL_COPIES = 3
"""A call has its images as float32 up to so many times: scaled, after dropout, and as random numbers."""
NETWORK_COPIES = 10
"""Weights, gradients, Adam's moments, the best weights, and what travels: the largest network so many times."""

ACTIVATION_COPIES = 4
"""A batch has the activations of a user's own model so many times: with their gradients, and what kernels work in."""


@dataclass(frozen=True)
class MemoryNeed:
    """What a worker needs, in bytes."""

    data: int
    """Images and labels of all parts; processes of one machine share them."""
    call: int
    """The largest call of training or scoring, with the training images that are scored after each epoch."""
    network: int
    """The largest network of the experiment, in training."""

    @property
    def least(self) -> int:
        """Bytes without which one worker cannot train even a small network."""
        return LEAST_BYTES + self.data + self.call

    @property
    def limit(self) -> int:
        """Resident bytes that a worker may have. The data count fully, shared or not: they are resident in each."""
        return self.data + self.own

    @property
    def own(self) -> int:
        """The same without the data, which processes of one machine have in common."""
        return AMPLE_BYTES + self.call + self.network

    def text(self) -> str:
        """The least need and its parts, for people."""
        parts = f"data {gib(self.data)}, one call {gib(self.call)}, TensorFlow {gib(LEAST_BYTES)}"
        return f"about {gib(self.least)} of memory ({parts})"


def memory_need(experiment: Experiment, split: Split, space: SearchSpace | None = None) -> MemoryNeed:
    """What a worker needs for the networks of an experiment on these data; without a space, for its dense networks."""
    space = space or DenseSpace(experiment.space, experiment.training)
    searched = experiment.training.searched.get("batch_size")
    batches = [experiment.training.batch_size if searched is None else int(searched.largest())]
    batches += [each.training.batch_size or 0 for each in experiment.space.networks or ()]
    most = max(rows_per_call(most, split.inputs) for most in (MOST_TRAINING_ROWS, MOST_SCORING_ROWS))
    rows = min(max(most, *batches), len(split.train))
    return MemoryNeed(
        data=sum(part.images.nbytes + part.labels.nbytes for _, part in split.parts()),
        call=CALL_COPIES * 4 * rows * split.inputs + min(len(split.validation), len(split.train)) * split.inputs,
        network=NETWORK_COPIES * 4 * space.largest(split.inputs, split.classes)
        + ACTIVATION_COPIES * 4 * space.activation_count * max(batches),
    )


def gib(size: float) -> str:
    """Bytes as text, such as `3.9 GiB`."""
    return f"{size / GIB:.1f} GiB"

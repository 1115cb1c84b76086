"""How many workers there is use and memory for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.shared_split import SharedSplit
from pipeline.data.split import Part, Split
from pipeline.errors import InputError
from pipeline.experiment import load
from pipeline.models.dense import DenseSpec
from pipeline.search.workers.choose import (
    _free_memory,
    jobs,
    memory_line,
    refuse_too_little_memory,
    start_workers,
    workers_of_use,
    workers_that_fit,
)
from pipeline.search.workers.memory_need import GIB, MemoryNeed, memory_need

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("name", "changed", "expected"),
    [
        ("fashion_mnist", {}, 24),  # trials; 3 finalists of 5 seeds are fewer
        ("fashion_mnist", {"search.trials": "2"}, 15),
        ("notebook", {}, 10),  # 2 networks of 5 seeds
        ("notebook", {"evaluation.seeds": "1"}, 2),
        ("placement", {"evaluation.seeds": "2"}, 42),
    ],
)
def test_there_is_use_for_workers_in_the_search_or_in_the_refits_after_it(name, changed, expected):
    assert jobs(load(name, changed)) == expected


@pytest.mark.parametrize("few", [1, 2, 3])
def test_one_worker_is_enough_for_up_to_three_networks(few):
    assert workers_of_use(few, units=8) == 1


def test_there_are_no_more_workers_than_gpus_or_cores():
    assert workers_of_use(24, units=2) == 2


NEED = MemoryNeed(data=4 * GIB, call=GIB // 4, network=GIB // 4)
"""Each worker may take 2 + 1/4 + 1/4 = 2.5 GiB of its own; the data are there once. The least is 0.75 + 4 + 0.25 = 5 GiB."""


@pytest.mark.parametrize(
    ("free", "expected"),
    [(64, 8), (24, 8), (23.9, 7), (9, 2), (8.9, 1), (5, 1)],  # 4 + 8 x 2.5 = 24; 4 + 2 x 2.5 = 9
)  # fmt: skip
def test_auto_starts_as_many_workers_as_fit_with_the_data_counted_once(free, expected):
    assert workers_that_fit(8, NEED, int(free * GIB)) == expected


def test_fewer_workers_for_want_of_memory_are_said_with_the_figures():
    assert memory_line(8, 2, NEED, 9 * GIB) == (
        "workers: 2 instead of 8, since memory is short: there are 9.0 GiB; each takes up to 2.5 GiB, and the data 4.0 GiB "
        "once"
    )
    assert memory_line(8, 8, NEED, 24 * GIB) is None


def test_more_workers_than_fit_are_started_where_asked_for_with_a_warning():
    """At least 4 + 8 x (0.75 + 0.25) = 12 GiB."""
    assert memory_line(8, 8, NEED, 12 * GIB) is None
    assert memory_line(8, 8, NEED, 12 * GIB - 1) == (
        "warning: 8 workers need at least 12.0 GiB of memory, and there are 12.0 GiB; search.workers=3 fits"
    )


def test_data_that_not_even_one_worker_could_train_on_are_refused_with_the_figures_and_the_cure():
    refuse_too_little_memory(NEED, 5 * GIB)
    with pytest.raises(InputError) as refused:
        refuse_too_little_memory(NEED, 4 * GIB)
    assert str(refused.value) == (
        "training needs about 5.0 GiB of memory (data 4.0 GiB, one call 0.2 GiB, TensorFlow 0.8 GiB), and there are 4.0 GiB "
        "for it; expected room for one worker: take fewer or smaller images (data.path), end other programs, or raise the "
        "memory limit of the container"
    )


def test_nothing_is_started_for_data_that_do_not_fit(session, monkeypatch):
    monkeypatch.setattr("pipeline.search.workers.machine.free_memory", lambda: GIB // 2)
    with pytest.raises(InputError, match=r"^training needs about 0\.8 GiB .* there are 0\.5 GiB for it"):
        start_workers(session).__enter__()


def blank(side: int, train: int, held: int) -> Split:
    """Images without memory of their own: a view of one zero."""

    def part(count: int) -> Part:
        return Part(np.broadcast_to(np.uint8(0), (count, side, side)), np.broadcast_to(np.int64(0), (count,)))

    return Split(part(train), part(held), part(held), tuple("abcdefghij"), 255, "digest", "fingerprint")


def test_the_need_of_large_images_is_mostly_theirs():
    """50,000 and twice 5,000 images of 128x128: 16,384 bytes each, and 8 for the label. A call has 1,024 images of 65,536
    bytes as float32, three times, and as many training images as there are for validation are scored after each epoch.
    """
    need = memory_need(load("smoke", {"space.hidden": "[8, 16]", "space.depth": "[1, 2]"}), blank(128, 50_000, 5_000))
    assert need.data == 60_000 * (16_384 + 8)
    assert need.call == 3 * 1_024 * 65_536 + 5_000 * 16_384
    assert need.network == 10 * 4 * (16_385 * 16 + 17 * 16 + 17 * 10)
    assert need.limit == 2 * GIB + need.data + need.call + need.network


def test_a_batch_larger_than_a_call_is_a_call_and_no_call_is_larger_than_the_data():
    images = blank(128, 4_000, 10)
    batches = {"training.batch_size": "3000"}
    assert memory_need(load("smoke", batches), images).call == 3 * 3_000 * 65_536 + 10 * 16_384
    batches = {"training.batch_size": "9000"}
    assert memory_need(load("smoke", batches), images).call == 3 * 4_000 * 65_536 + 10 * 16_384


def test_the_largest_of_fixed_networks_counts_and_its_own_batch():
    experiment = load("notebook")
    largest = max(DenseSpec.of(each).parameters(784, 10) for each in experiment.space.networks or ())
    assert memory_need(experiment, blank(28, 50_000, 10_000)).network == 40 * largest


def test_fashion_mnist_needs_little_more_than_tensorflow():
    need = memory_need(load("fashion_mnist"), blank(28, 50_000, 10_000))
    assert need.least < 1 * GIB
    assert need.limit < 2.4 * GIB


def test_data_that_are_in_memory_already_take_no_more_of_it(session, monkeypatch):
    """As arrays of this process, or in the files of a tmpfs; files on a disk are read into memory."""
    monkeypatch.setattr("pipeline.search.workers.machine.free_memory", lambda: 7)
    assert _free_memory(session, NEED) == 4 * GIB + 7
    shared = SharedSplit(Path("/nowhere"), ("a",), 16, "digest", "fingerprint")
    on_files = replace(session, prepared=replace(session.prepared, shared=shared))
    for in_memory, room in ((True, 4 * GIB + 7), (False, 7)):
        monkeypatch.setattr("pipeline.search.workers.machine.is_memory", lambda _folder, is_so=in_memory: is_so)
        assert _free_memory(on_files, NEED) == room

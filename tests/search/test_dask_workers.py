"""Real Dask clusters: processes on this machine, and a scheduler with workers of its own over TLS."""

import dataclasses
import gc
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from distributed.utils import LoopRunner

from pipeline.data.formats import digits
from pipeline.data.shared_split import share
from pipeline.errors import InputError, StoreError
from pipeline.experiment import Data, Training
from pipeline.models.dense import DenseSpec
from pipeline.models.recipe import Recipe
from pipeline.search.workers import fork_server, run_job
from pipeline.search.workers.dask import package, start
from pipeline.search.workers.dask.deaths import DEATHS
from pipeline.search.workers.dask.workers import HUNG_SECONDS
from pipeline.search.workers.jobs import Job
from pipeline.search.workers.memory_need import GIB, MemoryNeed
from pipeline.training.runtime import gpus
from tests.search.processes import Cluster, kill, training, wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

ROOT = Path(__file__).parent.parent.parent
SETTINGS = Training(epochs=3, batch_size=32, learning_rate=0.01, patience=None)


@pytest.fixture(scope="module", autouse=True)
def server():
    """The server of which workers are copies, as steps start it."""
    fork_server.start()
    assert fork_server.method() == ("forkserver" if sys.platform == "linux" and not gpus() else "spawn")
    yield
    fork_server._started = False  # the tests of other files start their workers anew


def no_pictures(_result, _split):
    return {"none.png": b"drawn"}


def dies(result, _split):
    """Kills its worker, as a crash of the process would."""
    if result.recipe.spec.hidden == (13,):
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def hangs(folder):
    """Pictures that are never returned by a network of one width, in a call that nothing interrupts; leaves a file then. A
    function within a function travels by value: workers know no tests.
    """

    def hang(result, _split):
        import signal
        import threading

        if result.recipe.spec.hidden == (13,):
            (folder / "hangs").touch()
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.Signals)
            threading.Event().wait()
        return {}

    return hang


def an_hour_later(workers, folder) -> dict:
    """Waits until job 0 hangs, which a trial may do for an hour, and lets that pass; returns what ended meanwhile."""
    outcomes: dict = {}
    workers.trial_minutes = 60

    def hung() -> bool:
        outcomes.update({each.number: each for each in workers.finished()})
        return (folder / "hangs").exists() and 0 in workers._began

    wait_until(hung)
    workers._began[0] -= 60 * 60 + HUNG_SECONDS
    return outcomes


def job(number: int, width: int = 8, **changes) -> Job:
    spec = DenseSpec((width,), (0, 0.2), ("relu",))
    return Job(number, Recipe(spec), SETTINGS.model_copy(update=changes), 5 + number, changes.get("epochs", 3))


def collect(workers, count: int, seconds: float = 900) -> dict:
    outcomes: dict = {}
    end = time.monotonic() + seconds
    while len(outcomes) < count and time.monotonic() < end:
        for outcome in workers.finished():
            assert outcome.number not in outcomes, "an outcome came twice"
            outcomes[outcome.number] = outcome
    assert len(outcomes) == count
    return outcomes


def first(workers) -> dict:
    """The first outcome that comes."""
    return collect(workers, 1)


def test_two_processes_give_the_same_bits_as_this_one_and_bring_their_pictures(digits_split, tensorflow):
    with start.local(2, digits_split, no_pictures) as workers:
        assert workers.count == 2
        for number in range(4):
            workers.submit(job(number))
        outcomes = collect(workers, 4)
    for number, outcome in outcomes.items():
        here = run_job.run_job(job(number), digits_split, no_pictures)
        assert outcome.result is not None
        assert here.result is not None
        assert outcome.result.history == here.result.history
        assert outcome.pictures == {"none.png": b"drawn"}
        for theirs, ours in zip(outcome.result.weights, here.result.weights, strict=True):
            assert np.array_equal(theirs, ours)


def test_processes_of_this_machine_map_the_data_and_train_to_the_same_bits(digits_split, tmp_path):
    def mapped(_result, _split):
        from pathlib import Path

        files = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(".npy")}
        return {"files": "\n".join(sorted(files)).encode()}

    shared = share(digits(), Data(dataset="digits", validation=0.1, test=0.1), tmp_path)
    with start.local(2, shared, mapped) as workers:
        for number in range(2):
            workers.submit(job(number, epochs=1))
        outcomes = collect(workers, 2)
    parts = ("test", "train", "validation")
    files = sorted(str(tmp_path / f"{part}_{kind}.npy") for part in parts for kind in ("images", "labels"))
    for number, outcome in outcomes.items():
        assert outcome.pictures["files"].decode().splitlines() == files
        here = run_job.run_job(job(number, epochs=1), digits_split, no_pictures)
        assert outcome.result is not None
        assert here.result is not None
        assert outcome.result.history == here.result.history
        assert all(np.array_equal(*pair) for pair in zip(outcome.result.weights, here.result.weights, strict=True))


@pytest.fixture(scope="module")
def killed(digits_split, server):
    """A job that killed its worker three times and two that did not; then a refit with the number of the first, and the
    deaths that were held against it: before the refit, and after it.
    """
    with start.local(2, digits_split, dies) as workers:
        for number, width in enumerate((8, 13, 9)):
            workers.submit(job(number, width, epochs=1))
        outcomes, deaths = collect(workers, 3), [workers._deaths.of(1)]
        workers.submit(job(1, 8, epochs=1))
        refit = collect(workers, 1)[1]
        deaths.append(workers._deaths.of(1))
    return outcomes, refit, deaths


def test_a_job_that_kills_its_worker_three_times_fails_with_that_reason_and_the_others_finish(killed):
    outcomes, _, _ = killed
    assert outcomes[1].result is None
    assert outcomes[1].failure == "killed its worker 3 times (out of memory, a crash, or ended from outside)"
    assert outcomes[0].result is not None
    assert outcomes[2].result is not None


def test_what_killed_workers_as_a_trial_is_not_held_against_a_refit_of_the_same_number(killed):
    outcomes, refit, deaths = killed
    assert outcomes[1].result is None
    assert refit.result is not None
    assert deaths == [DEATHS, 0]


def test_a_job_that_hangs_longer_than_a_trial_may_take_fails_its_worker_is_restarted_and_the_others_finish(
    digits_split, tmp_path
):
    with start.local(2, digits_split, hangs(tmp_path)) as workers:
        for number, width in enumerate((13, 8, 9, 8)):
            workers.submit(job(number, width))
        outcomes = an_hour_later(workers, tmp_path)
        outcomes |= collect(workers, 4 - len(outcomes))
        assert outcomes[0].failure == "did not stop after search.trial_minutes=60; its worker was restarted"
        assert all(outcomes[number].result is not None for number in (1, 2, 3))
        workers.submit(job(4))
        workers.submit(job(5))
        assert {each.failure for each in collect(workers, 2).values()} == {None}


def known_to(aside, number: int) -> list[str]:
    """Keys of a job that the scheduler still has."""

    def keys(dask_scheduler):
        return [str(key) for key in dask_scheduler.tasks]

    return [key for key in aside.run_on_scheduler(keys) if key.startswith(f"narrowgap-{number}-")]


def test_a_worker_without_a_nanny_that_hangs_is_taken_from_the_scheduler_ends_and_the_others_finish(
    digits_split, dask_cluster, tmp_path
):
    """Were its job kept, Dask would give it to a worker that starts at the same address."""
    with (
        dask_cluster.aside() as aside,
        start.remote(dask_cluster.address, digits_split, hangs(tmp_path)) as workers,
    ):
        hung = dask_cluster.start_worker("--no-nanny")
        workers.submit(job(0, 13, epochs=1))
        assert an_hour_later(workers, tmp_path) == {}
        (address,) = training(aside)
        dask_cluster.start_worker("--no-nanny")
        workers.submit(job(1, epochs=1))
        outcomes = collect(workers, 2)
        assert outcomes[0].failure == (
            "did not stop after search.trial_minutes=60; its worker has no nanny that could restart it, and was asked to end"
        )
        assert outcomes[1].failure is None
        assert known_to(aside, 0) == []
        assert address not in training(aside)
        wait_until(lambda: hung.poll() is not None)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1:9", r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 .*dask scheduler"),
        ("tls://127.0.0.1:9", r"no Dask scheduler answers at tls://127\.0\.0\.1:9 .*check your TLS configuration"),
    ],
)  # fmt: skip
def test_no_scheduler_at_the_address_is_told_with_the_cure(digits_split, monkeypatch, address, message):
    monkeypatch.setattr(start, "CONNECT_SECONDS", 2)
    nobody = start.remote(address, digits_split, no_pictures)
    with pytest.raises(StoreError, match=message):
        nobody.__enter__()


def fails_to_connect(address, split) -> None:
    """In a function of its own, so that nothing holds on to what was begun."""
    with pytest.raises(StoreError):
        start.remote(address, split, no_pictures).__enter__()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tls://127.0.0.1:9"])
def test_a_connection_that_failed_leaves_no_thread_and_the_garbage_collector_nothing_to_close(
    digits_split, monkeypatch, address
):
    """Dask's client closes itself when it is collected, under a lock that the collector may have come in the middle of: that
    of the next client's start, for one. The driver then waits for itself, for ever.
    """
    monkeypatch.setattr(start, "CONNECT_SECONDS", 1)
    loops = {thread for thread in threading.enumerate() if thread.name == "IO loop"}
    gc.disable()
    try:
        fails_to_connect(address, digits_split)
        assert {thread for thread in threading.enumerate() if thread.name == "IO loop"} <= loops
        collector = threading.Thread(target=gc.collect, daemon=True)
        with LoopRunner._lock:
            collector.start()
            collector.join(timeout=20)
            waits_for_the_lock = collector.is_alive()
        assert not waits_for_the_lock
    finally:
        gc.enable()


@pytest.fixture
def dask_cluster(tmp_path):
    """A scheduler, without workers yet."""
    cluster = Cluster(tmp_path)
    cluster.start_scheduler()
    yield cluster
    cluster.close()


def by_process():
    """Pictures that tell which process trained. A function within a function travels by value: workers know no tests."""

    def who(_result, _split):
        import os

        return {"process": str(os.getpid()).encode()}

    return who


def processes(outcomes) -> list[bytes]:
    return [outcomes[number].pictures["process"] for number in sorted(outcomes)]


def test_a_scheduler_that_no_worker_joins_ends_with_how_to_start_one(digits_split, dask_cluster):
    with start.remote(dask_cluster.address, digits_split, no_pictures) as workers:
        workers.wait_minutes = 1 / 60
        workers.submit(job(0))
        with pytest.raises(
            StoreError, match=r"has had no worker for 0.0166667 min .*start one with `dask worker tcp://"
        ):
            collect(workers, 1)


def held(folder):
    """Pictures that take until the file `hold` in the folder is gone; who draws leaves a file of its own there."""
    who = by_process()

    def waits(result, split):
        import os
        import time

        (folder / f"trial-{os.getpid()}").touch()
        while (folder / "hold").exists():
            time.sleep(0.05)
        return who(result, split)

    return waits


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory):
    """A cluster with one worker, which imports TensorFlow once for the tests that leave it alive."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start_scheduler()
    cluster.start_worker()
    yield cluster
    cluster.close()


def test_a_worker_with_other_code_that_another_one_has_replaced_when_it_is_looked_at_costs_no_network_anything(
    digits_split, one_worker, monkeypatch
):
    """Their address is known as sound: of a worker before them."""
    with (
        one_worker.aside() as aside,
        start.remote(one_worker.address, digits_split, by_process()) as workers,
    ):
        workers.submit(job(0, epochs=1))
        assert collect(workers, 1)[0].failure is None
        refuse, looked = workers._code.refuse, []

        def too_late(client, address):
            looked.append(address)
            aside.run(have(package.version()))
            refuse(client, address)

        monkeypatch.setattr(workers._code, "refuse", too_late)
        aside.run(have("another version"))
        workers.submit(job(1, epochs=1))
        assert collect(workers, 1)[1].failure is None
        assert len(looked) == 1


def test_a_worker_with_other_code_that_has_left_when_it_is_looked_at_costs_no_network_anything(
    digits_split, dask_cluster, monkeypatch
):
    other = dask_cluster.start_worker()
    with (
        dask_cluster.aside() as aside,
        start.remote(dask_cluster.address, digits_split, by_process()) as workers,
    ):
        workers.submit(job(0, epochs=1))
        assert collect(workers, 1)[0].failure is None
        outcome, failed = workers._outcome, []

        def too_late(ended, future, address):
            if future.status == "error":
                failed.append(address)
                kill(other)
                wait_until(lambda: not aside.scheduler_info()["workers"])
                dask_cluster.start_worker()
            return outcome(ended, future, address)

        monkeypatch.setattr(workers, "_outcome", too_late)
        aside.run(have("another version"))
        workers.submit(job(1, epochs=1))
        assert collect(workers, 1)[1].failure is None
        assert len(failed) == 1


def have(version):
    """Makes a process of the cluster take the package that it has for this version."""

    def sent():
        import pipeline

        vars(pipeline)["sent"] = version

    return sent


def test_a_worker_that_trained_for_another_version_of_the_package_is_sent_this_one_and_that_only_once(
    digits_split, one_worker, tmp_path
):
    """It may still import from the package that it has."""
    old = shutil.copytree(ROOT / "pipeline", tmp_path / "old" / "pipeline", ignore=shutil.ignore_patterns("*.pyc"))
    (old / "search" / "workers" / "run_job.py").write_text("def train(*_): raise NotImplementedError")

    def imports_it():
        import pipeline.search.workers.run_job

        return pipeline.search.workers.run_job.__file__

    def written(dask_worker):
        from pathlib import Path

        return (Path(dask_worker.local_directory) / "narrowgap_pipeline.zip").stat().st_mtime_ns

    with one_worker.aside() as aside:
        aside.wait_for_workers(1)
        aside.upload_file(shutil.make_archive(str(tmp_path / "narrowgap_pipeline"), "zip", old.parent, "pipeline"))
        aside.run_on_scheduler(have("another version"))
        assert aside.submit(imports_it).result().endswith("narrowgap_pipeline.zip/pipeline/search/workers/run_job.py")
        seen = [aside.run(written)]
        for _ in range(2):
            with start.remote(one_worker.address, digits_split, by_process()) as workers:
                workers.submit(job(0, epochs=1))
                assert collect(workers, 1)[0].failure is None
            seen.append(aside.run(written))
    before, first_search, second_search = seen
    assert before != first_search == second_search


def test_a_search_of_another_version_leaves_the_workers_of_one_that_trains_alone(digits_split, one_worker, tmp_path):
    (tmp_path / "hold").touch()
    with (
        one_worker.aside() as aside,
        start.remote(one_worker.address, digits_split, held(tmp_path)) as workers,
    ):
        try:
            workers.submit(job(0))
            wait_until(lambda: workers.finished() == [] and list(tmp_path.glob("trial-*")))
            aside.run_on_scheduler(have("another version"))  # for this one, the search above has another version
            with (
                pytest.raises(InputError, match="train for a search with another version of Narrowgap: wait for it"),
                start.remote(one_worker.address, digits_split, by_process()),
            ):
                pass
            (tmp_path / "hold").unlink()
            assert collect(workers, 1)[0].failure is None
            aside.run(have("another version"))  # and now another one's code is there
            workers.submit(job(1))
            with pytest.raises(InputError, match="or another version of Narrowgap"):
                collect(workers, 1)
        finally:  # the cluster is as it was
            (tmp_path / "hold").unlink(missing_ok=True)
            aside.run_on_scheduler(have(package.version()))
            aside.run(have(package.version()))


def test_jobs_wait_for_a_worker_one_that_joins_later_gets_its_share_and_one_that_leaves_gracefully_loses_nothing(
    digits_split, dask_cluster, tmp_path
):
    joining, leaving = (tmp_path / name for name in ("joining", "leaving"))
    for folder in (joining, leaving):
        folder.mkdir()
        (folder / "hold").touch()
    with dask_cluster.aside() as aside:
        with start.remote(dask_cluster.address, digits_split, held(joining)) as workers:
            assert workers.present == 0
            for number in range(4):
                workers.submit(job(number))
            assert [workers.finished() for _ in range(2)] == [[], []]
            dask_cluster.start_worker()
            wait_until(lambda: workers.finished() == [] and len(list(joining.glob("trial-*"))) == 1)
            dask_cluster.start_worker()
            wait_until(lambda: workers.finished() == [] and len(list(joining.glob("trial-*"))) == 2)
            (joining / "hold").unlink()
            outcomes = collect(workers, 4)
        assert all(outcome.result.epochs_run == 3 for outcome in outcomes.values())
        assert len(set(processes(outcomes))) == 2
        with start.remote(dask_cluster.address, digits_split, held(leaving)) as workers:
            for number in range(2):
                workers.submit(job(number))
            wait_until(lambda: len(list(leaving.glob("trial-*"))) == 2)
            retired, _ = training(aside)
            aside.retire_workers([retired], close_workers=True)
            assert retired not in training(aside)
            (leaving / "hold").unlink()
            outcomes = collect(workers, 2)
            assert not workers._deaths
    assert {number: outcome.failure for number, outcome in outcomes.items()} == dict.fromkeys(range(2))
    assert len(set(processes(outcomes))) == 1


def test_another_package_named_pipeline_on_the_workers_is_refused_before_it_is_replaced(
    digits_split, dask_cluster, tmp_path
):
    (tmp_path / "pipeline").mkdir()  # where the workers are started
    (tmp_path / "pipeline" / "__init__.py").write_text('"""Cleans the sales figures."""\nprice = 7\n')

    def price():
        import pipeline

        return vars(pipeline)["price"]

    dask_cluster.start_worker()
    with dask_cluster.aside() as aside:
        aside.wait_for_workers(1)
        for imported in (False, True):
            if imported:
                assert aside.submit(price).result() == 7
            refused = pytest.raises(InputError, match=r"another package named pipeline \(.*/__init__\.py\)")
            with refused, start.remote(dask_cluster.address, digits_split, by_process()):
                pass
        assert aside.submit(price, pure=False).result() == 7


def test_a_worker_that_joins_later_with_other_code_ends_the_search_and_no_network_is_blamed(
    digits_split, dask_cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(package, "JOIN_SECONDS", 2)
    (tmp_path / "later.py").write_text(
        "import sys, types\n"
        "sys.modules['pipeline'] = types.ModuleType('pipeline')\n"
        "sys.modules['pipeline'].__path__ = []\n"
        "sys.modules['pipeline.search'] = types.ModuleType('pipeline.search')\n"
    )
    with start.remote(dask_cluster.address, digits_split, by_process()) as workers:
        dask_cluster.start_worker("--preload", str(tmp_path / "later.py"))
        workers.submit(job(0))
        with pytest.raises(InputError, match="has another package named pipeline, or another version of Narrowgap"):
            collect(workers, 1)


def test_a_worker_that_joins_later_with_a_package_of_its_own_named_pipeline_is_refused_and_keeps_it(
    digits_split, dask_cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(package, "JOIN_SECONDS", 2)
    (tmp_path / "imports.py").write_text("import pipeline\n")

    def price():
        import pipeline

        return vars(pipeline)["price"]

    with (
        dask_cluster.aside() as aside,
        start.remote(dask_cluster.address, digits_split, by_process()) as workers,
    ):
        (tmp_path / "pipeline").mkdir()  # where the workers are started
        (tmp_path / "pipeline" / "__init__.py").write_text('"""Cleans the sales figures."""\nprice = 7\n')
        dask_cluster.start_worker()
        dask_cluster.start_worker("--preload", str(tmp_path / "imports.py"))
        aside.wait_for_workers(2)
        workers.submit(job(0))
        with pytest.raises(InputError, match=r"has another package named pipeline.*\(.*/pipeline/__init__\.py\)"):
            collect(workers, 1)
        assert list(aside.run(price).values()) == [7, 7]


def test_a_scheduler_that_goes_away_and_comes_back_at_its_address_loses_no_job(digits_split, tmp_path):
    dask_cluster = Cluster(tmp_path)
    scheduler, worker = dask_cluster.start_scheduler(), dask_cluster.start_worker()
    try:
        with start.remote(dask_cluster.address, digits_split, by_process()) as workers:
            for number in range(4):
                workers.submit(job(number))
            outcomes = first(workers)
            kill(scheduler)
            kill(worker)  # it would end by itself, with its scheduler gone
            scheduler, worker = dask_cluster.start_scheduler(), dask_cluster.start_worker()
            outcomes |= collect(workers, 4 - len(outcomes))
            assert {number: outcome.failure for number, outcome in outcomes.items()} == dict.fromkeys(range(4))
            assert len(set(processes(outcomes))) == 2
            kill(worker)
            comes_back_while_the_driver_is_busy(dask_cluster, scheduler, workers)
    finally:
        dask_cluster.close()


def test_a_scheduler_that_came_back_before_any_job_is_given_everything_anew(digits_split, tmp_path):
    dask_cluster = Cluster(tmp_path)
    scheduler = dask_cluster.start_scheduler()
    try:
        with start.remote(dask_cluster.address, digits_split, by_process()) as workers:
            comes_back_while_the_driver_is_busy(dask_cluster, scheduler, workers)
    finally:
        dask_cluster.close()


def comes_back_while_the_driver_is_busy(dask_cluster, scheduler, workers) -> None:
    """Dask's client has connected again by itself; but this scheduler knows neither the split nor the package."""
    kill(scheduler)
    wait_until(lambda: workers._client.status != "running")
    dask_cluster.start_scheduler()
    dask_cluster.start_worker()
    wait_until(lambda: workers._client.status == "running")
    workers.submit(job(0))
    assert collect(workers, 1)[0].failure is None


def test_a_worker_is_renewed_between_trials_once_it_has_compiled_so_many_networks_and_no_trial_is_lost(digits_split):
    """The second job has the program of the first; the fourth finds two programs compiled."""

    def renews_after_2(_result, _split):
        import os

        from pipeline.search.workers.dask import job as there

        there.RENEWED_AFTER = 2
        return {"process": str(os.getpid()).encode()}

    with start.local(1, digits_split, renews_after_2) as workers:
        for number, width in enumerate((8, 8, 9, 10)):
            workers.submit(job(number, width, epochs=1))
        outcomes = collect(workers, 4)
        assert not workers._deaths
    assert {number: outcome.failure for number, outcome in outcomes.items()} == dict.fromkeys(range(4))
    one, two, three, four = processes(outcomes)
    assert one == two == three != four


def test_each_worker_sees_a_gpu_of_its_own_and_a_renewed_one_the_same_again(digits_split):
    """Their names alone: there is no GPU here to train on."""

    def sees(_result, _split):
        import os

        from pipeline.search.workers.dask import job as there

        there.RENEWED_AFTER = 1
        return {"process": os.environ["CUDA_VISIBLE_DEVICES"].encode()}

    with start.local(2, digits_split, sees, gpus=["3", "5"]) as workers:
        for number in range(4):
            workers.submit(job(number, epochs=1))
        outcomes = collect(workers, 4)
    assert set(processes(outcomes)) == {b"3", b"5"}


NEED = MemoryNeed(data=2 * GIB, call=GIB // 4, network=0)
"""The least is 0.75 + 2 + 0.25 = 3 GiB."""


def test_workers_of_a_scheduler_that_are_too_small_for_the_data_get_none_and_if_all_are_it_is_said(
    digits_split, dask_cluster
):
    with start.remote(dask_cluster.address, digits_split, by_process(), NEED) as workers:
        workers.submit(job(0))
        assert workers.finished() == []
        dask_cluster.start_worker("--memory-limit", "2GiB")
        with pytest.raises(InputError, match=r"have at most 2\.0 GiB"):  # as soon as it comes
            collect(workers, 1)
    with dask_cluster.aside() as aside:
        aside.wait_for_workers(1)
        message = (
            r"^training needs about 3\.0 GiB of memory \(data 2\.0 GiB, one call 0\.2 GiB, TensorFlow 0\.8 GiB\), and the 1 "
            r"workers of the Dask scheduler tcp://127\.0\.0\.1:\d+ have at most 2\.0 GiB; expected .*--memory-limit"
        )
        with pytest.raises(InputError, match=message):
            start.remote(dask_cluster.address, digits_split, by_process(), NEED).__enter__()
        dask_cluster.start_worker("--memory-limit", "3GiB")
        aside.wait_for_workers(2)
        with start.remote(dask_cluster.address, digits_split, by_process(), NEED) as workers:
            assert (workers.present, list(workers.memory_limits.small.values())) == (1, [2 * GIB])
            for number in range(3):
                workers.submit(job(number, epochs=1))
            outcomes = collect(workers, 3)
    assert len(set(processes(outcomes))) == 1


def test_when_all_workers_that_are_large_enough_leave_it_waits_for_others_and_then_says_so(digits_split, dask_cluster):
    first, _ = (dask_cluster.start_worker("--memory-limit", size) for size in ("4GiB", "2GiB"))
    with dask_cluster.aside() as aside:
        aside.wait_for_workers(2)
        with start.remote(dask_cluster.address, digits_split, by_process(), NEED) as workers:
            workers.submit(job(0, epochs=1))
            collect(workers, 1)
            kill(first)
            wait_until(lambda: len(aside.scheduler_info()["workers"]) == 1)
            workers.submit(job(1, epochs=1))
            assert workers.finished() == []
            second = dask_cluster.start_worker("--memory-limit", "3GiB")
            assert collect(workers, 1)[1].failure is None
            kill(second)
            wait_until(lambda: len(aside.scheduler_info()["workers"]) == 1)
            workers.submit(job(2, epochs=1))
            workers.wait_minutes = 0.05
            message = (
                r"has had no worker with enough memory \(training needs about 3\.0 GiB of memory .*, those that are there "
                r"have at most 2\.0 GiB\) for 0\.05 min \(search\.wait_minutes\)"
            )
            with pytest.raises(StoreError, match=message):
                collect(workers, 1)


def heavy():
    """Kills the worker that unpickles it, as data do that are too large for it; a scheduler holds it and hands it on."""

    class Heavy:
        def __reduce__(self):
            return unpickled, ()

    def unpickled():
        import os

        import distributed

        if distributed.Worker._instances:
            os.kill(os.getpid(), 9)
        return Heavy()

    return Heavy()


def test_workers_that_the_data_kill_are_held_against_the_data_and_not_against_the_networks(digits_split, dask_cluster):
    split = dataclasses.replace(digits_split, class_names=heavy(), fingerprint="heavy")
    dask_cluster.start_worker("--memory-limit", "4GiB")
    with (
        dask_cluster.aside() as aside,
        start.remote(dask_cluster.address, split, by_process(), NEED) as workers,
    ):
        aside.wait_for_workers(1)
        workers.submit(job(0))
        message = (
            r"^the data killed their workers \d times before training began \(out of memory, a crash, or ended from "
            r"outside\): training needs about 3\.0 GiB of memory .*expected room for the data"
        )
        with pytest.raises(InputError, match=message):
            collect(workers, 1)
        assert not workers._deaths


def test_a_network_that_kills_a_remote_worker_is_charged_with_it_and_the_data_are_not(digits_split, dask_cluster):
    def dies_there(_result, _split):
        import os

        os.kill(os.getpid(), 9)
        return {}

    dask_cluster.start_worker("--memory-limit", "4GiB")
    with start.remote(dask_cluster.address, digits_split, dies_there, NEED) as workers:
        workers.submit(job(0, epochs=1))
        outcomes = collect(workers, 1)
        assert workers._deaths.of_data == 0
    assert outcomes[0].failure == "killed its worker 3 times (out of memory, a crash, or ended from outside)"

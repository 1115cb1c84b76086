"""The workers of a Dask scheduler, those of this machine included: hands them jobs, and notices which were lost, hang, or
kill their worker. (A single worker of this machine is the driver itself: `jobs.InProcess`.)

A worker that dies loses nothing: its job is trained again elsewhere, with the same result, since a trial is a pure
function of its job. A job that kills three workers fails with that reason. Only the driver has state. If the scheduler
restarts, the driver submits the open jobs again. The driver also counts deaths itself, since Dask would blame every job
in a dead worker's queue.

How a death is noticed, and what follows:

- `_requeue_lost_jobs`: the worker is gone. Its job is put in front of those that wait.
- `_outcome`: Dask ends the job of a dead worker as lost, or as `KilledWorker` if the worker was back at its address each
  time. `_ended`, which calls it, puts the job in front likewise.
- `_count_death`: both report a death to it, and it fails the job at the third. A worker that announced its end has not died:
  its job is trained again.
- `_count_data_death`: a worker of a cluster that dies before its job begins dies of the data. Three in a row end the run.
  Workers of this machine read the data after a job has begun, so each death counts against its job.
"""

import math
import queue
import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

import distributed

from pipeline.data.shared_split import SharedSplit
from pipeline.data.split import Split
from pipeline.errors import InputError, StoreError
from pipeline.search.workers import run_job
from pipeline.search.workers.dask import connection, package
from pipeline.search.workers.dask.connection import UNREACHABLE
from pipeline.search.workers.dask.deaths import Deaths
from pipeline.search.workers.dask.job import BEGUN, OtherCodeError, import_tensorflow, pass_on, train_job
from pipeline.search.workers.dask.memory_limits import MemoryLimits
from pipeline.search.workers.dask.stall_notice import StallNotice
from pipeline.search.workers.jobs import Draw, Job, Outcome, match
from pipeline.search.workers.memory_need import MemoryNeed
from pipeline.training.program_cache import program_key

RECONNECT_SECONDS = 300
"""How long a search waits for a scheduler that went away."""
HUNG_SECONDS = 60
"""How long after its time a job may still be compiling, in its last epoch, or drawing."""
RESTART_SECONDS = 60
"""How long a worker that hangs is waited for, to be there again."""
ENDED = {
    "OK": "was restarted",
    "removed": "has no nanny that could restart it, and was asked to end",
    "timed out": "was to be restarted and has not come back",
    None: "has left",
}
"""What became of a worker that hung, by the scheduler's answer."""
NOT_ENDED = "could not be restarted"
POLL_SECONDS = 0.5
GONE = (OSError, distributed.client.ClosedClientError)
"""What a request to a scheduler that has just gone away raises."""
ABSENT_SECONDS = 600
"""How long all workers of this machine may be away before that is an error."""
ANSWER_SECONDS = 30
"""Time limit for the scheduler to list its workers."""
FETCH_SECONDS = 60
"""Time limit for fetching a result; a worker that died meanwhile has none."""


class DaskWorkers:
    """Trains on all workers of a Dask scheduler; workers may join and leave."""

    def __init__(
        self,
        connect: Callable[[], distributed.Client],
        data: Split | SharedSplit,
        draw: Draw,
        count: int | None = None,
        need: MemoryNeed | None = None,
        code: str | None = None,
    ) -> None:
        self._code = package.CodeCheck(code)
        self._connect, self._split, self._draw = connect, data, draw
        self._done: queue.Queue[tuple[Job, distributed.Future]] = queue.Queue()
        self._open: dict[int, tuple[Job, distributed.Future, str]] = {}
        """Handed out: the job, its future, and the worker it was meant for."""
        self._waiting: deque[Job] = deque()
        self._programs: defaultdict[str, set[Hashable]] = defaultdict(set)
        """Compiled programs by worker, as far as the driver knows: a worker that was renewed has fewer."""
        self._deaths = Deaths(need)
        self._hung: set[str] = set()
        """Workers that hang and could not be restarted; they are given no jobs."""
        self._client = connect()
        self._address = self._client.scheduler.address
        self._scheduler: str | None = None
        """Id of the scheduler process that has the package; another one may come back at its address."""
        self._replaced = False
        """Whether one has; Dask's client connects to it by itself."""
        self._looked = self._seen = time.monotonic()
        """When it was last looked for lost jobs; when there was last a worker with enough memory."""
        self._own = count is not None
        self.wait_minutes = math.inf
        """How long a scheduler may be without workers while jobs wait."""
        self.trial_minutes: float | None = None
        """Longest training of a job; a worker that goes on after that is restarted."""
        self.silence = StallNotice(lambda _line: None)
        """Says on the screen that no result comes."""
        self._began: dict[int, float] = {}
        """When jobs were first seen to have begun, by number; `time.monotonic` seconds."""
        self.memory_limits = MemoryLimits(need, self._address)
        """Which workers have enough memory for the data."""
        self.present = len(self._ready())
        """Workers that there were at the start."""
        self._data: distributed.Future | None = None
        """The data, once there is a worker that may have them."""
        self._homes: set[str] = set()
        """Workers that may compute the data; empty where all may."""
        self.count = count or max(1, self.present)

    def submit(self, job: Job) -> None:
        self._deaths.forget(job.number)
        self._waiting.append(job)
        self._dispatch()

    def _present(self) -> Mapping[str, Any]:
        """The scheduler's workers by address. `scheduler_info` is not used: it answers from the client's cache,
        sometimes with no workers.
        """
        asked = self._client.scheduler.identity
        found: Mapping[str, Any] = self._client.sync(asked, n_workers=-1, callback_timeout=ANSWER_SECONDS)
        self._scheduler = self._scheduler or found["id"]
        self._replaced = found["id"] != self._scheduler
        workers: Mapping[str, Any] = {} if self._replaced else found["workers"]
        if any(self.memory_limits.is_enough(each) for each in workers.values()):
            self._seen = time.monotonic()
        return workers

    def _ready(self) -> set[str]:
        """Addresses of workers that accept jobs; a worker that is leaving does not, nor one with too little memory."""
        return self.memory_limits.addresses(
            {address: each for address, each in self._present().items() if each["status"] == "running"}
        )

    def _connected(self) -> bool:
        """Whether the scheduler is there, and is the one that has the package and the data."""
        lost = self._replaced or (self._data is not None and self._data.cancelled())
        return self._client.status == "running" and not lost

    @contextmanager
    def _unless_gone(self) -> Iterator[None]:
        """Ignores requests that fail because the scheduler has gone away; `finished` reconnects later."""
        try:
            yield
        except GONE:
            pass
        except (RuntimeError, AttributeError):  # a client that has closed itself has parts that are closed, or none
            if self._connected():
                raise

    def _dispatch(self) -> None:
        """Gives a job to every idle worker; the others wait here. Dask alone would give two jobs to a worker that has
        the data and none to one that still has to fetch them, and would not move them.
        """
        if not (self._waiting or (self._open and self._homes)) or not self._connected():
            return  # an open job may wait for data whose only places are gone
        with self._unless_gone():
            if self._data is not None and self._data.status == "error":
                error = self._data.exception(timeout=FETCH_SECONDS)
                if isinstance(error, distributed.scheduler.KilledWorker):  # while no job was handed out
                    self._count_data_death(error.allowed_failures + 1)
                self._data.retry()
            ready = self._ready()
            self.memory_limits.refuse_if_none_fits()
            sound = self._code.sound(self._client, ready)
            if sound and not self._code.waits and (self._data is None or self._homeless(sound)):
                self._take_back_what_waits()
                self._data = self._send_data(sound)
            if self._data is None:
                return
            self._hung &= ready
            idle = sound - self._hung - {address for _, _, address in self._open.values()}
            while self._waiting and idle:
                job, address = match(self._waiting, idle, self._programs)
                self._hand_out(job, address)
                self._waiting.remove(job)
                idle.remove(address)

    def _hand_out(self, job: Job, address: str) -> None:
        future = self._client.submit(
            train_job,
            job,
            self._data,
            self._draw,
            self.trial_minutes,
            self._code.code,
            key=f"narrowgap-{job.number}-{time.monotonic_ns()}",
            pure=False,
            workers=[address],
        )
        self._open[job.number] = job, future, address
        self._began.pop(job.number, None)
        self._programs[address].add(program_key(job.recipe.spec, job.settings))
        self.silence.handed_out()
        future.add_done_callback(lambda done, job=job: self._done.put((job, done)))

    def finished(self) -> list[Outcome]:
        self.silence.resume()
        if not self._connected():
            self._reconnect()
        outcomes = []
        with suppress(queue.Empty):
            job, future = self._done.get(timeout=POLL_SECONDS)
            outcomes += self._ended(job, future)
        if time.monotonic() - self._looked > POLL_SECONDS:
            outcomes += self._requeue_lost_jobs() + self._stop_hung_jobs()
            self._looked = time.monotonic()
        self._dispatch()  # a worker is free, or one has come
        self._hear(outcomes)
        absent = time.monotonic() - self._seen if self._waiting else 0
        if self._own and absent > ABSENT_SECONDS:
            raise RuntimeError(f"none of this machine's worker processes has come back in {ABSENT_SECONDS} s")
        if not self._own and absent > 60 * self.wait_minutes:
            raise StoreError(
                f"the scheduler {self._address} has had no worker {self.memory_limits.missing()}for "
                f"{self.wait_minutes:g} min (search.wait_minutes); start one with "
                f"`dask worker {self._address} --nthreads 1`, then run the same command to resume"
            )
        return outcomes

    def _hear(self, outcomes: list[Outcome]) -> None:
        """Notes when outcomes come, or none do."""
        for outcome in outcomes:
            self.silence.came(outcome.seconds)
        if self._open:
            self.silence.look(len(self._open))
        else:
            self.silence.idle()

    def _ended(self, job: Job, future: distributed.Future) -> list[Outcome]:
        _, current, address = self._open.get(job.number, (job, None, ""))
        if current is not future:
            return []  # of a worker or a connection that was lost; its job has been handed out again
        outcome = self._outcome(job, future, address)
        del self._open[job.number]
        if outcome is None:
            self._waiting.appendleft(job)
            return []
        self._deaths.of_data = 0
        return [outcome]

    def _outcome(self, job: Job, future: distributed.Future, address: str) -> Outcome | None:
        """The outcome of a job; None if it was lost and must be trained again."""
        error: BaseException | None = None
        try:
            if future.status == "finished":
                outcome: Outcome = future.result(timeout=FETCH_SECONDS)
                return outcome
            error = future.exception(timeout=FETCH_SECONDS) if future.status == "error" else None
        except (*GONE, CancelledError):
            pass
        except Exception as raised:  # noqa: BLE001 - what cannot be read here is a result like any other
            error = raised
        if error is None:
            return self._count_death(job, future) if self._worker_crashed(address) else None
        if isinstance(error, distributed.scheduler.KilledWorker):  # each time come back at its old address
            times = error.allowed_failures + 1
            if self._data is not None and error.task == self._data.key:
                self._count_data_death(times)
            return self._count_death(job, future, times) if error.task == future.key else None
        with self._unless_gone():
            if address in self._present():
                self._code.refuse(self._client, address)
        if isinstance(error, OtherCodeError):  # of a worker that has left, or that another one has replaced since
            return None
        return Outcome(job.number, None, {}, run_job.describe_error(error), 0.0)

    def _requeue_lost_jobs(self) -> list[Outcome]:
        """Requeues the jobs of lost workers; returns failures for jobs over the death limit."""
        outcomes: list[Outcome] = []
        if not self._open or not self._connected():
            return outcomes
        with self._unless_gone():
            present = self._present()
            gone = [each for each in self._open.values() if each[2] not in present and each[1].status == "pending"]
            for job, future, address in reversed(gone):
                if not self._connected():
                    break  # what is open is given to the scheduler again when it is back
                failed = self._count_death(job, future) if self._worker_crashed(address) else None
                del self._open[job.number]
                if failed:
                    outcomes.append(failed)
                else:
                    self._waiting.appendleft(job)
                future.cancel()
        return outcomes

    def _stop_hung_jobs(self) -> list[Outcome]:
        """Restarts the workers of jobs that should have stopped by themselves, and returns the failures."""
        if self.trial_minutes is None or not self._connected():
            return []
        now, outcomes = time.monotonic(), list[Outcome]()
        for job, future, address in list(self._open.values()):
            if job.number not in self._began and self._has_begun(future):
                self._began[job.number] = now
            if now - self._began.get(job.number, now) > 60 * self.trial_minutes + HUNG_SECONDS:
                del self._open[job.number]
                became = self._end_worker(future, address)
                failure = f"did not stop after search.trial_minutes={self.trial_minutes:g}; its worker {became}"
                outcomes.append(Outcome(job.number, None, {}, failure, now - self._began[job.number]))
        return outcomes

    def _end_worker(self, future: distributed.Future, address: str) -> str:
        """Restarts a worker that hangs, or tells it to end; returns what became of it. Before, its job is taken from Dask,
        which would give it to the worker that comes next at this address.
        """
        became = NOT_ENDED
        with self._unless_gone():
            future.cancel()
            nanny = self._present().get(address, {}).get("nanny")
            # Not `restart_workers` of the client: it refuses workers without a nanny, and fails for those that have left.
            answer = self._client.sync(
                self._client.scheduler.restart_workers,
                workers=[address],
                timeout=RESTART_SECONDS,
                wait_for_workers=nanny is not None,
                on_error="return",
                stimulus_id=f"narrowgap-{time.monotonic_ns()}",
                callback_timeout=RESTART_SECONDS + ANSWER_SECONDS,
            )
            became = ENDED[answer.get(address)]
        if became == NOT_ENDED:
            self._hung.add(address)
        return became

    def _worker_crashed(self, address: str) -> bool:
        """Whether a worker disappeared without announcing that it leaves. Its address may have belonged to earlier
        workers.
        """
        events: list[Mapping[str, Any]] = []
        with self._unless_gone():
            events += [event for _, event in self._client.get_events(address)]
        came = [place for place, event in enumerate(events) if event.get("action") == "add-worker"]
        last = events[came[-1] :] if came else events
        announced = any(event.get("action") == "closing-worker" or event.get("expected") for event in last)
        return not announced and any(event.get("action") == "remove-worker" for event in last)

    def _count_death(self, job: Job, future: distributed.Future, times: int = 1) -> Outcome | None:
        """Counts a death; returns a failure once there are too many. A job that had not begun is not charged with it: what
        its worker did until then was to fetch the data.
        """
        on_a_cluster = self.memory_limits.need is not None
        if on_a_cluster and not self._has_begun(future):
            self._count_data_death(times)
            return None
        return self._deaths.count(job.number, times)

    def _has_begun(self, future: distributed.Future) -> bool:
        """Whether a worker has begun with a job."""
        events: list[Mapping[str, Any]] = []
        with self._unless_gone():
            events += [event for _, event in self._client.get_events(BEGUN)]
        return any(event["key"] == future.key for event in events)

    def _count_data_death(self, times: int) -> None:
        """Counts deaths that came before training; too many in a row end the run."""
        limits: list[int] = []
        with self._unless_gone():
            limits += [each["memory_limit"] or 0 for each in self._present().values()]
        self._deaths.count_before_training(times, limits)

    def warm_up(self) -> None:
        """Lets every worker import TensorFlow now, in parallel with the driver, not with its first job."""
        for address in self._ready():
            distributed.fire_and_forget(self._client.submit(import_tensorflow, workers=[address], pure=False))

    def close(self) -> None:
        if self._connected():
            with self._unless_gone(), suppress(CancelledError):
                self._client.cancel([future for _, future, _ in self._open.values()], force=True)
        self._open.clear()
        self._waiting.clear()
        connection.close_client(self._client)

    def _homeless(self, sound: AbstractSet[str]) -> bool:
        """Whether Dask might compute the data on a worker that is too small, or has none left that may compute them."""
        return bool(self.memory_limits.small or self._homes) and not self._homes & sound

    def _take_back_what_waits(self) -> None:
        """Takes jobs back that may wait for data which Dask does not compute any more."""
        for job, future, _ in reversed(list(self._open.values())):
            if future.status == "pending" and not self._has_begun(future):
                del self._open[job.number]
                self._waiting.appendleft(job)
                future.cancel()

    def _send_data(self, sound: AbstractSet[str]) -> distributed.Future:
        """Sends the split once per worker, as a task instead of scattered data: the result of a task is recomputed when
        its holders die. If there are workers that are too small for it, only those that are `sound` now compute it; once
        they are gone, it is sent anew.
        """
        self._homes = set(sound) if self.memory_limits.small else set()
        own = f"-{time.monotonic_ns()}" if self._homes else ""  # Dask ignores new places for a key it knows
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            return self._client.submit(
                pass_on,
                self._split,
                key=f"narrowgap-split-{self._split.fingerprint}{own}",
                workers=self._homes or None,
            )

    def _reconnect(self) -> None:
        """Waits for the scheduler and gives it the open jobs.

        Raises:
            StoreError: If it stays away.
        """
        deadline = time.monotonic() + RECONNECT_SECONDS
        connection.close_client(self._client)
        while True:
            try:
                self._client = self._connect()
                break
            except InputError:
                raise
            except UNREACHABLE as error:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"the Dask scheduler at {self._address} went away and did not come back in {RECONNECT_SECONDS} s; "
                        "the same command resumes the search once it is there again"
                    ) from error
                time.sleep(1)
        self._data, self._scheduler, self._replaced = None, None, False
        self._hung.clear()
        self._waiting.extendleft(job for job, *_ in reversed(self._open.values()))
        self._open.clear()
        self._dispatch()

"""Writes to the tracking store in the background, in order, so that training does not wait for it."""

import contextlib
import queue
import threading
from collections.abc import Callable


class Recorder:
    """Does what it is given one after the other in a thread of its own.

    Once something has failed nothing more is done, and the failure is raised by the next call.
    """

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="recorder")
        self._thread.start()

    def submit(self, write: Callable[[], None]) -> None:
        """Takes in one more write."""
        self.check()
        self._waiting.put(write)

    def check(self) -> None:
        """Raises what has failed."""
        if self._failure is not None:
            raise self._failure

    def drain(self) -> None:
        """Waits until everything that was submitted is written."""
        done = threading.Event()
        self._waiting.put(done.set)
        while not done.wait(0.05):
            self.check()
        self.check()

    def close(self, *, seconds: float) -> None:
        """Ends the thread, after what was submitted if that takes no longer than `seconds`."""
        self._waiting.put(None)
        self._thread.join(seconds)
        with contextlib.suppress(queue.Empty):
            while True:  # a write that hangs is the last one
                self._waiting.get_nowait()
        self._waiting.put(None)

    def _work(self) -> None:
        while (write := self._waiting.get()) is not None:
            if self._failure is not None and not isinstance(getattr(write, "__self__", None), threading.Event):
                continue
            try:
                write()
            except BaseException as error:  # noqa: BLE001 - raised by the next call, in the step's own thread
                self._failure = error

"""The first signal ends the program; those after it do not interrupt what closes runs."""

import os
import signal
import sys
import threading
import time
import weakref

import pytest

from pipeline import stop_request
from pipeline.tracking.connection import masking

pytestmark = pytest.mark.usefixtures("listening")


def send(number: int) -> None:
    """Sends a signal to this process; its handler has run when this returns."""
    os.kill(os.getpid(), number)


def interrupted() -> None:
    """A request to stop, as whoever leaves because of it sees it."""
    send(signal.SIGINT)


def fail() -> None:
    raise OSError("the store is away")


def test_signals_while_the_program_is_being_left_because_of_the_first_raise_nothing():
    closed = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - what closes is the point
        try:
            interrupted()
        finally:
            send(signal.SIGTERM)
            closed.append("finally")
            try:
                fail()
            except OSError:
                send(signal.SIGINT)
                closed.append("an error of what closes")
    assert closed == ["finally", "an error of what closes"]


def test_a_signal_raises_again_where_a_library_has_taken_the_exception_of_the_first_for_its_own():
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(KeyboardInterrupt):  # not SystemExit: the first signal is what the program ends of
        send(signal.SIGTERM)


def test_a_request_that_comes_in_a_callback_whose_errors_are_dropped_is_raised_a_moment_later_without_a_traceback(
    monkeypatch, capsys
):
    """As seen: Ctrl-C in the callback of a weak reference printed a traceback and stopped nothing."""
    monkeypatch.setattr(sys, "unraisablehook", masking._print_unraisable)

    class Holder:
        pass

    holder = Holder()
    kept = weakref.ref(holder, lambda _: interrupted())
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the order is the point
        del holder
        assert kept() is None
        assert stop_request.asked()
        time.sleep(30)
    assert capsys.readouterr().err == ""


def test_an_error_that_no_signal_raised_is_left_by_a_signal():
    with pytest.raises(SystemExit):  # noqa: PT012 - the order is the point
        try:
            fail()
        except OSError:
            send(signal.SIGHUP)
            raise AssertionError("the signal raised nothing") from None


def test_a_signal_inside_held_blocks_is_raised_once_at_the_end_of_the_outermost():
    reached = []
    with pytest.raises(SystemExit) as stopped, stop_request.held():  # noqa: PT012 - the order is the point
        with stop_request.held():
            send(signal.SIGTERM)
            reached.append("inner")
        assert stop_request.asked()
        reached.append("outer")
    assert reached == ["inner", "outer"]
    assert stopped.value.code == 128 + signal.SIGTERM
    with stop_request.held():
        pass


def test_a_signal_inside_a_held_block_raises_nothing_where_an_earlier_one_is_ending_the_program():
    with pytest.raises(KeyboardInterrupt) as stopped:  # noqa: PT012 - what closes is the point
        try:
            interrupted()
        finally:
            with stop_request.held():
                send(signal.SIGTERM)
    assert stopped.value.__context__ is None


def test_a_held_block_of_another_thread_holds_no_signal_back():
    inside, done = threading.Event(), threading.Event()

    def work() -> None:
        with stop_request.held():
            inside.set()
            assert done.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(30)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        done.set()
        thread.join()


def test_when_all_is_closed_after_a_request_signals_have_their_usual_effect():
    stop_request.over()
    assert all(signal.getsignal(number) is not signal.SIG_DFL for number in stop_request.NUMBERS)  # nobody has asked
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    stop_request.over()
    assert [signal.getsignal(number) for number in stop_request.NUMBERS] == [signal.SIG_DFL] * 3


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
    try:
        stop_request.listen()
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        stop_request.over()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

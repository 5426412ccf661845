"""Tests of work that Ctrl-C cannot tear: real interrupts meet real threads."""

import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread, Timer
from typing import Any

import pytest

from labkit import LabError, _uninterruptible
from labkit._uninterruptible import Uninterruptible, uninterruptible

PATIENCE_S = 10.0


def press_ctrl_c(after_s: float = 0.0) -> None:
    """Interrupt the main thread as a terminal does, after some seconds, from another thread."""
    main = threading.main_thread().ident
    assert main
    Timer(after_s, signal.pthread_kill, [main, signal.SIGINT]).start()


def is_left() -> bool:
    """Return whether a thread of an uninterruptible block is left, once it had the time to end."""
    threads = [thread for thread in threading.enumerate() if thread.name == "labkit-uninterruptible"]
    for thread in threads:
        thread.join(PATIENCE_S)
    return any(thread.is_alive() for thread in threads)


def test_the_result_of_the_work_is_returned() -> None:
    """Without an interrupt the block is a call: no stop is set, and undo is not called."""
    undone: list[int] = []
    assert uninterruptible(lambda stop: int(stop.is_set()), undone.append) == 0
    assert undone == []
    assert not is_left()


def test_events_are_heard_in_order_in_the_thread_that_waits() -> None:
    """The listener gets each event of the work, all before run returns, and never in the work's thread."""
    heard: list[tuple[int, int | None]] = []

    def work(_: Event) -> int | None:
        for number in range(100):
            block.emit(number)
        return threading.get_ident()

    block: Uninterruptible[int | None, int] = Uninterruptible(work)
    worker = block.run(lambda number: heard.append((number, threading.get_ident())))
    assert heard == [(number, threading.get_ident()) for number in range(100)]
    assert worker != threading.get_ident()


class LastIsLost(SimpleQueue[int | None]):
    """A queue in which Ctrl-C comes right after the last event was taken, before anybody has it."""

    def get(self, *args: Any, **kwargs: Any) -> int | None:
        """Take an event; the last one is lost."""
        event = super().get(*args, **kwargs)
        if event is None:
            raise KeyboardInterrupt
        return event


@pytest.mark.timeout(30)
def test_ctrl_c_that_swallows_the_last_event_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python may raise it between the queue and the thread that waits: then no event comes any more."""
    monkeypatch.setattr(_uninterruptible, "SimpleQueue", LastIsLost)
    undone: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        uninterruptible(lambda _: 5, undone.append)
    assert undone == [5]


def test_an_error_of_the_work_reaches_the_caller() -> None:
    """The exception that the work raises is raised by run, and undo has nothing to undo."""
    undone: list[None] = []

    def work(_: Event) -> None:
        raise LabError(expected="this", seen="that", next_step="nothing")

    with pytest.raises(LabError, match="that"):
        uninterruptible(work, undone.append)
    assert undone == []
    assert not is_left()


def test_ctrl_c_sets_stop_and_is_raised_after_the_work_has_ended() -> None:
    """The work learns of Ctrl-C by stop, comes to its own end, and only then KeyboardInterrupt is raised."""
    ended = Event()

    def work(stop: Event) -> None:
        press_ctrl_c()
        assert stop.wait(PATIENCE_S)
        time.sleep(0.1)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        uninterruptible(work)
    assert ended.is_set()
    assert not is_left()


def test_a_second_ctrl_c_changes_nothing() -> None:
    """However often it is pressed, the work comes to its end, and one KeyboardInterrupt is raised."""
    ended = Event()

    def work(stop: Event) -> None:
        press_ctrl_c()
        assert stop.wait(PATIENCE_S)
        for _ in range(3):
            press_ctrl_c()
            time.sleep(0.05)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        uninterruptible(work)
    assert ended.is_set()
    assert not is_left()


def test_a_result_that_comes_after_ctrl_c_is_undone() -> None:
    """When the work succeeds all the same, undo gets its result before the interrupt is raised."""
    undone: list[str] = []

    def work(stop: Event) -> str:
        press_ctrl_c()
        assert stop.wait(PATIENCE_S)
        return "made"

    with pytest.raises(KeyboardInterrupt):
        uninterruptible(work, undone.append)
    assert undone == ["made"]
    assert not is_left()


def test_ctrl_c_does_not_tear_the_undoing() -> None:
    """Undo is uninterruptible itself: it comes to its end whatever is pressed meanwhile."""
    undone: list[str] = []

    def work(stop: Event) -> str:
        press_ctrl_c()
        assert stop.wait(PATIENCE_S)
        return "made"

    def undo(result: str) -> None:
        press_ctrl_c()
        time.sleep(0.1)
        undone.append(result)

    with pytest.raises(KeyboardInterrupt):
        uninterruptible(work, undo)
    assert undone == ["made"]
    assert not is_left()


def test_an_error_of_the_listener_comes_after_the_work_has_ended() -> None:
    """It sets stop, the listener hears no more, the work ends, and then the listener's error is raised."""
    ended, heard = Event(), list[str]()

    def work(stop: Event) -> None:
        block.emit("begun")
        assert stop.wait(PATIENCE_S)
        block.emit("ends")
        ended.set()

    def listen(event: str) -> None:
        heard.append(event)
        raise KeyError(event)

    block: Uninterruptible[None, str] = Uninterruptible(work)
    with pytest.raises(KeyError, match="begun"):
        block.run(listen)
    assert ended.is_set()
    assert heard == ["begun"]
    assert not is_left()


@pytest.mark.parametrize("begins", [True, False])
def test_ctrl_c_while_the_thread_starts_lets_the_work_run_once(
    monkeypatch: pytest.MonkeyPatch, *, begins: bool
) -> None:
    """Whether the interrupt comes just before or just after the start, the work runs, and runs once."""
    runs: list[bool] = []

    class Interrupted(Thread):
        """A thread whose first start is interrupted, before it is started or before it has begun."""

        first = True

        def start(self) -> None:
            if not Interrupted.first:
                return super().start()
            Interrupted.first = False
            if begins:
                Timer(0.05, self.run).start()
            raise KeyboardInterrupt

    def work(stop: Event) -> None:
        runs.append(stop.is_set())
        time.sleep(0.1)

    monkeypatch.setattr(_uninterruptible, "Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        uninterruptible(work)
    time.sleep(0.1)
    assert runs == [True]
    assert not is_left()


def test_a_thread_that_cannot_be_started_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for work that never begins."""

    def refuse(_: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="start new thread"):
        uninterruptible(lambda _: None)

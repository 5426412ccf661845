"""Work that Ctrl-C cannot break off: it runs in a thread of its own, and is asked to stop."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
E = TypeVar("E")


class Stopped(Exception):
    """Work ended early because it was asked to stop, or because other work that needs it has failed."""


class Uninterruptible(Generic[T, E]):
    """Runs work in a thread; the events that the work emits are handled in the thread that waits for it.

    Python raises KeyboardInterrupt in the main thread, at whatever line that is. Here the main thread only
    waits, so no step of the work is broken off. The work gets `stop`, and checks it between its steps.
    """

    def __init__(self, work: Callable[[Event], T]) -> None:
        self.stop = Event()
        self._work = work
        self._events: SimpleQueue[E | None] = SimpleQueue()
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._taken = Lock()

    def emit(self, event: E) -> None:
        """Give an event to the thread that waits; the work calls this."""
        self._events.put(event)

    def run(
        self, listen: Callable[[E], object] = lambda _: None, undo: Callable[[T], object] | None = None
    ) -> T:
        """Return the result of the work, or raise its error.

        listen gets each event. An exception in this thread, from Ctrl-C or from listen, sets `stop`. It is
        raised once the work has ended, never before: a second Ctrl-C changes nothing. When the work succeeded
        all the same, undo gets its result and takes it back; undo None keeps it.
        """
        interrupt = self._wait(listen)
        if interrupt is None and self._error is None:
            return self._results[0]
        if undo is not None and self._results:
            result = self._results[0]
            uninterruptible(lambda _: undo(result))
        raise interrupt or self._error or AssertionError

    def _wait(self, listen: Callable[[E], object]) -> BaseException | None:
        """Start the thread and handle its events to its end; return the first exception meanwhile, if any."""
        interrupt: BaseException | None = None
        started = False
        event: E | None
        while True:
            try:
                if not started:
                    # Ctrl-C in here leaves open whether the thread has begun. So the loop may start a second
                    # one, which ends at once because the first has taken the work.
                    Thread(target=self._run, name="labkit-uninterruptible").start()
                    started = True
                if (event := self._events.get()) is None:
                    return interrupt
                if interrupt is None:
                    listen(event)
            except BaseException as raised:  # noqa: BLE001 - Ctrl-C, or what else a signal handler raises
                if not started and not isinstance(raised, KeyboardInterrupt):
                    return raised
                interrupt = interrupt or raised
                self.stop.set()
                # Ctrl-C may have come between the last event and this thread: then no event comes any more.
                if self._results or self._error is not None:
                    return interrupt

    def _run(self) -> None:
        if not self._taken.acquire(blocking=False):
            return
        try:
            self._results.append(self._work(self.stop))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error
        finally:
            self._events.put(None)


def uninterruptible(work: Callable[[Event], T], undo: Callable[[T], object] | None = None) -> T:
    """Run work that emits no events; see Uninterruptible.run."""
    block: Uninterruptible[T, None] = Uninterruptible(work)
    return block.run(undo=undo)

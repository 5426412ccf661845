"""Work that Ctrl-C must not tear: it runs in a thread of its own, where no KeyboardInterrupt is raised."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
E = TypeVar("E")


class Background(Generic[T, E]):
    """Runs work in a thread and hands what it tells to the caller's own thread.

    The work calls `tell`; it is given `stop`, and asks it between its steps whether to end early.
    """

    def __init__(self, work: Callable[[Event], T]) -> None:
        self.stop = Event()
        self._work = work
        self._told: SimpleQueue[E | None] = SimpleQueue()
        self._result: list[T] = []
        self._error: BaseException | None = None

    def tell(self, event: E) -> None:
        """Have the caller's thread hear of an event (called by the work)."""
        self._told.put(event)

    def run(self, listen: Callable[[E], object]) -> T:
        """Return the result of the work, or raise its error.

        An exception in the caller's thread meanwhile, Ctrl-C or one of `listen`, sets `stop` and goes on once
        the work has come to its end, never before; a second Ctrl-C cannot make it quicker, only leave a ruin.
        """
        thread = Thread(target=self._run, name="labkit-deployment")
        interrupt: BaseException | None = None
        event: E | None
        while True:
            try:
                if thread.ident is None:
                    thread.start()
                if (event := self._told.get()) is None:
                    break
                if interrupt is None:
                    listen(event)
            except BaseException as raised:
                if thread.ident is None:
                    raise
                interrupt = interrupt or raised
                self.stop.set()
        thread.join()
        if raised_last := interrupt or self._error:
            raise raised_last
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._work(self.stop))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._error = error
        finally:
            self._told.put(None)

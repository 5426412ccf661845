"""Work that Ctrl-C cannot cut in two: in its own thread, it is told to stop, and cleans up first."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def apart(work: Callable[[threading.Event], T], undo: Callable[[T], object] | None = None) -> T:
    """Run work in a thread and return what it returns.

    Python raises KeyboardInterrupt in the main thread wherever that stands; here it stands in nothing but a
    wait. An interrupt sets the event that work was given, and is raised again once work has ended. When work
    had succeeded nevertheless, undo takes its result back; without undo it stays.
    """
    stop = threading.Event()
    done: Future[T] = Future()
    thread = threading.Thread(target=_run, args=(work, stop, done), name="labkit-environment")
    interrupt = _await(thread, done, stop)
    if interrupt is None:
        return done.result()
    if undo is not None and done.exception() is None:
        result = done.result()
        apart(lambda _: undo(result))
    raise interrupt


def _run(work: Callable[[threading.Event], T], stop: threading.Event, done: "Future[T]") -> None:
    try:
        done.set_result(work(stop))
    except BaseException as fault:  # noqa: BLE001 - raised again where it belongs, in the asking thread
        done.set_exception(fault)


def _await(thread: threading.Thread, done: "Future[T]", stop: threading.Event) -> BaseException | None:
    """Start the thread and wait for its end; return the last interrupt that came meanwhile."""
    interrupt: BaseException | None = None
    while True:
        try:
            if thread.ident is None:
                thread.start()
            done.exception()
        except BaseException as raised:  # noqa: BLE001 - Ctrl-C, or what else a signal handler raises
            interrupt = raised
            stop.set()
        else:
            return interrupt

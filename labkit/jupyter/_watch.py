"""Notices that something of the workspace changed, and says so a few times a second at most."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

from labkit.jupyter._state import Desk

CHANGED = "https://labkit.dev/jupyter/changed/v1"
SCHEMA = {
    "$id": CHANGED,
    "version": "1",
    "title": "Something of the workspace changed",
    "description": "An environment or a run of the workspace changed; ask labkit/state for what is true now.",
    "type": "object",
    "properties": {},
}
PAUSE_S = 0.25
RETRY_S = 2.0
POLL_S = 0.2

log = logging.getLogger("labkit.jupyter")


class Watch:
    """Follows the engine's events and the artifact database, and calls `tell` when either has news.

    tell is called in a thread of the watch, at most once in PAUSE_S. A source that ends, because the engine
    stops or the workspace is not yet made, is taken up again after RETRY_S. The threads are daemons: a source
    that stays silent does not keep the server from ending.
    """

    def __init__(self, desk: Desk, tell: Callable[[], None]) -> None:
        self._desk = desk
        self._tell = tell
        self._news = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to follow both sources."""
        for source in (self._engine, self._artifacts):
            threading.Thread(target=self._follow, args=(source,), name="labkit-watch", daemon=True).start()
        threading.Thread(target=self._tell_news, name="labkit-watch", daemon=True).start()

    def stop(self) -> None:
        """Tell nothing more; threads end with the next news of their source, or with the server."""
        self._stopped.set()
        self._news.set()

    def _tell_news(self) -> None:
        while self._news.wait() and not self._stopped.is_set():
            self._news.clear()
            self._tell()
            self._stopped.wait(PAUSE_S)

    def _follow(self, source: Callable[[], Iterator[object]]) -> None:
        while not self._stopped.is_set():
            heard = False
            try:
                for _ in source():
                    heard = True
                    self._news.set()
                    if self._stopped.is_set():
                        return
            except Exception as problem:  # noqa: BLE001 - whatever ends a source, it is taken up again
                log.debug("the panel's source ended: %r", problem)
            if heard:
                self._news.set()  # that it ended is news too
            self._stopped.wait(RETRY_S)

    def _engine(self) -> Iterator[object]:
        from labkit.engine import Engine, Label  # noqa: PLC0415 - in this thread, so that the server starts quickly

        labels = {str(Label.WORKSPACE): self._desk.workspace().id}
        with closing(Engine.find().events(labels)) as events:
            yield "the engine answers"
            yield from events

    def _artifacts(self) -> Iterator[object]:
        artifacts = self._desk.workspace().artifacts
        newest = artifacts.history(limit=1)
        yield from artifacts.subscribe(after=newest[0].id if newest else 0, poll_s=POLL_S)

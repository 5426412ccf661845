"""Watches the workspace for changes, and reports them a few times a second at most."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

from labkit.jupyter._service import PanelService

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


class ChangeWatcher:
    """Follows the engine's events and the artifact database, and calls `notify` after a change in either.

    notify is called in a thread of the watcher, at most once in PAUSE_S. A source ends when the engine stops,
    or while the workspace is not yet made; it is followed again after RETRY_S. The threads are daemons, so
    that the server can end while a source is silent.
    """

    def __init__(self, service: PanelService, notify: Callable[[], None]) -> None:
        self._service = service
        self._notify = notify
        self._changed = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start to follow both sources."""
        for source in (self._engine, self._artifacts):
            threading.Thread(target=self._follow, args=(source,), name="labkit-watch", daemon=True).start()
        threading.Thread(target=self._report, name="labkit-watch", daemon=True).start()

    def stop(self) -> None:
        """Report nothing more. Threads end with the next change in their source, or with the server."""
        self._stopped.set()
        self._changed.set()

    def _report(self) -> None:
        while self._changed.wait() and not self._stopped.is_set():
            # Cleared before the report: what changes meanwhile leads to one more report, never to none.
            self._changed.clear()
            self._notify()
            self._stopped.wait(PAUSE_S)

    def _follow(self, source: Callable[[], Iterator[object]]) -> None:
        while not self._stopped.is_set():
            followed = False
            try:
                for _ in source():
                    followed = True
                    self._changed.set()
                    if self._stopped.is_set():
                        return
            except Exception as problem:  # noqa: BLE001 - whatever ends a source, it is followed again
                log.debug("the panel's source ended: %r", problem)
            if followed:
                self._changed.set()  # the end of a source is a change too: the engine has stopped
            self._stopped.wait(RETRY_S)

    def _engine(self) -> Iterator[object]:
        from labkit.engine import Engine, Label  # noqa: PLC0415 - in this thread, so that the server starts quickly

        labels = {str(Label.WORKSPACE): self._service.workspace().id}
        with closing(Engine.find().events(labels)) as events:
            yield "the engine answers"
            yield from events

    def _artifacts(self) -> Iterator[object]:
        artifacts = self._service.workspace().artifacts
        newest = artifacts.history(limit=1)
        yield from artifacts.subscribe(after=newest[0].id if newest else 0, poll_s=POLL_S)

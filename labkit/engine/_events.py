"""What happens in the engine, as it happens, by label."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from labkit.engine._labels import filters

if TYPE_CHECKING:
    from docker import DockerClient

NANO = 10**9
KINDS = ("container", "network", "volume")


@dataclass(frozen=True)
class Event:
    """Something that happened to a container, network or volume.

    action is the engine's word: create, start, die, destroy, connect … at is to the microsecond; time_ns is
    exact (nanoseconds since 1970). id and name are of the thing itself; labels are a container's, or a
    network's own.
    """

    kind: str
    action: str
    id: str
    name: str
    at: datetime
    time_ns: int
    labels: Mapping[str, str] = field(hash=False)


class Events:
    """An endless iterator of events, which another thread may end with close().

    When the connection is lost, it is made again and goes on after the last event, so that none is lost or
    doubled.
    """

    def __init__(
        self, client: "DockerClient", labels: Mapping[str, str | None], since_ns: int | None
    ) -> None:
        self._client, self._labels = client, filters(labels)
        self._since_ns = time.time_ns() if since_ns is None else since_ns
        self._seen: set[tuple[int, str, str]] = set()
        self._stream: Any = None
        self._closed = threading.Event()
        self._open()

    def _open(self) -> None:
        since = f"{self._since_ns // NANO}.{self._since_ns % NANO:09d}"
        chosen = {"label": self._labels, "type": list(KINDS)}
        self._stream = self._client.events(since=since, filters=chosen, decode=True)
        if self._closed.is_set():
            self._stream.close()

    def __iter__(self) -> Iterator[Event]:
        """Yield events until close() is called.

        :raises NoEngine: when the engine is gone.
        """
        while not self._closed.is_set():
            for fields in self._stream:
                if event := self._new(fields):
                    yield event
            if not self._closed.is_set():
                self._client.ping()  # an engine that is gone ends the iteration here, with its error
                self._open()

    def _new(self, fields: dict[str, Any]) -> Event | None:
        event = _event(fields)
        key = (event.time_ns, event.id, event.action)
        if key in self._seen:
            return None
        if event.time_ns > self._since_ns:
            self._since_ns = event.time_ns
            self._seen.clear()
        self._seen.add(key)
        return event

    def close(self) -> None:
        """End the iteration, wherever it waits; calling it again does nothing."""
        if not self._closed.is_set():
            self._closed.set()
            with suppress(OSError):  # the other side was quicker
                self._stream.close()

    def __enter__(self) -> Self:
        """Return the events."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _event(fields: dict[str, Any]) -> Event:
    actor = fields.get("Actor") or {}
    attributes = dict(actor.get("Attributes") or {})
    time_ns = int(fields.get("timeNano") or fields["time"] * NANO)
    return Event(
        kind=fields["Type"],
        action=fields["Action"],
        id=actor.get("ID", ""),
        name=attributes.get("name", ""),
        at=datetime.fromtimestamp(time_ns / NANO, UTC),
        time_ns=time_ns,
        labels={name: value for name, value in attributes.items() if name.startswith("labkit.")},
    )

"""Toggles in a service: every request is stamped with the revision at which all services decide about it.

The stamp travels as the member "toggles" of W3C's baggage header (https://www.w3.org/TR/baggage/), so that a
request sees one state of all toggles, whichever instances answer it and whatever is switched meanwhile.
"""

import asyncio
import os
from collections.abc import Collection
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from labkit.coordination import PORT, Coordinator
from labkit.errors import LabError
from labkit.service._client import Unavailable
from labkit.service._identity import Identity

if TYPE_CHECKING:
    from labkit.toggles import Pinned, Reader  # OpenFeature comes with it, loaded beside the start

STALE_S = 1.0
"""An instance that has not heard of the store for so long must not decide; it leaves the balancer."""

ANSWER_S = 1.0
MEMBER = "toggles"
MOST_BYTES = 8192
"""As much baggage has to be handed on (W3C Baggage, 3.3.2); more is not."""


class Toggles:
    """What one service's code knows of toggles; it follows them while the service runs."""

    def __init__(self, names: Collection[str], identity: Identity, coordinator: Coordinator) -> None:
        self.names = frozenset(names)
        self._identity, self._coordinator = identity, coordinator
        self._reader: Reader | None = None

    @classmethod
    def read(cls, names: Collection[str], identity: Identity) -> Self | None:
        """Return the toggles followed at $COORDINATOR_URL; None without it, or when the code knows none."""
        address = urlsplit(os.environ.get("COORDINATOR_URL", ""))
        if not names or not address.hostname:
            return None
        return cls(names, identity, Coordinator(address.hostname, address.port or PORT, ANSWER_S))

    async def follow(self) -> None:
        """Begin to follow, beside the event loop: the libraries take as long as the rest of the start."""
        self._reader = await asyncio.to_thread(self._open)

    def _open(self) -> "Reader":
        from labkit.toggles import Reader  # noqa: PLC0415 - as follow says

        reader = Reader(self._coordinator, self._identity.instance, self.names.__contains__)
        reader.start()
        return reader

    def end(self) -> None:
        """End following."""
        if self._reader:
            self._reader.stop()

    async def toggles(self) -> None:
        """Raise while this instance does not know how the toggles stand: the readiness check."""
        if not (self._reader and self._reader.ready):
            message = "nothing is known of them yet"
            raise ConnectionError(message)
        if self._reader.silence_s > STALE_S:
            message = f"not heard of them for {self._reader.silence_s:.1f} s"
            raise ConnectionError(message)

    async def pin(self, baggage: str) -> "Pinned | None":
        """Return the toggles at the revision of a request's baggage, else as they stand now.

        :raises Unavailable: when the revision is not known here and the store cannot tell it.
        """
        reader, revision = self._reader, revision_in(baggage)
        if reader is None or not reader.ready:
            return None
        try:
            if revision is None or reader.holds(revision):
                return reader.pin(revision)
            return await asyncio.to_thread(reader.pin, revision)
        except (OSError, LabError) as fault:
            message = f"the toggles at revision {revision} cannot be had: {fault}"
            raise Unavailable(message) from fault


@dataclass(frozen=True)
class Asked:
    """What the code may ask for while it answers one request; pinned is None where nothing is known."""

    names: frozenset[str]
    pinned: "Pinned | None"


ASKED: ContextVar[Asked | None] = ContextVar("toggles", default=None)
"""Set while a request is answered by an application that follows toggles."""


def stamped(baggage: str, revision: int) -> str:
    """Return a request's baggage with its stamp."""
    if revision_in(baggage) is not None:
        return baggage
    return ",".join(filter(None, (baggage, f"{MEMBER}={revision}")))


def revision_in(baggage: str) -> int | None:
    """Return the revision that a request is stamped with, None without one."""
    for member in baggage.split(","):
        name, _, value = member.partition(";")[0].partition("=")
        if name.strip() == MEMBER and value.strip().isdigit():
            return int(value)
    return None


def toggle(name: str, *, key: str = "", default: bool = False) -> bool:
    """Tell whether a toggle is on for the request that is being answered.

    key is who or what a share is drawn by, such as a customer's id. default is for a toggle that is not set,
    and for a service without a coordinator.

    :raises LookupError: when the application was not made with this toggle: `application(…, toggles=[name])`.
    """
    asked = ASKED.get()
    if asked is None:
        return default
    if name not in asked.names:
        message = f"the application does not declare the toggle {name}: application(…, toggles=[{name!r}])"
        raise LookupError(message)
    return asked.pinned.enabled(name, key=key, default=default) if asked.pinned else default

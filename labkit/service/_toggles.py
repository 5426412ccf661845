"""Toggles in a service: every request has a revision header, and all services decide at that revision.

The revision header is the member "toggles" of W3C's baggage header (https://www.w3.org/TR/baggage/). So a
request sees one state of all toggles, whichever instances answer it and whatever is switched meanwhile.
"""

import asyncio
import os
from collections.abc import Collection
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from labkit.coordination import Coordinator
from labkit.errors import LabError
from labkit.service._client import Unavailable
from labkit.service._identity import Identity

if TYPE_CHECKING:
    from labkit.toggles import FlagSnapshot, FlagWatcher  # OpenFeature comes with it, so it is loaded late

STALE_S = 1.0
"""An instance to which the store was silent for so long must not decide; it becomes not ready."""

ANSWER_S = 1.0
MEMBER = "toggles"
BAGGAGE_BYTES = 8192
"""As much baggage has to be passed on (W3C Baggage, 3.3.2); longer baggage is dropped."""


class Toggles:
    """The toggles that one service's code knows; they are watched while the service runs."""

    def __init__(self, names: Collection[str], identity: Identity, coordinator: Coordinator) -> None:
        self.names = frozenset(names)
        self._identity, self._coordinator = identity, coordinator
        self._watcher: FlagWatcher | None = None

    @classmethod
    def read(cls, names: Collection[str], identity: Identity) -> Self | None:
        """Return the toggles as $COORDINATOR_URL has them; None without it, or when the code knows none."""
        coordinator = Coordinator.at(os.environ.get("COORDINATOR_URL", ""), ANSWER_S)
        return cls(names, identity, coordinator) if names and coordinator else None

    async def watch(self) -> None:
        """Begin to watch, in a thread: to load the libraries takes as long as the rest of the start."""
        self._watcher = await asyncio.to_thread(self._open)

    def _open(self) -> "FlagWatcher":
        from labkit.toggles import FlagWatcher  # noqa: PLC0415 - loaded in the thread, as watch says

        watcher = FlagWatcher(self._coordinator, self._identity.instance, self.names.__contains__)
        watcher.start()
        return watcher

    def end(self) -> None:
        """End watching."""
        if self._watcher:
            self._watcher.stop()

    async def toggles(self) -> None:
        """Raise while this instance does not know how the toggles stand: a readiness check."""
        if not (self._watcher and self._watcher.ready):
            message = "not listed yet"
            raise ConnectionError(message)
        if self._watcher.silence_s > STALE_S:
            message = f"the store has been silent for {self._watcher.silence_s:.1f} s"
            raise ConnectionError(message)

    async def snapshot_for(self, baggage: str) -> "FlagSnapshot | None":
        """Return the flags at the revision in a request's baggage, without one the newest; None before any.

        :raises Unavailable: when the revision is not known here and the store does not give it.
        """
        watcher, revision = self._watcher, revision_in(baggage)
        if watcher is None or not watcher.ready:
            return None
        try:
            if revision is None or watcher.has(revision):
                return watcher.snapshot(revision)
            # To ask the store may take long, and must not stop the event loop.
            return await asyncio.to_thread(watcher.snapshot, revision)
        except LabError as error:
            message = f"the toggles at revision {revision} are not available: {error.seen}"
            raise Unavailable(message) from error


@dataclass(frozen=True)
class RequestToggles:
    """The toggles for one request: names that the code may ask for; snapshot None where nothing is known."""

    names: frozenset[str]
    snapshot: "FlagSnapshot | None"


REQUEST_TOGGLES: ContextVar[RequestToggles | None] = ContextVar("toggles", default=None)
"""Set while a request is answered by an application that watches toggles."""


def with_revision(baggage: str, revision: int) -> str:
    """Return a request's baggage with a revision header; baggage that has one keeps it."""
    if revision_in(baggage) is not None:
        return baggage
    return ",".join(filter(None, (baggage, f"{MEMBER}={revision}")))


def revision_in(baggage: str) -> int | None:
    """Return the revision in a request's baggage, None without one."""
    for member in baggage.split(","):
        name, _, value = member.partition(";")[0].partition("=")
        if name.strip() == MEMBER and value.strip().isdigit():
            return int(value)
    return None


def toggle(name: str, *, key: str = "", default: bool = False) -> bool:
    """Return whether a toggle is on for the request that is being answered.

    key is what decides whether a share includes the request, such as a customer's id. default is for a toggle
    that is not set, and for a service without a coordinator.

    :raises LookupError: when the application does not declare this toggle: `application(…, toggles=[name])`.
    """
    toggles = REQUEST_TOGGLES.get()
    if toggles is None:
        return default
    if name not in toggles.names:
        message = f"the application does not declare the toggle {name}: application(…, toggles=[{name!r}])"
        raise LookupError(message)
    return toggles.snapshot.enabled(name, key=key, default=default) if toggles.snapshot else default

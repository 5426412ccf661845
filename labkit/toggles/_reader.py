"""One instance's view of the toggles: it follows the store, and evaluates at any revision."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Lock, Thread

from labkit.coordination import Coordinator, Entry, Listing
from labkit.errors import LabError
from labkit.toggles._pinned import Pinned
from labkit.toggles._store import ACKS, ALL, NOW, STAGED

SILENCE_S = 0.4
"""A store that says nothing for so long is asked, so that an instance knows how stale it is."""

AGAIN_S = 0.05
KEPT = 64
"""So many revisions are kept; a request of an older one costs a read from the store."""


class Reader:
    """Follows the toggles in a thread of its own, from start to stop.

    instance is the name by which it acknowledges a switch, "" when it never does; knows says whether this
    instance's code knows a toggle: one that it does not know it never acknowledges.
    """

    def __init__(
        self, coordinator: Coordinator, instance: str = "", knows: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._coordinator, self._instance, self._knows = coordinator, instance, knows
        self._states: OrderedDict[int, Pinned] = OrderedDict()
        self._lock, self._stop, self._listed = Lock(), Event(), Event()
        self._thread = Thread(target=self._follow, name="labkit-toggles", daemon=True)
        self._heard, self._acked = 0.0, dict[str, int]()
        self.revision = 0

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End following; what is known stays known."""
        self._stop.set()

    def wait(self, deadline_s: float) -> bool:
        """Wait for the first listing; an instance that has none must not answer anybody."""
        return self._listed.wait(deadline_s)

    @property
    def ready(self) -> bool:
        """Whether the first listing has come."""
        return self._listed.is_set()

    @property
    def silence_s(self) -> float:
        """For how many seconds the store has said nothing."""
        return time.monotonic() - self._heard

    def pin(self, revision: int | None = None) -> Pinned:
        """Return the toggles as they are at a revision; None is the newest that is known here.

        :raises OSError: when the revision is not known here and the store does not answer.
        :raises LabError: when the store does not have the revision (any more), or nothing was listed yet.
        """
        wanted = self.revision if revision is None else revision
        with self._lock:
            pinned = self._states.get(wanted)
        if pinned is None:
            if not self.ready:
                raise LabError("the toggles", "no listing of them yet", "wait until this instance is ready")
            pinned = self._keep(wanted, self._coordinator.listing(ALL, wanted).entries)
        return pinned

    def holds(self, revision: int) -> bool:
        """Tell whether a revision is known here, so that to pin it asks nobody."""
        with self._lock:
            return revision in self._states

    def enabled(
        self, name: str, *, revision: int | None = None, key: str = "", default: bool = False
    ) -> bool:
        """Tell whether a toggle is on at a revision, as `Pinned` and `pin` do."""
        return self.pin(revision).enabled(name, key=key, default=default)

    def _follow(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError, LabError):
                for listing in self._coordinator.watch(ALL, SILENCE_S):
                    self._learn(listing)
                    if self._stop.is_set():
                        return
            self._stop.wait(AGAIN_S)

    def _learn(self, listing: Listing) -> None:
        self._heard = time.monotonic()
        newest = max((it.revision for it in listing.entries.values()), default=0)
        if not self.ready or newest > self._newest or len(listing.entries) != self._count:
            self._newest, self._count = newest, len(listing.entries)
            self._acknowledge(listing.entries)
            revision = _as_of(listing)
            self._keep(revision, listing.entries)
            self.revision = revision
            self._listed.set()

    _newest, _count = 0, 0

    def _acknowledge(self, entries: Mapping[str, Entry]) -> None:
        """Prepare what is staged, then say so: from now on this instance can answer by it."""
        for key, entry in entries.items():
            name = key.removeprefix(STAGED)
            if not key.startswith(STAGED) or self._acked.get(name) == entry.revision:
                continue
            if self._instance and self._knows(name):
                self._keep(entry.revision, entries)
                self._coordinator.put(f"{ACKS}{name}/{self._instance}", str(entry.revision))
                self._acked[name] = entry.revision

    def _keep(self, revision: int, entries: Mapping[str, Entry]) -> Pinned:
        """Keep the toggles at a revision: those of now, and what was staged by just this one."""
        flags = {key.removeprefix(NOW): it.value for key, it in entries.items() if key.startswith(NOW)}
        flags |= {
            key.removeprefix(STAGED): it.value
            for key, it in entries.items()
            if key.startswith(STAGED) and it.revision == revision
        }
        pinned = Pinned(revision, flags)
        with self._lock:
            self._states[revision] = pinned
            while len(self._states) > KEPT:
                self._states.popitem(last=False)
        return pinned


def _as_of(listing: Listing) -> int:
    """Return the revision to stamp: the staged one right after a switch, which all have prepared."""
    for key, entry in listing.entries.items():
        if key.startswith(NOW) and entry.revision == listing.revision and '"as_of"' in entry.value:
            as_of = json.loads(entry.value).get("metadata", {}).get("as_of")
            if as_of is not None:
                return int(as_of)
    return listing.revision

"""One instance's view of the toggles: it watches the store, and gives the flags at any revision."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Lock, Thread

from labkit.coordination import Coordinator, Entry, Listing
from labkit.errors import LabError
from labkit.toggles._snapshot import FlagSnapshot
from labkit.toggles._store import ACKS, ALL, NOW, STAGED, STAGED_AT

SILENCE_S = 0.4
"""A store that is silent for so long is asked, so that an instance knows how old its knowledge is."""

RETRY_S = 0.05
KEPT_REVISIONS = 64
"""So many snapshots are kept; a request at an older revision costs a read from the store."""


class FlagWatcher:
    """Watches the toggles in a thread of its own, from start to stop.

    instance is the name by which the watcher acknowledges a switch, "" for one that never does. knows returns
    whether this instance's code knows a toggle: a toggle that it does not know is never acknowledged.
    """

    def __init__(
        self, coordinator: Coordinator, instance: str = "", knows: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._coordinator, self._instance, self._knows = coordinator, instance, knows
        self._snapshots: OrderedDict[int, FlagSnapshot] = OrderedDict()
        self._lock, self._stop, self._listed = Lock(), Event(), Event()
        self._thread = Thread(target=self._watch, name="labkit-toggles", daemon=True)
        self._heard_s, self._acknowledged = 0.0, dict[str, int]()
        self._newest, self._count = 0, 0
        self.revision = 0

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End watching; the snapshots stay."""
        self._stop.set()

    def wait(self, deadline_s: float) -> bool:
        """Wait for the first listing; return whether it came within deadline_s seconds."""
        return self._listed.wait(deadline_s)

    @property
    def ready(self) -> bool:
        """Whether the first listing has come; an instance that has none must not answer any request."""
        return self._listed.is_set()

    @property
    def silence_s(self) -> float:
        """For how many seconds the store has been silent."""
        return time.monotonic() - self._heard_s

    def snapshot(self, revision: int | None = None) -> FlagSnapshot:
        """Return the flags as they were at a revision; None is the newest that is known here.

        :raises NoAnswer: when the revision is not known here and the store does not answer.
        :raises LabError: when the store does not have the revision (any more), or nothing was listed yet.
        """
        at = self.revision if revision is None else revision
        with self._lock:
            snapshot = self._snapshots.get(at)
        if snapshot is None:
            if not self.ready:
                raise LabError("the toggles", "no listing of them yet", "wait until this instance is ready")
            snapshot = self._keep(at, self._coordinator.listing_at(ALL, at).entries)
        return snapshot

    def has(self, revision: int) -> bool:
        """Return whether a revision is known here, so that its snapshot needs no read from the store."""
        with self._lock:
            return revision in self._snapshots

    def enabled(
        self, name: str, *, revision: int | None = None, key: str = "", default: bool = False
    ) -> bool:
        """Return whether a toggle is on at a revision; see `snapshot` and `FlagSnapshot.enabled`."""
        return self.snapshot(revision).enabled(name, key=key, default=default)

    def _watch(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError, LabError):  # a store that is away, or refuses, is tried again
                for listing in self._coordinator.watch(ALL, SILENCE_S):
                    self._learn(listing)
                    if self._stop.is_set():
                        return
            self._stop.wait(RETRY_S)

    def _learn(self, listing: Listing) -> None:
        self._heard_s = time.monotonic()
        newest = max((entry.revision for entry in listing.entries.values()), default=0)
        # A deletion changes no remaining entry's revision, only their number.
        if not self.ready or newest > self._newest or len(listing.entries) != self._count:
            self._newest, self._count = newest, len(listing.entries)
            self._acknowledge(listing.entries)
            revision = _revision_to_send(listing)
            self._keep(revision, listing.entries)
            self.revision = revision
            self._listed.set()

    def _acknowledge(self, entries: Mapping[str, Entry]) -> None:
        """Prepare what is staged, then acknowledge it: from now on this instance can answer by it."""
        for key, entry in entries.items():
            name = key.removeprefix(STAGED)
            if not key.startswith(STAGED) or self._acknowledged.get(name) == entry.revision:
                continue
            if self._instance and self._knows(name):
                self._keep(entry.revision, entries)
                self._coordinator.put(f"{ACKS}{name}/{self._instance}", str(entry.revision))
                self._acknowledged[name] = entry.revision

    def _keep(self, revision: int, entries: Mapping[str, Entry]) -> FlagSnapshot:
        """Keep the flags at a revision: those of now, and the one that was staged at just this revision."""
        flags = {key.removeprefix(NOW): entry.value for key, entry in entries.items() if key.startswith(NOW)}
        flags |= {
            key.removeprefix(STAGED): entry.value
            for key, entry in entries.items()
            if key.startswith(STAGED) and entry.revision == revision
        }
        snapshot = FlagSnapshot(revision, flags)
        with self._lock:
            self._snapshots[revision] = snapshot
            while len(self._snapshots) > KEPT_REVISIONS:
                self._snapshots.popitem(last=False)
        return snapshot


def _revision_to_send(listing: Listing) -> int:
    """Return the revision for the header of new requests.

    Right after a switch it is the staged revision, which all instances have prepared; else the store's own.
    One at which a toggle was only staged is passed over: until the switch, nobody may answer by it.
    """
    for key, entry in listing.entries.items():
        if key.startswith(NOW) and entry.revision == listing.revision and f'"{STAGED_AT}"' in entry.value:
            staged = json.loads(entry.value).get("metadata", {}).get(STAGED_AT)
            if staged is not None:
                return int(staged)
    only_staged = {entry.revision for key, entry in listing.entries.items() if key.startswith(STAGED)}
    revision = listing.revision
    while revision in only_staged:
        revision -= 1
    return revision

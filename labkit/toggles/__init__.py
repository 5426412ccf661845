"""Feature toggles in the coordinator: set in one place, read by all instances, each request at one revision.

The store, etcd, numbers its states. The first instance that a request meets writes its revision into a header
of the request. All other instances answer by the toggles as they were at that revision. So no request is ever
answered half by the old and half by the new code, however long a change takes to reach all instances.
`switch` also makes sure that every instance has the new state before any of them uses it.
"""

from labkit.toggles._provider import ToggleProvider
from labkit.toggles._snapshot import FlagSnapshot
from labkit.toggles._stale import StaleToggle, stale
from labkit.toggles._store import ToggleStore
from labkit.toggles._switch import switch
from labkit.toggles._watcher import FlagWatcher

__all__ = ["FlagSnapshot", "FlagWatcher", "StaleToggle", "ToggleProvider", "ToggleStore", "stale", "switch"]

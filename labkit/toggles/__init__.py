"""Feature toggles in the coordinator: set by one, read by all instances, each request by one revision.

The store, etcd, numbers its states. An instance answers a request by the toggles as they were at the revision
that the first instance stamped on it, so that no request is ever answered half by the old and half by the new
code, however the news travels. `switch` also makes sure that every instance has the new state before anybody
uses it.
"""

from labkit.toggles._pinned import Pinned
from labkit.toggles._provider import ToggleProvider
from labkit.toggles._reader import Reader
from labkit.toggles._stale import StaleToggle, stale
from labkit.toggles._store import ToggleStore
from labkit.toggles._switch import switch

__all__ = ["Pinned", "Reader", "StaleToggle", "ToggleProvider", "ToggleStore", "stale", "switch"]

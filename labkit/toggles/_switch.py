"""The consistent switch: stage, acknowledgement by every live instance, guarded commit.

Two-phase commit (J. Gray, Notes on Data Base Operating Systems, 1978) with the store as the coordinator's
memory: one transaction decides, so a coordinator that dies leaves either the old or the new state.
"""

import time
from collections.abc import Sequence

from labkit.coordination import INSTANCES
from labkit.errors import LabError
from labkit.toggles._store import ACKS, NOW, STAGED, ToggleStore, definition

POLL_S = 0.005


def switch(
    store: ToggleStore, name: str, services: Sequence[str], *, on: bool = True, deadline_s: float = 10.0
) -> int:
    """Switch a toggle for all live instances of the services at one moment.

    Return the staged revision, which new requests carry from then on.

    :raises LabError: "8/10 ready", when an instance has not acknowledged within deadline_s seconds: it is
        stalled, or its code does not know the toggle; nothing is switched then.
    """
    coordinator, deadline = store.coordinator, time.monotonic() + deadline_s
    staged = coordinator.put(STAGED + name, definition(on=on))
    try:
        while time.monotonic() < deadline:
            registered = coordinator.listing_at(INSTANCES)
            ready, live = store.readiness(name, *services)
            if live and ready == live:
                # The commit is refused when an instance joined after the count, or another toggle was set
                # after the stage: then the instances have acknowledged something else.
                unchanged = {INSTANCES: registered.revision, NOW: staged}
                if coordinator.swap(
                    {NOW + name: definition(on=on, staged_at=staged)}, STAGED + name, unchanged
                ):
                    return staged
                staged = coordinator.put(STAGED + name, definition(on=on))
            time.sleep(POLL_S)
        ready, live = store.readiness(name, *services)
    finally:
        coordinator.delete(STAGED + name)
        for key in coordinator.values(f"{ACKS}{name}/"):
            coordinator.delete(key)
    raise LabError(
        f"every live instance of {', '.join(services)} ready for {name} within {deadline_s:g} s",
        f"{ready}/{live} ready",
        "find the instance that is stalled or whose code does not know the toggle, then switch again",
    )

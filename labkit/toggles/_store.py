"""The toggles in the store, as flagd defines flags (https://flagd.dev/reference/flag-definitions/)."""

import json
from typing import Any

from labkit.coordination import Coordinator
from labkit.errors import LabError

ALL = "/labkit/toggles/"
NOW, STAGED = f"{ALL}now/", f"{ALL}staged/"
WHOLE = 10_000
"""flagd's weights are whole numbers: a share is told to a hundredth of a percent."""

ACKS = "/labkit/toggle-acks/"
"""Outside of what the readers watch, so that one's acknowledgement is no news to all others."""


class ToggleStore:
    """The toggles of one environment, by name, in its coordinator."""

    def __init__(self, coordinator: Coordinator | None) -> None:
        """Raise LabError for None, which an environment without a coordinator gives."""
        if coordinator is None:
            mend = "take a stage that has one: staging or production"
            raise LabError("an environment with a coordinator", "none", mend)
        self.coordinator = coordinator

    def set(self, name: str, *, on: bool = True, share: float | None = None) -> int:
        """Set a toggle and return the store's revision; each instance follows when the news reaches it.

        share switches it on for that share (0 to 1) of the keys, such as customers' ids, off for the others.
        """
        return self.coordinator.put(NOW + name, definition(on=on, share=share))

    def remove(self, name: str) -> bool:
        """Remove a toggle, which is off from then on; tell whether it was there."""
        return self.coordinator.delete(NOW + name)

    def all(self) -> dict[str, str]:
        """Return how each toggle stands: "on", "off", or the share for which it is on, as "10 %"."""
        found = self.coordinator.listing(NOW).entries
        return {key.removeprefix(NOW): _told(json.loads(entry.value)) for key, entry in found.items()}

    def readiness(self, name: str, *services: str) -> tuple[int, int]:
        """Return how many live instances of the services have acknowledged what is staged, of how many."""
        acks = self.coordinator.listing(f"{ACKS}{name}/").entries
        staged = self.coordinator.listing(STAGED + name).entries.get(STAGED + name)
        live = [instance for service in services for instance in self.coordinator.instances(service)]
        wanted = str(staged.revision) if staged else ""
        ready = [it for it in live if (ack := acks.get(f"{ACKS}{name}/{it}")) and ack.value == wanted]
        return len(ready), len(live)


def definition(*, on: bool, share: float | None = None, as_of: int | None = None) -> str:
    """Return a flag as JSON; as_of is the revision at which a switch staged it, None without one."""
    flag: dict[str, Any] = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on" if on else "off",
    }
    if share is not None:
        if not 0 <= share <= 1:
            raise LabError("a share from 0 to 1", str(share), "give 0.1 for a tenth")
        weight = round(share * WHOLE)
        flag["targeting"] = {"fractional": [["on", weight], ["off", WHOLE - weight]]}
    if as_of is not None:
        flag["metadata"] = {"as_of": as_of}
    return json.dumps(flag)


def _told(flag: dict[str, Any]) -> str:
    if "targeting" in flag:
        return f"{flag['targeting']['fractional'][0][1] * 100 / WHOLE:g} %"
    return str(flag["defaultVariant"])

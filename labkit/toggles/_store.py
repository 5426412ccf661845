"""The toggles in the store, as flagd defines flags (https://flagd.dev/reference/flag-definitions/)."""

import json
from typing import Any

from labkit.coordination import Coordinator, InstanceRegistry
from labkit.errors import LabError

ALL = "/labkit/toggles/"
NOW, STAGED = f"{ALL}now/", f"{ALL}staged/"
BASIS_POINTS = 10_000
"""The whole of flagd's weights, which are whole numbers: a share is kept to a hundredth of a percent."""

ACKS = "/labkit/toggle-acks/"
"""Outside of the prefix that instances watch, so that one's acknowledgement wakes no other."""

STAGED_AT = "as_of"
"""The key in a flag's metadata for the revision at which a switch staged it."""


class ToggleStore:
    """The toggles of one environment, by name, in its coordinator."""

    def __init__(self, coordinator: Coordinator | None) -> None:
        """Keep the coordinator.

        :raises LabError: for None, which an environment without a coordinator gives.
        """
        if coordinator is None:
            next_step = "take a stage that has one: staging or production"
            raise LabError("an environment with a coordinator", "none", next_step)
        self.coordinator = coordinator

    def set(self, name: str, *, on: bool = True, share: float | None = None) -> int:
        """Set a toggle and return the store's revision; each instance follows when the change reaches it.

        share switches it on for that share (0 to 1) of the keys, such as customers' ids, and off for the
        others; None leaves it to `on` for all keys.

        :raises LabError: for a share below 0 or above 1.
        """
        return self.coordinator.put(NOW + name, definition(on=on, share=share))

    def remove(self, name: str) -> bool:
        """Remove a toggle, which is off from then on; return whether it was there."""
        return self.coordinator.delete(NOW + name)

    def all(self) -> dict[str, str]:
        """Return how each toggle stands: "on", "off", or the share for which it is on, as "10 %"."""
        flags = self.coordinator.values(NOW)
        return {key.removeprefix(NOW): _in_words(json.loads(flag)) for key, flag in flags.items()}

    def readiness(self, name: str, *services: str) -> tuple[int, int]:
        """Return how many live instances of the services have acknowledged the staged toggle, of how many."""
        acknowledged = self.acknowledged(name, *services)
        return sum(acknowledged.values()), len(acknowledged)

    def acknowledged(self, name: str, *services: str) -> dict[str, bool]:
        """Return for each live instance of the services whether it has acknowledged the staged toggle."""
        prefix = f"{ACKS}{name}/"
        acks = self.coordinator.values(prefix)
        staged = self.coordinator.listing_at(STAGED + name).entries.get(STAGED + name)
        registry = InstanceRegistry(self.coordinator)
        live = [instance for service in services for instance in registry.instances(service)]
        # An acknowledgement counts only for the revision that it was given for.
        revision = str(staged.revision) if staged else None
        return {instance: staged is not None and acks.get(prefix + instance) == revision for instance in live}


def definition(*, on: bool, share: float | None = None, staged_at: int | None = None) -> str:
    """Return a flag as JSON; staged_at is the revision at which a switch staged it, None without one."""
    flag: dict[str, Any] = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on" if on else "off",
    }
    if share is not None:
        if not 0 <= share <= 1:
            raise LabError("a share from 0 to 1", str(share), "give 0.1 for a tenth")
        weight = round(share * BASIS_POINTS)
        flag["targeting"] = {"fractional": [["on", weight], ["off", BASIS_POINTS - weight]]}
    if staged_at is not None:
        flag["metadata"] = {STAGED_AT: staged_at}
    return json.dumps(flag)


def _in_words(flag: dict[str, Any]) -> str:
    if "targeting" in flag:
        return f"{flag['targeting']['fractional'][0][1] * 100 / BASIS_POINTS:g} %"
    return str(flag["defaultVariant"])

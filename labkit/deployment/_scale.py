"""More or fewer instances of the image that serves."""

from collections.abc import Callable

from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Step
from labkit.errors import LabError


def scale(
    fleet: Fleet,
    count: int,
    *,
    ready_s: float = 30.0,
    drain_s: float = 10.0,
    on_event: Callable[[Step], object] | None = None,
) -> None:
    """Let count instances serve. New ones get image and settings of the most; the newest are removed first.

    A new instance has ready_s seconds to get ready, a removed one drain_s seconds to answer its requests.
    Standby instances, as blue/green keeps them, are not counted and not removed. on_event gets each `Step`;
    None means nobody.

    :raises LabError: when count is less than 1, or a deployment is in progress.
    :raises NotReady: when a new instance is not ready in time; there are then as many as before.
    """
    if count < 1:
        raise LabError("1 instance or more", f"{count}", "clean the environment up to have none")
    with fleet.claim():
        replacement = Replacement(fleet, ready_s=ready_s, drain_s=drain_s)
        replacement.emit = on_event or replacement.emit
        replacement.reconcile()
        serving = [instance for instance in fleet.instances if instance.state == UP]
        kinds = [(instance.image, instance.settings) for instance in serving or fleet.instances]
        image, settings = max(kinds, key=kinds.count)
        replacement.add(image, count - len(serving), settings)
        replacement.drain_and_remove(serving[count:])

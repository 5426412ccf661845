"""More instances, or fewer, of what serves."""

from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._replacement import Replacement
from labkit.errors import LabError


def scale(fleet: Fleet, count: int, *, ready_s: float = 30.0, drain_s: float = 10.0) -> None:
    """Have so many instances serve: further ones run what most run; the newest are drained and go first.

    Those that stand by, as blue/green keeps them, are neither counted nor removed.

    :raises LabError: for fewer than 1, and while a deployment is under way. :raises NotReady: when a new one
    is not ready within ready_s seconds; there are as many as before by then.
    """
    if count < 1:
        raise LabError("1 instance or more", f"{count}", "clean the environment up to have none")
    with fleet.claim():
        replacement = Replacement(fleet, ready_s=ready_s, drain_s=drain_s)
        replacement.recover()
        serving = [it for it in fleet.instances if it.state == UP]
        images = [it.image for it in serving or fleet.instances]
        replacement.add(max(images, key=images.count), count - len(serving))
        replacement.retire(serving[count:])

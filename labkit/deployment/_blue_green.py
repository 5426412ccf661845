"""Blue/green: N new instances stand beside the N old ones, and all requests change over at one moment."""

from collections.abc import Callable, Iterator, Sequence

from labkit.deployment._control import Control
from labkit.deployment._fleet import Fleet
from labkit.deployment._record import image_before
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Step
from labkit.deployment._strategy import Health, Job
from labkit.environment import Instance


def blue_green(
    fleet: Fleet,
    image: str,
    *,
    keep: bool = False,
    ready_s: float = 30.0,
    drain_s: float = 10.0,
    health: Health = lambda: "",
    control: Control | None = None,
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Start as many instances of an image as serve now, let them take over in one go, remove the old ones.

    The new ones have ready_s seconds to get ready, and nobody reaches them before the switch. Then the old
    ones have drain_s seconds to answer what they have. keep leaves them running without requests until the
    next deployment, so that `roll_back` is a switch back. Before the switch `control` can hold the
    deployment; right after it, `health` is asked, and the switch undone when it does not say "".

    :raises LabError: as rolling does. Ctrl-C before the switch removes the new instances, after it the old.
    """

    def strategy(replacement: Replacement, outdated: Sequence[Instance]) -> Iterator[None]:
        yield
        new = replacement.stand_by(image, len(outdated))
        yield
        replacement.switch(new, outdated)
        yield
        if not keep:
            replacement.retire(outdated)

    job = Job(fleet, image, strategy, health, control or Control(), reuse=True)
    return job.run(Replacement(fleet, ready_s=ready_s, drain_s=drain_s), on_event)


def roll_back(fleet: Fleet, *, on_event: Callable[[Step], object] | None = None) -> Deployment:
    """Let the image serve again that served before the last deployment, by blue_green.

    Instances that this one kept take over at once; else they are started anew.

    :raises LabError: when no deployment of this service is on record, or as blue_green does.
    """
    return blue_green(fleet, image_before(fleet), on_event=on_event)

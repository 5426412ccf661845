"""Blue/green: N new instances start beside the N old ones, and all requests move to them at one moment."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from labkit.deployment._control import Control
from labkit.deployment._fleet import Fleet
from labkit.deployment._record import ROLL_BACK, image_before
from labkit.deployment._registry import strategy
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Step
from labkit.deployment._strategy import DeploymentRun, Health, watching
from labkit.environment import Instance
from labkit.system import TomlTable

READY_S, DRAIN_S = 30.0, 10.0


def _options(table: TomlTable) -> dict[str, Any]:
    return {"watch_s": table.number("watch_s", default=2.0, zero=True)}


@strategy("blue_green", options=_options)
def blue_green(
    fleet: Fleet,
    image: str,
    *,
    keep: bool = False,
    watch_s: float = 0.0,
    ready_s: float = READY_S,
    drain_s: float = DRAIN_S,
    health: Health = lambda: "",
    control: Control | None = None,
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Start as many instances of an image as serve now, switch all requests to them, remove the old ones.

    The new instances have ready_s seconds to get ready, and get no requests before the switch. Then the old
    ones have drain_s seconds to answer their open requests. keep leaves the old ones running on standby until
    the next deployment, so that `roll_back` is only a switch back.

    Before the switch `control` can pause or abort the deployment; None means that nobody does. After the
    switch `health` is asked, for watch_s seconds, and the switch is undone when it does not return "", or is
    an `Evidence` that has seen no request of the new version.
    on_event gets each `Step` in the caller's thread; None means nobody.

    Ctrl-C before the switch removes the new instances, after it the old ones.

    :raises LabError: as rolling does.
    """
    run = _run(fleet, image, "blue_green", keep=keep, watch_s=watch_s, health=health, control=control)
    return run.run(Replacement(fleet, ready_s=ready_s, drain_s=drain_s), on_event)


def _run(
    fleet: Fleet,
    image: str,
    name: str,
    *,
    keep: bool = False,
    watch_s: float = 0.0,
    health: Health = lambda: "",
    control: Control | None = None,
) -> DeploymentRun:
    """Return the run of blue_green under a name for the record."""
    control = control or Control()

    def steps(replacement: Replacement, outdated: Sequence[Instance]) -> Iterator[None]:
        yield
        new = replacement.standby(image, len(outdated))
        yield
        replacement.switch(new, outdated)
        # The old instances stay on standby until health was asked: undoing the switch starts nothing.
        yield from watching(watch_s, control, health)
        yield
        if not keep:
            replacement.drain_and_remove(outdated)

    return DeploymentRun(fleet, image, name, steps, health, control, reuse=True)


def roll_back(fleet: Fleet, *, on_event: Callable[[Step], object] | None = None) -> Deployment:
    """Deploy the image that served before the last deployment, by blue_green.

    Instances that the last deployment kept take over at once; else new ones are started. on_event gets each
    `Step` in the caller's thread; None means nobody.

    :raises LabError: when no deployment of this service is on record, when the last one was rolled back
        already, or as blue_green does.
    """
    run = _run(fleet, image_before(fleet), ROLL_BACK)
    return run.run(Replacement(fleet, ready_s=READY_S, drain_s=DRAIN_S), on_event)

"""The rolling upgrade: new instances take over some at a time."""

from collections.abc import Callable, Iterator, Sequence

from labkit.deployment._control import Control
from labkit.deployment._fleet import Fleet
from labkit.deployment._order import Order, oldest_first
from labkit.deployment._record import withdrawn
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Step
from labkit.deployment._strategy import Health, Job
from labkit.environment import Instance
from labkit.errors import LabError


def rolling(  # noqa: PLR0913 - one verb, and each keyword has a sentence below
    fleet: Fleet,
    image: str,
    *,
    surge: int = 1,
    unavailable: int = 0,
    order: Order = oldest_first,
    ready_s: float = 30.0,
    drain_s: float = 10.0,
    health: Health = lambda: "",
    control: Control | None = None,
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Replace the instances that do not run an image yet by ones that do, and return what was done.

    surge + unavailable instances are replaced at a time, so that of N at most N + surge run, and at least
    N - unavailable serve. Of the old ones that `order` names next, the unavailable are taken away first; then
    the new ones start, have ready_s seconds to get ready, and the balancer takes them in; then the other old
    ones are taken away. Who is taken away gets no new requests and has drain_s seconds to answer those it
    has.

    Between two such batches, and at the end, every new instance must serve and `health` say "", else the
    fleet is put back, and the deployment's reason says why; control can hold or end it there too. on_event
    hears each `Step` in the caller's thread.

    :raises LabError: when a new instance does not get ready, and the fleet then runs what it ran before; also
        when another deployment of the same service is under way. Ctrl-C lets the instances in hand come to
        their end and stops: as many as before serve, perhaps of both versions; calling it again goes on, also
        after the process was killed.
    """
    if min(surge, unavailable) < 0 or surge + unavailable < 1:
        seen, mend = f"surge = {surge}, unavailable = {unavailable}", "give surge=1"
        raise LabError("surge and unavailable from 0 on, one of them 1 or more", seen, mend)

    def strategy(replacement: Replacement, outdated: Sequence[Instance]) -> Iterator[None]:
        waiting = list(outdated)
        while waiting:
            yield
            batch = order(fleet, waiting)[: surge + unavailable]
            waiting = [it for it in waiting if it not in batch]
            replacement.replace(batch, image, unavailable)

    job = Job(fleet, image, strategy, health, control or Control())
    return job.run(Replacement(fleet, ready_s=ready_s, drain_s=drain_s), on_event)


def roll_forward(
    fleet: Fleet,
    image: str,
    *,
    health: Health = lambda: "",
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Deploy a corrected version, as rolling does; one that was rolled back here is none, and is refused.

    :raises LabError: when a deployment of just this image was rolled back before, and as rolling does.
    """
    if reason := withdrawn(fleet, image):
        seen = f"{image} was rolled back: {reason}"
        raise LabError("a corrected version", seen, "build an image that mends it, and roll forward to that")
    return rolling(fleet, image, health=health, on_event=on_event)

"""The rolling upgrade: new instances replace the old ones, some at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from labkit.deployment._control import Control
from labkit.deployment._fleet import Fleet
from labkit.deployment._order import ReplacementOrder, oldest_first
from labkit.deployment._record import withdrawn
from labkit.deployment._registry import strategy
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Step
from labkit.deployment._strategy import DeploymentRun, Health, watching
from labkit.environment import Instance
from labkit.errors import LabError
from labkit.system import TomlTable


def _options(table: TomlTable) -> dict[str, Any]:
    surge, unavailable = table.whole("surge", default=1), table.whole("unavailable", default=0)
    if surge + unavailable < 1:
        table.refuse("surge", "1 or more, when unavailable is 0", surge, "write surge = 1")
    watch_s = table.number("watch_s", default=1.0, zero=True)
    return {"surge": surge, "unavailable": unavailable, "watch_s": watch_s}


@strategy("rolling", options=_options)
def rolling(  # noqa: PLR0913 - one verb, and each keyword has a sentence below
    fleet: Fleet,
    image: str,
    *,
    surge: int = 1,
    unavailable: int = 0,
    order: ReplacementOrder = oldest_first,
    watch_s: float = 0.0,
    ready_s: float = 30.0,
    drain_s: float = 10.0,
    health: Health = lambda: "",
    control: Control | None = None,
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Replace the instances that do not run an image yet by ones that do, and return what was done.

    surge + unavailable instances are replaced at a time. Of N instances, at most N + surge run, and at least
    N - unavailable serve. `order` says which old instances are next. Of these, `unavailable` are removed
    before the new ones start, and the others after the balancer has attached the new ones. A new instance has
    ready_s seconds to get ready. An instance that is removed gets no new requests, and has drain_s seconds to
    answer its open ones.

    After each batch every new instance must serve and `health` must return "", during watch_s seconds. Else
    the fleet is restored, and the deployment's reason says why. An `Evidence` that has seen no request of the
    new version during these seconds is such a reason too. At the same points control can pause or abort
    it; None means that nobody does. on_event gets each `Step` in the caller's thread; None means nobody.

    Ctrl-C finishes the batch in hand and stops. As many instances as before serve then, perhaps of both
    versions. The next call continues from there, also after the process was killed.

    :raises LabError: when another deployment of the service is in progress, or a new instance does not get
        ready; the fleet then runs what it ran before.
    """
    if min(surge, unavailable) < 0 or surge + unavailable < 1:
        seen, next_step = f"surge = {surge}, unavailable = {unavailable}", "give surge=1"
        raise LabError("surge and unavailable of 0 or more, and one of them 1 or more", seen, next_step)

    control = control or Control()

    def steps(replacement: Replacement, outdated: Sequence[Instance]) -> Iterator[None]:
        waiting = list(outdated)
        while waiting:
            yield
            batch = order(fleet, waiting)[: surge + unavailable]
            waiting = [instance for instance in waiting if instance not in batch]
            replacement.replace(batch, image, unavailable)
            yield from watching(watch_s, control, health)

    run = DeploymentRun(fleet, image, "rolling", steps, health, control)
    return run.run(Replacement(fleet, ready_s=ready_s, drain_s=drain_s), on_event)


def roll_forward(
    fleet: Fleet,
    image: str,
    *,
    health: Health = lambda: "",
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Deploy a corrected version by `rolling`; an image that was rolled back here before is refused.

    on_event gets each `Step` in the caller's thread; None means nobody.

    :raises LabError: when a deployment of exactly this image was rolled back before, and as rolling does.
    """
    if reason := withdrawn(fleet, image):
        seen = f"{image} was rolled back: {reason}"
        raise LabError(
            "a corrected version", seen, "build an image in which this is corrected, and roll forward to it"
        )
    return rolling(fleet, image, health=health, on_event=on_event)

"""The canary: a few instances of the new version serve first, watched, before the others are replaced."""

import time
from collections.abc import Callable, Iterator, Sequence

from labkit.deployment._control import Control
from labkit.deployment._fleet import Fleet
from labkit.deployment._groups import Group, everybody
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Step
from labkit.deployment._strategy import Health, Job, Withdrawn
from labkit.environment import Instance
from labkit.errors import LabError

LOOK_S = 0.1


def canary(
    fleet: Fleet,
    image: str,
    health: Health,
    *,
    to: Group | None = None,
    watch_s: float = 20.0,
    ready_s: float = 30.0,
    drain_s: float = 10.0,
    control: Control | None = None,
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Let some clients be served by an image before the N old instances are replaced by it.

    `to` says whom: a `group`, `users`, a `share`, those who came by `discovery`, or None, which is
    `everybody` by chance. For watch_s seconds, or until `control.promote`, health is asked ten times a
    second, best an `Evidence`; whatever it says but "" withdraws the canary at once. Then the old instances
    are replaced one by one, with health asked further.

    :raises LabError: as rolling does.
    """
    if not watch_s > 0:
        raise LabError("a canary that is watched for a while", f"watch_s = {watch_s}", "give watch_s=20")
    chosen, control = to or everybody(), control or Control()

    def watch(canaries: Sequence[Instance]) -> Iterator[None]:
        ends = time.monotonic() + watch_s
        while time.monotonic() < ends and not control.promoted:
            _examine(fleet, canaries, health)
            yield
            time.sleep(LOOK_S)

    def strategy(replacement: Replacement, outdated: Sequence[Instance]) -> Iterator[None]:
        yield
        count = min(chosen.instances, len(outdated))
        if chosen.is_chosen:
            canaries = replacement.stand_by(image, 1)
            fleet.environment.balancer.direct(canaries[0], chosen.keys, chosen.share)
            yield from watch(canaries)
            replacement.switch(canaries, ())
        else:
            replacement.add(image, count)
            yield from watch(())
        for place, old in enumerate(outdated):
            yield
            if place < len(outdated) - count:
                replacement.replace([old], image)
            else:  # the canary takes the place of the last ones
                replacement.retire([old])

    job = Job(fleet, image, strategy, health, control)
    return job.run(Replacement(fleet, ready_s=ready_s, drain_s=drain_s), on_event)


def _examine(fleet: Fleet, canaries: Sequence[Instance], health: Health) -> None:
    """Withdraw canaries of a group when the balancer has given one up, or health says why."""
    if not canaries:
        return
    states = fleet.states
    down = [
        f"{it.name} is {states.get(it.name, 'gone')}" for it in canaries if states.get(it.name) != "DRAIN"
    ]
    if reason := ", ".join(down) or health():
        raise Withdrawn(reason)

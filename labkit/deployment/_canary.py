"""The canary: a few instances of the new version serve first, watched, before the others are replaced."""

import time
from collections.abc import Callable, Iterator, Sequence

from labkit.deployment._control import Control
from labkit.deployment._fleet import Fleet
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Step
from labkit.deployment._strategy import Health, Job
from labkit.environment import Instance
from labkit.errors import LabError

LOOK_S = 0.1


def canary(
    fleet: Fleet,
    image: str,
    health: Health,
    *,
    instances: int = 1,
    watch_s: float = 20.0,
    ready_s: float = 30.0,
    drain_s: float = 10.0,
    control: Control | None = None,
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Let a few instances of an image serve beside the N old ones; replace these once it has proven itself.

    The canary's share of the requests is instances / (N + instances). For watch_s seconds, or until
    `control.promote`, health is asked ten times a second, best an `Evidence`; whatever it says but ""
    withdraws the canary at once. Then the old instances are replaced one by one, with health asked further.

    :raises LabError: as rolling does.
    """
    if instances < 1 or not watch_s > 0:
        seen = f"instances = {instances}, watch_s = {watch_s}"
        raise LabError("a canary of 1 instance or more, watched for a while", seen, "give instances=1")
    control = control or Control()

    def strategy(replacement: Replacement, outdated: Sequence[Instance]) -> Iterator[None]:
        yield
        count = min(instances, len(outdated))
        replacement.add(image, count)
        ends = time.monotonic() + watch_s
        while time.monotonic() < ends and not control.promoted:
            yield
            time.sleep(LOOK_S)
        for place, old in enumerate(outdated):
            yield
            if place < len(outdated) - count:
                replacement.replace([old], image)
            else:  # the canary takes the place of the last ones
                replacement.retire([old])

    job = Job(fleet, image, strategy, health, control)
    return job.run(Replacement(fleet, ready_s=ready_s, drain_s=drain_s), on_event)

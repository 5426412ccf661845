"""The canary: a few instances of the new version serve first, watched, before the others are replaced."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
    `everybody` by chance; share and everybody may grow in steps. For watch_s seconds a step, or until
    `control.promote` ends all of them, health is asked ten times a second, best an `Evidence`; whatever it
    says but "" withdraws the canary at once. Then the old instances are replaced one by one, with health
    asked further.

    :raises LabError: as rolling does.
    """
    if not watch_s > 0:
        raise LabError("a canary that is watched for a while", f"watch_s = {watch_s}", "give watch_s=20")
    made = _Canary(fleet, image, health, to or everybody(), watch_s, control or Control())
    job = Job(fleet, image, made.strategy, health, made.control)
    return job.run(Replacement(fleet, ready_s=ready_s, drain_s=drain_s), on_event)


@dataclass(frozen=True)
class _Canary:
    """One canary deployment; its methods are generators that yield where it may wait or end."""

    fleet: Fleet
    image: str
    health: Health
    to: Group
    watch_s: float
    control: Control

    def strategy(self, replacement: Replacement, outdated: Sequence[Instance]) -> Iterator[None]:
        """Bring up the canary, watch it through all its steps, then replace what is left of the old ones."""
        yield
        old, first = deque(outdated), min(self.to.instances[0], len(outdated))
        if self.to.is_chosen:
            yield from self._send(replacement)
        else:
            replacement.add(self.image, first)
            for canaries in self.to.instances:
                yield from self._replace(replacement, old, max(first, len(outdated) + first - canaries))
                yield from self._watch()
        yield from self._replace(replacement, old, first)
        for instance in old:  # the first canaries take the place of the last ones
            yield
            replacement.retire([instance])

    def _send(self, replacement: Replacement) -> Iterator[None]:
        """Send those who were chosen to one canary, step by step, and in the end everybody."""
        canaries = replacement.stand_by(self.image, 1)
        for part in self.to.shares:
            self.fleet.environment.balancer.direct(canaries[0], self.to.keys, part)
            yield from self._watch(canaries)
        replacement.switch(canaries, ())

    def _replace(self, replacement: Replacement, old: deque[Instance], left: int) -> Iterator[None]:
        """Replace the old instances one by one, until so many are left."""
        while len(old) > left:
            yield
            replacement.replace([old.popleft()], self.image)

    def _watch(self, directed: Sequence[Instance] = ()) -> Iterator[None]:
        """Wait and look; canaries to whom somebody is directed are examined here, others by the job."""
        ends = time.monotonic() + self.watch_s
        while time.monotonic() < ends and not self.control.promoted:
            self._examine(directed)
            yield
            time.sleep(LOOK_S)

    def _examine(self, directed: Sequence[Instance]) -> None:
        """Withdraw canaries of a group when the balancer has given one up, or health says why."""
        if not directed:
            return
        states = self.fleet.states
        down = [
            f"{it.name} is {states.get(it.name, 'gone')}" for it in directed if states.get(it.name) != "DRAIN"
        ]
        if reason := ", ".join(down) or self.health():
            raise Withdrawn(reason)

"""What all strategies have in common: one deployment at a time, recorded, judged at each step, and undone.

The core of a strategy is a generator over a `Replacement`. It yields before each step at which it may wait or
end.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from labkit._uninterruptible import Uninterruptible
from labkit.deployment._control import Aborted, Control
from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._record import began, ended, progressed, unfinished, upgraded
from labkit.deployment._replacement import Replacement, runs
from labkit.deployment._steps import Deployment, Result, Step
from labkit.deployment._watch import Judge, WatchOutcome
from labkit.environment import Instance
from labkit.errors import LabError

Steps = Callable[[Replacement, Sequence[Instance]], Iterator[None]]
"""Replaces the given instances step by step; yields where the deployment may wait or end."""

PAUSE_S = 0.1
Health = Callable[[], str]
"""Returns why the new version is to be withdrawn; "" means that it may go on."""


class Withdrawn(Exception):
    """The new version does not serve as it should."""


@dataclass(frozen=True)
class DeploymentRun:
    """One run of the steps of a strategy, which is named so in the record; it brings an image to a fleet.

    health and control can end it. reuse is as in Replacement.clean_up_leftovers.
    """

    fleet: Fleet
    image: str
    strategy: str
    steps: Steps
    health: Health = lambda: ""
    control: Control = field(default_factory=Control)
    reuse: bool = False

    def run(self, replacement: Replacement, on_event: Callable[[Step], object] | None) -> Deployment:
        """Deploy in a thread of its own; on_event gets each step in the caller's thread, None is nobody.

        :raises LabError: when another deployment of the service is in progress; see the strategies for more.
        """
        with self.fleet.claim():
            block: Uninterruptible[Deployment, Step] = Uninterruptible(partial(self._deploy, replacement))
            replacement.emit = block.emit
            return block.run(on_event or (lambda _: None))

    def _deploy(self, replacement: Replacement, stop: Event) -> Deployment:
        count_before = unfinished(self.fleet)
        replacement.clean_up_leftovers(self.image, count_before, reuse=self.reuse)
        outdated = [instance for instance in replacement.before if not runs(instance, self.image)]
        # An unfinished deployment goes on even when nothing is outdated: its end must be recorded.
        if not outdated and count_before is None:
            return self._deployment(replacement, outdated)
        began(self.fleet, self.image, self.strategy)
        replacement.record = partial(progressed, self.fleet, self.image)
        try:
            return self._take_steps(replacement, outdated, stop)
        except (Aborted, Withdrawn) as reason:
            _restore(replacement, self.image, "rolled back", reason)
            return self._deployment(replacement, outdated, Result.ROLLED_BACK, str(reason))
        except Exception as failure:
            _restore(replacement, self.image, "failed", failure)
            raise

    def _take_steps(self, replacement: Replacement, outdated: list[Instance], stop: Event) -> Deployment:
        for _ in self.steps(replacement, outdated):
            self._examine(replacement)
            self.control.wait(stop, partial(ended, self.fleet, self.image, reason=""))
            if stop.is_set():
                replacement.remove_idle()
                ended(self.fleet, self.image, "interrupted", "", replacement.steps)
                return self._deployment(replacement, outdated, Result.INTERRUPTED)
        self._examine(replacement)
        deployment = self._deployment(replacement, outdated)
        upgraded(self.fleet, deployment)
        return deployment

    def _examine(self, replacement: Replacement) -> None:
        """Examine the new instances that take requests.

        Health comes first: while the engine is asked for the rest, customers meet what it may know already.

        :raises Withdrawn: when one of them does not serve, or health returns a reason.
        """
        if replacement.made and (reason := self.health()):
            raise Withdrawn(reason)
        replacement.reconcile()
        states = self.fleet.states
        down = [
            f"{name} is {states.get(name, 'gone')}" for name in replacement.made if states.get(name) != UP
        ]
        if down:
            raise Withdrawn(", ".join(down))

    def _deployment(
        self,
        replacement: Replacement,
        outdated: Sequence[Instance],
        result: Result = Result.DEPLOYED,
        reason: str = "",
    ) -> Deployment:
        images = [instance.image for instance in outdated]
        return Deployment(
            service=self.fleet.service,
            from_image=max(images, key=images.count, default=None),
            to_image=self.image,
            seconds=replacement.seconds,
            steps=tuple(replacement.steps),
            result=result,
            reason=reason,
            strategy=self.strategy,
            began=time.time() - replacement.seconds,
        )


def watching(watch_s: float, control: Control, health: Health) -> Iterator[None]:
    """Yield ten times a second for watch_s seconds, or until promote: at each the run asks for health.

    :raises Withdrawn: when health is a `Judge` that has seen nothing to judge in all that time.
    """
    ends = time.monotonic() + watch_s
    while time.monotonic() < ends and not control.promoted:
        yield
        time.sleep(PAUSE_S)
    watched = watch_s > 0 and not control.promoted
    if watched and isinstance(health, Judge) and health.outcome() is WatchOutcome.NO_EVIDENCE:
        raise Withdrawn(health.missing)


def _restore(replacement: Replacement, image: str, state: str, failure: Exception) -> None:
    """Restore the fleet after a failure and record the state that this leaves.

    :raises LabError: when the fleet cannot be restored; the next deployment finds it "interrupted".
    """
    fleet = replacement.fleet
    try:
        replacement.restore()
    except Exception as second:
        reason = f"{failure}; restoring failed: {second}"
        ended(fleet, image, "interrupted", reason, replacement.steps)
        raise LabError(
            expected=f"{fleet.service} as it was before the deployment {state}",
            seen=f"{fleet!r}, because: {failure}\nand restoring it failed: {second}",
            next_step="fix the cause and deploy again; the instances that serve now go on serving",
        ) from second
    ended(fleet, image, state, str(failure), replacement.steps)

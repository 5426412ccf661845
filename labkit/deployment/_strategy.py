"""What all strategies have in common: one deployment at a time, told, recorded, watched, and undone.

A strategy is a generator over a `Replacement` that yields before each step after which it may wait or end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from labkit.deployment._background import Background
from labkit.deployment._control import Aborted, Control
from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._record import began, ended, unfinished, upgraded
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Result, Step
from labkit.environment import Instance
from labkit.errors import LabError

Strategy = Callable[[Replacement, Sequence[Instance]], Iterator[None]]
Health = Callable[[], str]
"""Returns why the new version is to be withdrawn, "" when it is not."""


class Withdrawn(Exception):
    """The new version does not serve as it should."""


@dataclass(frozen=True)
class Job:
    """One deployment: where, what, how, and who has a say in it; reuse is as in Replacement.tidy."""

    fleet: Fleet
    image: str
    strategy: Strategy
    health: Health = lambda: ""
    control: Control = field(default_factory=Control)
    reuse: bool = False

    def run(self, replacement: Replacement, on_event: Callable[[Step], object] | None) -> Deployment:
        """Do it beside the caller's thread, which hears each step; see the strategies for the errors."""
        with self.fleet.claim():
            work: Background[Deployment, Step] = Background(partial(self._deploy, replacement))
            replacement.tell = work.tell
            return work.run(on_event or (lambda _: None))

    def _deploy(self, replacement: Replacement, stop: Event) -> Deployment:
        left = unfinished(self.fleet)
        replacement.tidy(self.image, left, reuse=self.reuse)
        outdated = [instance for instance in replacement.before if instance.image != self.image]
        if not outdated and left is None:
            return self._told(replacement, outdated)
        began(self.fleet, self.image)
        try:
            return self._steps(replacement, outdated, stop)
        except (Aborted, Withdrawn) as reason:
            _put_back(replacement, self.image, "rolled back", reason)
            return self._told(replacement, outdated, Result.ROLLED_BACK, str(reason))
        except Exception as failure:
            _put_back(replacement, self.image, "failed", failure)
            raise

    def _steps(self, replacement: Replacement, outdated: list[Instance], stop: Event) -> Deployment:
        for _ in self.strategy(replacement, outdated):
            self._look(replacement)
            self.control.wait(stop, partial(ended, self.fleet, self.image, reason=""))
            if stop.is_set():
                replacement.sweep()
                ended(self.fleet, self.image, "interrupted", "")
                return self._told(replacement, outdated, Result.INTERRUPTED)
        self._look(replacement)
        deployment = self._told(replacement, outdated)
        upgraded(self.fleet, deployment)
        return deployment

    def _look(self, replacement: Replacement) -> None:
        """Raise Withdrawn when a new instance that was taken in does not serve, or health says so."""
        replacement.recover()
        if not replacement.made:
            return
        states = self.fleet.states
        down = [
            f"{name} is {states.get(name, 'gone')}" for name in replacement.made if states.get(name) != UP
        ]
        if reason := ", ".join(down) or self.health():
            raise Withdrawn(reason)

    def _told(
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
        )


def _put_back(replacement: Replacement, image: str, state: str, failure: Exception) -> None:
    fleet = replacement.fleet
    try:
        replacement.put_back()
    except Exception as second:
        ended(fleet, image, "interrupted", f"{failure}; putting back failed: {second}")
        raise LabError(
            expected=f"{fleet.service} as it was before the deployment {state}",
            seen=f"{fleet!r}, because: {failure}\nand putting back failed: {second}",
            next_step="mend the cause and deploy again; what serves now goes on serving",
        ) from second
    ended(fleet, image, state, str(failure))

"""The steps that every strategy is made of: bring up, take in, drain, remove, and put back what failed."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._steps import State, Step
from labkit.environment import Instance
from labkit.errors import LabError


class Replacement:
    """Replaces instances of a fleet, tells each step, and knows how to undo what it did."""

    def __init__(self, fleet: Fleet, *, ready_s: float, drain_s: float) -> None:
        self.fleet, self._ready_s, self._drain_s = fleet, ready_s, drain_s
        self.tell: Callable[[Step], object] = lambda _: None
        self._began = time.monotonic()
        self.before: list[Instance] = []
        self.steps: list[Step] = []

    @property
    def seconds(self) -> float:
        """The time since the deployment began."""
        return time.monotonic() - self._began

    def tidy(self, image: str, wanted: int | None) -> None:
        """Remove what a deployment left that was killed: instances that get no requests, and those too many.

        wanted is how many there were before that deployment, None without one. Those that run another image
        than the one that is asked for now go first.
        """
        found = self.fleet.instances
        up = sorted((it for it in found if it.state == UP), key=lambda it: it.image == image)
        extra = up[: len(up) - wanted] if wanted and len(up) > wanted else []
        if up:
            self._retire([*extra, *(it for it in found if it.state in {"waiting", "DRAIN", "MAINT"})])
        self.before = self.fleet.instances

    def replace(self, old: Sequence[Instance], image: str) -> None:
        """Bring up as many instances of an image, then retire the old ones; none when one fails."""
        self._bring_up([image] * len(old))
        self._retire(old)

    def put_back(self) -> None:
        """Bring the fleet back to what it ran when it was tidied, by what serves now."""
        states = self.fleet.states
        kept = [it for it in self.before if states.get(it.name) == UP]
        names = {it.name for it in kept}
        kept += self._bring_up([it.image for it in self.before if it.name not in names])
        names = {it.name for it in kept}
        self._retire([it for it in self.fleet.instances if it.name not in names])

    def _bring_up(self, images: Sequence[str]) -> list[Instance]:
        """Return one new instance an image, serving; all or none.

        One after the other, since the environment gives each the next free number as its name.
        """
        made: list[Instance] = []
        try:
            for image in images:
                made.append(self._start(image))  # noqa: PERF401 - a failure must find those made before it
        except Exception:
            self._retire(made)
            raise
        return made

    def _start(self, image: str) -> Instance:
        environment = self.fleet.environment
        self._step("", image, State.STARTING)
        try:
            instance = environment.add_instance(self.fleet.service, image, deadline_s=self._ready_s)
        except Exception:
            self._step("", image, State.FAILED)
            raise
        self._step(instance.name, image, State.READY)
        try:
            environment.balancer.add(instance)
        except Exception:
            self._step(instance.name, image, State.FAILED)
            environment.remove_instance(instance)
            raise
        self._step(instance.name, image, State.IN_BALANCER)
        return instance

    def _retire(self, instances: Sequence[Instance]) -> None:
        """Drain and remove instances, side by side."""
        with ThreadPoolExecutor(max(1, len(instances))) as threads:
            list(threads.map(self._retire_one, instances))

    def _retire_one(self, instance: Instance) -> None:
        environment = self.fleet.environment
        self._step(instance.name, instance.image, State.DRAINING)
        try:
            environment.balancer.drain(instance, self._drain_s)
        except LabError:  # its time is over: what it has not answered by now is lost, and that is told
            self._step(instance.name, instance.image, State.CUT_OFF)
        environment.balancer.remove(instance)
        environment.remove_instance(instance)
        self._step(instance.name, instance.image, State.REMOVED)

    def _step(self, name: str, image: str, state: State) -> None:
        step = Step(self.seconds, name, image, state)
        self.steps.append(step)
        self.tell(step)

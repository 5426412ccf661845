"""The steps that every strategy is made of: bring up, take in, drain, remove, and put back what failed."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._steps import State, Step
from labkit.environment import Instance
from labkit.errors import LabError

RECOVER_S = 15.0
"""How long a balancer may take to come back when it is restarted."""


class Replacement:
    """Replaces instances of a fleet, tells each step, and knows how to undo what it did."""

    def __init__(self, fleet: Fleet, *, ready_s: float, drain_s: float) -> None:
        self.fleet, self._ready_s, self._drain_s = fleet, ready_s, drain_s
        self.tell: Callable[[Step], object] = lambda _: None
        self._began = time.monotonic()
        self.before: list[Instance] = []
        self.made: list[str] = []
        self.steps: list[Step] = []

    @property
    def seconds(self) -> float:
        """The time since the deployment began."""
        return time.monotonic() - self._began

    def tidy(self, image: str, wanted: int | None, *, reuse: bool) -> None:
        """Remove what a deployment left that was killed: instances that get no requests, and those too many.

        wanted is how many there were before that deployment, None without one. Those that run another image
        than the one that is asked for now go first. reuse keeps those of this image that stand by.
        """
        self.recover()
        found = self.fleet.instances
        up = sorted((it for it in found if it.state == UP), key=lambda it: it.image == image)
        extra = up[: len(up) - wanted] if wanted and len(up) > wanted else []
        kept = _standing_by(found, image) if reuse else []
        left = [*extra, *(it for it in _idle(found) if it not in kept)] if up else []
        self.retire(left)
        self.before = [it for it in found if it not in [*kept, *left]]

    def recover(self) -> None:
        """Introduce the instances again to a balancer that was restarted, and so has forgotten all of them.

        Those get requests that got them before; at the beginning of a deployment, those that most resemble.
        """
        environment, ends = self.fleet.environment, time.monotonic() + RECOVER_S
        while True:
            try:
                if environment.balancer.servers(self.fleet.service):
                    return
                break
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)
                environment.refresh()
        found = [it for it in self.fleet.instances if it.state == "waiting"]
        images = [it.image for it in found]
        known = {*(it.name for it in self.before), *self.made}
        for instance in found:
            environment.balancer.check_in(instance)
            if instance.name in known or (not known and instance.image == max(images, key=images.count)):
                environment.balancer.admit(instance)

    def sweep(self) -> None:
        """Remove the instances that get no requests."""
        self.retire(_idle(self.fleet.instances))

    def replace(self, old: Sequence[Instance], image: str, unavailable: int = 0) -> None:
        """Retire some of the old instances, bring up new ones for all of them, then retire the others."""
        self.retire(old[:unavailable])
        self._bring_up([image] * len(old))
        self.retire(old[unavailable:])

    def add(self, image: str, count: int) -> None:
        """Bring up so many instances of an image beside those that serve; all or none."""
        self._bring_up([image] * count)

    def stand_by(self, image: str, count: int) -> list[Instance]:
        """Return so many instances of an image that are ready and get no requests; all or none."""
        found = _standing_by(self.fleet.instances, image)[:count]
        return found + self._all([image] * (count - len(found)), self._prepare)

    def switch(self, to: Sequence[Instance], away: Sequence[Instance]) -> None:
        """Let instances that stand by take all requests, and others none, at one moment."""
        self.fleet.environment.balancer.switch(to, away)
        self.made += [it.name for it in to]
        for instance in to:
            self._step(instance.name, instance.image, State.IN_BALANCER)
        for instance in away:
            self._step(instance.name, instance.image, State.STANDING_BY)

    def put_back(self) -> None:
        """Bring the fleet back to what it ran when it was tidied, by what serves now."""
        self.recover()
        states = self.fleet.states
        if waiting := [it for it in self.before if states.get(it.name) == "DRAIN"]:
            self.fleet.environment.balancer.switch(waiting, ())
        kept = [it for it in self.before if states.get(it.name) in {UP, "DRAIN"}]
        names = {it.name for it in kept}
        kept += self._bring_up([it.image for it in self.before if it.name not in names])
        names = {it.name for it in kept}
        self.retire([it for it in self.fleet.instances if it.name not in names])

    def _bring_up(self, images: Sequence[str]) -> list[Instance]:
        """Return one new instance an image, serving; all or none."""
        return self._all(images, self._start)

    def _all(self, images: Sequence[str], start: Callable[[str], Instance]) -> list[Instance]:
        """Start one instance an image, one after the other, so that few start at a time; all or none."""
        made: list[Instance] = []
        try:
            for image in images:
                made.append(start(image))  # noqa: PERF401 - a failure must find those made before it
        except Exception:
            self.retire(made)
            raise
        return made

    def _start(self, image: str) -> Instance:
        """Return a new instance that serves."""
        instance = self._prepare(image)
        self.fleet.environment.balancer.admit(instance)
        self.made.append(instance.name)
        self._step(instance.name, image, State.IN_BALANCER)
        return instance

    def _prepare(self, image: str) -> Instance:
        """Return a new instance that the balancer has found ready, and gives no requests yet."""
        environment = self.fleet.environment
        self._step("", image, State.STARTING)
        try:
            instance = environment.add_instance(self.fleet.service, image, deadline_s=self._ready_s)
        except Exception:
            self._step("", image, State.FAILED)
            raise
        self._step(instance.name, image, State.READY)
        try:
            environment.balancer.check_in(instance)
        except Exception:
            self._step(instance.name, image, State.FAILED)
            environment.remove_instance(instance)
            raise
        return instance

    def retire(self, instances: Sequence[Instance]) -> None:
        """Drain and remove instances, side by side."""
        names = {it.name for it in instances}
        self.made = [name for name in self.made if name not in names]
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


def _standing_by(instances: Sequence[Instance], image: str) -> list[Instance]:
    return [it for it in instances if it.image == image and it.state == "DRAIN"]


def _idle(instances: Sequence[Instance]) -> list[Instance]:
    return [it for it in instances if it.state in {"waiting", "DRAIN", "MAINT"}]

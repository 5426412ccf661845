"""What strategies are made of: start and attach, switch, drain and remove, and restore after a failure."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._reconcile import attach, reconcile
from labkit.deployment._record import NO_REQUESTS, standby
from labkit.deployment._steps import Step, StepState
from labkit.environment import Instance, NotReady

RECONCILE_S = 15.0
"""How long a balancer may take to come back when it is restarted."""


class Replacement:
    """Replaces instances of a fleet, emits each step, and can undo what it did.

    record is called whenever another set of instances runs: with an image before an instance of it starts,
    with None after one was removed.
    """

    def __init__(self, fleet: Fleet, *, ready_s: float, drain_s: float) -> None:
        self.fleet, self._ready_s, self._drain_s = fleet, ready_s, drain_s
        self.emit: Callable[[Step], object] = lambda _: None
        self.record: Callable[[str | None], object] = lambda _: None
        self._began = time.monotonic()
        self.before: list[Instance] = []
        self.made: list[str] = []
        self.steps: list[Step] = []
        self._sent: tuple[Instance, tuple[str, ...], float] | None = None

    @property
    def seconds(self) -> float:
        """The time since the deployment began."""
        return time.monotonic() - self._began

    def clean_up_leftovers(self, image: str, count_before: int | None, *, reuse: bool) -> None:
        """Remove what a killed deployment left behind: instances without requests, and surplus ones.

        count_before is how many instances there were before that deployment; None means that there was none.
        Surplus instances of other images than the given one are removed first. reuse keeps the standby
        instances of the given image.
        """
        self.reconcile()
        instances = self.fleet.instances
        up = sorted(
            (instance for instance in instances if instance.state == UP),
            key=lambda instance: runs(instance, image),
        )
        surplus = up[: len(up) - count_before] if count_before and len(up) > count_before else []
        kept = _on_standby(instances, image) if reuse else []
        idle = [*_idle(instances), *(_ended(instances) if count_before else [])]
        # When nothing serves, idle instances are all that is left of the fleet: nothing is removed then.
        leftovers = [*surplus, *(instance for instance in idle if instance not in kept)] if up else []
        self.drain_and_remove(leftovers)
        self.before = [instance for instance in instances if instance not in [*kept, *leftovers]]

    def reconcile(self) -> None:
        """Attach the instances of all services again to a balancer that was restarted.

        Those of the fleet that got requests before get them again, and so do the clients that were sent to
        one of them. At the beginning of a deployment the artifact database says which did.
        """
        forgotten = [instance for instance in self._forgotten() if instance.address]
        if not forgotten:
            return
        own = [instance for instance in forgotten if instance.service == self.fleet.service]
        attached = {
            **attach(self.fleet, own, self._without_requests(own)),
            **reconcile(self.fleet.environment),
        }
        for instance in forgotten:
            if instance.name in attached:
                state, remark = StepState.ATTACHED_AGAIN, attached[instance.name]
                self._step(instance.name, instance.image, state, remark)
        self._send()

    def _forgotten(self) -> list[Instance]:
        """Return what the balancer has forgotten, of all services; wait while it is being restarted."""
        ends = time.monotonic() + RECONCILE_S
        while True:
            try:
                return self.fleet.environment.forgotten()
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)

    def _without_requests(self, forgotten: Sequence[Instance]) -> set[str]:
        """Return the names of those of the forgotten instances that are to get no requests."""
        if not self.before:
            return standby(self.fleet)
        serving = {*(instance.name for instance in self.before), *self.made}
        away = {step.instance for step in self.steps if step.state is StepState.STANDBY}
        back = {step.instance for step in self.steps if step.state is StepState.IN_BALANCER}
        return {instance.name for instance in forgotten} - (serving - (away - back))

    def remove_idle(self) -> None:
        """Remove the instances that get no requests."""
        self.drain_and_remove(_idle(self.fleet.instances))

    def replace(self, old: Sequence[Instance], image: str, unavailable: int = 0) -> None:
        """Replace old instances by as many new ones; unavailable of the old are removed before the start."""
        self.drain_and_remove(old[:unavailable])
        self._start_all([(image, "")] * len(old))
        self.drain_and_remove(old[unavailable:])

    def add(self, image: str, count: int, settings: str = "") -> None:
        """Start count instances of an image that serve beside the others; all or none.

        settings are those of other instances; "" takes what the environment's plan says now.
        """
        self._start_all([(image, settings)] * count)

    def standby(self, image: str, count: int) -> list[Instance]:
        """Return count instances of an image that are ready and get no requests; all or none.

        Instances that are on standby already are used first.
        """
        ready = _on_standby(self.fleet.instances, image)[:count]
        return ready + self._all([(image, "")] * (count - len(ready)), self._prepare)

    def switch(self, to: Sequence[Instance], away: Sequence[Instance]) -> None:
        """Give all requests to standby instances and put others on standby, at one moment."""
        self._sent = None
        self.fleet.balancer.switch(to, away)
        self.made += [instance.name for instance in to]
        for instance in to:
            self._step(instance.name, instance.image, StepState.IN_BALANCER)
        for instance in away:
            self._step(instance.name, instance.image, StepState.STANDBY)

    def send(self, instance: Instance, keys: Iterable[str], share: float) -> None:
        """Send the clients with these keys, and a share (0 to 1) of the others, to a standby instance.

        They come to it until it is switched to, or drained.
        """
        self._sent = (instance, tuple(keys), share)
        self._send()

    def _send(self) -> None:
        if self._sent:
            instance, keys, share = self._sent
            self.fleet.balancer.route(instance, keys, share, salt=instance.container)

    def restore(self) -> None:
        """Restore the fleet that clean_up_leftovers found; those of its instances that still run are kept."""
        self._sent = None
        self.reconcile()
        states = self.fleet.states
        if standby := [instance for instance in self.before if states.get(instance.name) == "DRAIN"]:
            self.fleet.balancer.switch(standby, ())
        kept = [instance for instance in self.before if states.get(instance.name) in {UP, "DRAIN"}]
        names = {instance.name for instance in kept}
        lost = [instance for instance in self.before if instance.name not in names]
        kept += self._start_all([(instance.image, instance.settings) for instance in lost])
        # New instances go last: they serve until the old version has its N instances again.
        names = {instance.name for instance in kept}
        self.drain_and_remove([instance for instance in self.fleet.instances if instance.name not in names])

    def _start_all(self, wanted: Sequence[tuple[str, str]]) -> list[Instance]:
        """Return one new instance for each image and settings, serving; all or none."""
        return self._all(wanted, self._start)

    def _all(
        self, wanted: Sequence[tuple[str, str]], start: Callable[[str, str], Instance]
    ) -> list[Instance]:
        """Start one instance for each image and settings; all or none.

        They start one after the other: many that start at once would slow down those that serve.
        """
        made: list[Instance] = []
        try:
            for image, settings in wanted:
                made.append(start(image, settings))  # a failure must find those made before it
        except Exception:
            self.drain_and_remove(made)
            raise
        return made

    def _start(self, image: str, settings: str) -> Instance:
        """Return a new instance that serves."""
        instance = self._prepare(image, settings)
        self.fleet.balancer.enable(instance)
        self.made.append(instance.name)
        self._step(instance.name, image, StepState.IN_BALANCER)
        return instance

    def _prepare(self, image: str, settings: str) -> Instance:
        """Return a new instance that the balancer has found ready, and gives no requests yet."""
        environment = self.fleet.environment
        self._step("", image, StepState.STARTING)
        try:
            instance = environment.add_instance(
                self.fleet.service, image, settings=settings, deadline_s=self._ready_s
            )
        except Exception:
            self._step("", image, StepState.FAILED)
            raise
        self._step(instance.name, image, StepState.READY)
        try:
            self.fleet.balancer.health_check(instance)
        except Exception:
            remark = environment.remove_instance(instance)
            self._step(instance.name, image, StepState.FAILED, remark)
            raise
        return instance

    def drain_and_remove(self, instances: Sequence[Instance]) -> None:
        """Drain and remove instances, all at the same time."""
        names = {instance.name for instance in instances}
        self.made = [name for name in self.made if name not in names]
        if self._sent and self._sent[0].name in names:
            self._sent = None
        with ThreadPoolExecutor(max(1, len(instances))) as threads:
            list(threads.map(self._drain_and_remove_one, instances))

    def _drain_and_remove_one(self, instance: Instance) -> None:
        environment = self.fleet.environment
        self._step(instance.name, instance.image, StepState.DRAINING)
        try:
            self.fleet.balancer.drain(instance, self._drain_s)
        except NotReady:  # the deadline is over: requests that are still open are lost, and the step says so
            self._step(instance.name, instance.image, StepState.CUT_OFF)
        remark = environment.remove_instance(instance)
        self._step(instance.name, instance.image, StepState.REMOVED, remark)

    def _step(self, name: str, image: str, state: StepState, remark: str = "") -> None:
        step = Step(self.seconds, name, image, state, remark)
        if state in {StepState.STARTING, StepState.REMOVED}:
            self.record(image if state is StepState.STARTING else None)
        self.steps.append(step)
        self.emit(step)


def runs(instance: Instance, image: str) -> bool:
    """Return whether an instance runs an image, with the settings that a new one would get."""
    return instance.image == image and instance.is_current


def _on_standby(instances: Sequence[Instance], image: str) -> list[Instance]:
    """Return the instances of an image that are ready and drained, so that they can take over at once."""
    return [instance for instance in instances if runs(instance, image) and instance.state == "DRAIN"]


def _idle(instances: Sequence[Instance]) -> list[Instance]:
    """Return the instances that get no requests: they run, or have ended since they were cut off."""
    return [
        instance
        for instance in instances
        if instance.state in NO_REQUESTS or instance.balancer_state == "MAINT"
    ]


def _ended(instances: Sequence[Instance]) -> list[Instance]:
    """Return the instances that have ended and are unknown to the balancer: somebody was removing them."""
    return [one for one in instances if one.state == "exited" and one.balancer_state == "waiting"]

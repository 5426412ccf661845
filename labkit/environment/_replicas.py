"""The instances of a service: which there are, one more, one less."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from labkit.coordination import Coordinator, InstanceRegistry
from labkit.environment._balancer import Balancer, ServerStatus
from labkit.environment._instance import Instance
from labkit.environment._part import NameTaken, Part
from labkit.environment._starter import Starter, instance_of


@dataclass(frozen=True)
class Replicas:
    """The instances in one environment. coordinator returns None where there is none, or it does not run."""

    starter: Starter
    balancer: Balancer
    coordinator: Callable[[], Coordinator | None]

    def of(self, service: str) -> list[Instance]:
        """Return the instances of a service in the order of their numbers."""
        self.starter.plan.service(service)
        known = self._known(service)
        parts = [part for part in self.starter.scope.parts() if part.service == service]
        kept = sorted((part for part in parts if part.role == "service"), key=_number)
        plan, reach = self.starter.plan, self.starter.reach
        return [instance_of(plan, part, reach, _state(part, known)) for part in kept]

    def _known(self, service: str) -> Mapping[str, ServerStatus] | None:
        """Return what the balancer knows of a service's instances; None when it does not answer."""
        try:
            return self.balancer.servers(service)
        except OSError:
            return None

    def add(self, service: str, image: str, version: str, deadline_s: float) -> Instance:
        """Start one more instance and wait until it is ready, in the balancer's waiting room.

        :raises NotReady: when it is not ready within deadline_s seconds; it is removed by then.
        """
        instance = self._start(service, image, version)
        try:
            self.starter.await_waiting(instance, self.balancer, deadline_s)
        except BaseException:
            self.starter.scope.remove(instance.container)
            raise
        return instance

    def _start(self, service: str, image: str, version: str) -> Instance:
        """Start it under the next free number; somebody else may take that at the same moment."""
        planned = self.starter.plan.service(service)
        taken = [_number(part)[0] for part in self.starter.scope.parts() if part.service == service]
        for number in count(max(taken, default=0) + 1):
            try:
                return self.starter.instance(planned, f"{service}-{number}", image, version)
            except NameTaken:
                continue
        raise AssertionError  # pragma: no cover - numbers do not end

    def remove(self, instance: Instance) -> None:
        """Take an instance out of the balancer and the coordinator, and remove it."""
        self.balancer.remove(instance)
        if coordinator := self.coordinator():
            InstanceRegistry(coordinator).unregister(instance.service, instance.name)
        self.starter.scope.remove(instance.container)


def _number(part: Part) -> tuple[int, str]:
    """Return the number at the end of an instance's name, so that cart-10 comes after cart-9."""
    digits = part.name.rpartition("-")[2]
    return (int(digits) if digits.isdigit() else 0, part.name)


def _state(part: Part, known: Mapping[str, ServerStatus] | None) -> str:
    if part.state != "running" or known is None:
        return part.state
    return known[part.name].status if part.name in known else "waiting"

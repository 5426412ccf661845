"""Finds the elements of one environment by name or kind, and adds and removes instances."""

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import count
from threading import Event
from typing import TypeVar

from labkit.balancer import CHECKED, Balancer
from labkit.containers import ContainerInfo, Element, Namespace, NameTaken
from labkit.coordination import InstanceRegistry
from labkit.environment._plan import Plan
from labkit.environment.elements import elements_of
from labkit.environment.elements.instance import WAITING, Instance
from labkit.errors import LabError, NoAnswer
from labkit.etcd import Etcd

E = TypeVar("E", bound=Element)


class Elements:
    """The elements of one environment. plan is None when the network that carried it is gone."""

    def __init__(self, namespace: Namespace, plan: Plan | None) -> None:
        self._namespace, self._plan = namespace, plan
        self.added: dict[str, Element] = {}
        """The containers that this process added by name: they keep their own class."""

    @property
    def plan(self) -> Plan:
        """The plan.

        :raises LabError: when it is gone with the network that carried it.
        """
        if self._plan is None:
            name = self._namespace.name
            raise LabError(
                f"the whole environment {name}",
                "only parts of it are left",
                f"labkit environment clean-up {name}",
            )
        return self._plan

    @cached_property
    def balancer(self) -> Balancer:
        """The load balancer; cached, because it is used more often than all other elements together."""
        return self.one(Balancer)

    def all(self) -> dict[str, Element]:
        """Return every element by name: those of the plan, even when missing, and all others that exist."""
        listed = {container.name: container for container in self._namespace.containers()}
        planned = elements_of(self._plan, self._namespace) if self._plan else []
        elements = {element.name: element.attach(listed.pop(element.name, None)) for element in planned}
        return elements | {name: self._unplanned(container) for name, container in listed.items()}

    def one(self, kind: type[E]) -> E:
        """Return the planned element of a kind; its container may be missing.

        :raises LabError: when the plan has no element of this kind.
        """
        for element in elements_of(self.plan, self._namespace):
            if isinstance(element, kind):
                return element.attach(self._namespace.container(element.name))
        raise self.absent(f"an element of the kind {kind.role}")

    def absent(self, what: str) -> LabError:
        """Return the error for something that the stage does not have."""
        seen = f"the stage {self.plan.stage} has none"
        return LabError(f"{what} of {self._namespace.name}", seen, "environment.elements() shows what it has")

    def instances(self, service: str) -> list[Instance]:
        """Return the instances of a service by number, as they are now."""
        self.plan.service(service)
        instances = [self._attached(container) for container in self._copies(service)]
        with suppress(NoAnswer):  # then their state is the engine's word alone
            servers = self.balancer.servers(service)
            for instance in instances:
                known = servers.get(instance.name)
                instance.balancer_state = known.status if known else WAITING
        return sorted(instances, key=lambda instance: _number(instance.name))

    def forgotten(self) -> list[Instance]:
        """Return the instances that the balancer knew before it was started the last time, and knows no more.

        One that is newer than that start is not among them: the balancer was never told of it.
        """
        known = {name for servers in self.balancer.all_servers().values() for name in servers}
        services = {service.name for service in self.plan.services}
        unknown = [
            container
            for container in self._namespace.containers()
            if container.role == Instance.role
            and container.service in services
            and container.name not in known
        ]
        since = self.balancer.started_at if unknown else None
        found = [self._attached(one) for one in unknown if since and one.created_at < since]
        for instance in found:
            instance.balancer_state = WAITING
        return sorted(found, key=lambda instance: (instance.service, _number(instance.name)))

    def add_instance(
        self, service: str, image: str, version: str, deadline_s: float, stop: Event
    ) -> Instance:
        """Start one more instance and return it when its health check has passed.

        stop ends the wait early; see Environment.add_instance.
        """
        instance = self._start_instance(replace(self._namespace, stop=stop), service, image, version)
        try:
            instance.await_health_check(deadline_s, CHECKED)
        except BaseException:
            instance.stop()
            raise
        instance.namespace, instance.balancer_state = self._namespace, WAITING
        return instance

    def remove_instance(self, instance: Instance) -> str:
        """Let an instance end, and remove it from the balancer, the coordinator and the engine.

        The balancer knows it until it has ended, so that everybody sees that it gets no requests on purpose.
        Return what is worth a word about its end, "" when it ended as it was asked to.
        """
        self.balancer.cut_off(instance)
        remark = instance.finish(instance.grace_s)
        self.balancer.forget(instance)
        if self.plan.coordinator and (etcd := self.one(Etcd)).engine_state == "running":
            InstanceRegistry(etcd.client()).unregister(instance.service, instance.name)
        instance.stop()
        return remark

    def _start_instance(self, namespace: Namespace, service: str, image: str, version: str) -> Instance:
        """Start an instance under the next free number; another process may take the number first."""
        taken = [_number(container.name)[0] for container in self._copies(service)]
        for number in count(max(taken, default=0) + 1):
            name, balancer = f"{service}-{number}", lambda: self.balancer
            try:
                return Instance(namespace, self.plan, service, name, image, version, balancer).start()
            except NameTaken:
                continue
        raise AssertionError  # pragma: no cover - numbers do not end

    def _copies(self, service: str) -> list[ContainerInfo]:
        listed = (one for one in self._namespace.containers() if one.role == Instance.role)
        return [container for container in listed if container.service == service]

    def _attached(self, one: ContainerInfo) -> Instance:
        space, plan = self._namespace, self.plan
        instance = Instance(space, plan, one.service, one.name, one.image, one.version, lambda: self.balancer)
        return instance.attach(one)

    def _unplanned(self, container: ContainerInfo) -> Element:
        if container.role == Instance.role and self._plan:
            return self._attached(container)
        name = container.name
        element = self.added.get(name) or Element(self._namespace, name, container.image)
        element.role = container.role or Element.role
        return element.attach(container)


def _number(name: str) -> tuple[int, str]:
    """Return the number at the end of an instance's name, so that cart-10 comes after cart-9."""
    digits = name.rpartition("-")[2]
    return (int(digits) if digits.isdigit() else 0, name)

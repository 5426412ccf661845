"""Finds the elements of one environment by name or kind, and adds and removes instances."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import count
from threading import Event
from typing import TypeVar

from labkit.balancer import CHECKED, Balancer
from labkit.containers import ContainerInfo, Element, Namespace, NameTaken
from labkit.coordination import InstanceRegistry
from labkit.engine import Label
from labkit.environment._plan import Plan
from labkit.environment._plans import Plans
from labkit.environment.elements import elements_of
from labkit.environment.elements.instance import WAITING, Instance
from labkit.errors import LabError, NoAnswer
from labkit.etcd import Etcd

E = TypeVar("E", bound=Element)


class Elements:
    """The elements of one environment. first is the plan of its creation, None when it is gone."""

    def __init__(self, namespace: Namespace, first: Plan | None) -> None:
        self._namespace, self.plans = namespace, Plans(namespace, first)
        self.added: dict[str, Element] = {}
        """The containers that this process added by name: they keep their own class."""

    @property
    def plan(self) -> Plan:
        """The plan as it is now.

        :raises LabError: when it is gone with the network that carried it.
        """
        return self._all_plans()[0]

    def _all_plans(self) -> list[Plan]:
        """Return the plan as it is now, and those before it; at least one."""
        plans = self.plans.all()
        if not plans:
            name = self._namespace.name
            raise LabError(
                f"the whole environment {name}",
                "only parts of it are left",
                f"labkit environment clean-up {name}",
            )
        return plans

    @cached_property
    def balancer(self) -> Balancer:
        """The load balancer; cached, because it is used more often than all other elements together."""
        return self.one(Balancer)

    def balancers(self) -> dict[str, Balancer]:
        """Return the balancer of each service by the service's name."""
        return self._balancers(self.plan)

    def _balancers(self, plan: Plan) -> dict[str, Balancer]:
        if len(plan.balancers) <= 1:
            return {service.name: self.balancer for service in plan.services}
        elements = elements_of(plan, self._namespace)
        listed = {element.name: element for element in elements if isinstance(element, Balancer)}
        attached = {name: element.attach(self._namespace.container(name)) for name, element in listed.items()}
        return {service.name: attached[plan.balancer_of(service.name)] for service in plan.services}

    def balancer_of(self, service: str) -> Balancer:
        """Return the balancer of a service.

        :raises LabError: when the environment has no service of that name.
        """
        plan = self.plan
        plan.service(service)
        return self._balancers(plan)[service]

    def all(self) -> dict[str, Element]:
        """Return every element by name: those of the plan, even when missing, and all others that exist."""
        listed = {container.name: container for container in self._namespace.containers()}
        plans = self.plans.all()
        planned = elements_of(plans[0], self._namespace) if plans else []
        elements = {element.name: element.attach(listed.pop(element.name, None)) for element in planned}
        return elements | {name: self._unplanned(container, plans) for name, container in listed.items()}

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
        plans = self._all_plans()
        plans[0].service(service)
        instances = [self._attached(container, plans) for container in self._copies(service)]
        with suppress(NoAnswer):  # then their state is the engine's word alone
            servers = self.balancer_of(service).servers(service)
            for instance in instances:
                known = servers.get(instance.name)
                instance.balancer_state = known.status if known else WAITING
        return sorted(instances, key=lambda instance: _number(instance.name))

    def forgotten(self) -> list[Instance]:
        """Return the instances that their balancer knew before its last start, and knows no more.

        One that is newer than that start is not among them: the balancer was never told of it.
        """
        plans = self._all_plans()
        listed = [one for one in self._namespace.containers() if one.role == Instance.role]
        balancers = self._balancers(plans[0])
        forgotten: list[Instance] = []
        for balancer in {one.name: one for one in balancers.values()}.values():
            known = {name for servers in balancer.all_servers().values() for name in servers}
            own = {service for service, one in balancers.items() if one.name == balancer.name}
            unknown = [one for one in listed if one.service in own and one.name not in known]
            since = balancer.started_at if unknown else None
            forgotten += [self._attached(one, plans) for one in unknown if since and one.created_at < since]
        for instance in forgotten:
            instance.balancer_state = WAITING
        return sorted(forgotten, key=lambda instance: (instance.service, _number(instance.name)))

    def add_instance(
        self, service: str, image: str, version: str, settings: str, deadline_s: float, stop: Event
    ) -> Instance:
        """Start one more instance and return it when its health check has passed.

        stop ends the wait early; see Environment.add_instance.
        """
        plan = _plan_with(settings, service, self._all_plans())
        instance = self._start_instance(replace(self._namespace, stop=stop), plan, service, image, version)
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
        instance.balancer().cut_off(instance)
        remark = instance.finish(instance.grace_s)
        instance.balancer().forget(instance)
        if self.plan.coordinator and (etcd := self.one(Etcd)).engine_state == "running":
            InstanceRegistry(etcd.client()).unregister(instance.service, instance.name)
        instance.stop()
        return remark

    def _start_instance(
        self, namespace: Namespace, plan: Plan, service: str, image: str, version: str
    ) -> Instance:
        """Start an instance under the next free number; another process may take the number first."""
        taken = [_number(container.name)[0] for container in self._copies(service)]
        for number in count(max(taken, default=0) + 1):
            name, balancer = f"{service}-{number}", lambda: self.balancer_of(service)
            try:
                return Instance(namespace, plan, service, name, image, version, balancer).start()
            except NameTaken:
                continue
        raise AssertionError  # pragma: no cover - numbers do not end

    def _copies(self, service: str) -> list[ContainerInfo]:
        listed = (one for one in self._namespace.containers() if one.role == Instance.role)
        return [container for container in listed if container.service == service]

    def _attached(self, one: ContainerInfo, plans: Sequence[Plan]) -> Instance:
        """Return an instance as the plan describes it that it was started by."""
        space, settings = self._namespace, one.labels.get(Label.SETTINGS, "")
        plan = _plan_with(settings, one.service, plans)
        instance = Instance(
            space, plan, one.service, one.name, one.image, one.version, lambda: self.balancer_of(one.service)
        ).attach(one)
        instance.settings = settings
        instance.is_current = settings == plans[0].settings(plans[0].service(one.service))
        return instance

    def _unplanned(self, container: ContainerInfo, plans: Sequence[Plan]) -> Element:
        planned = {service.name for service in plans[0].services} if plans else set()
        if container.role == Instance.role and container.service in planned:
            return self._attached(container, plans)
        name = container.name
        element = self.added.get(name) or Element(self._namespace, name, container.image)
        element.role = container.role or Element.role
        return element.attach(container)


def _plan_with(settings: str, service: str, plans: Sequence[Plan]) -> Plan:
    """Return the newest plan that starts a service with these settings; the present one when none does."""
    for plan in plans:
        if any(one.name == service and plan.settings(one) == settings for one in plan.services):
            return plan
    return plans[0]


def _number(name: str) -> tuple[int, str]:
    """Return the number at the end of an instance's name, so that cart-10 comes after cart-9."""
    digits = name.rpartition("-")[2]
    return (int(digits) if digits.isdigit() else 0, name)

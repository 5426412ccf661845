"""When an environment has a balancer, a database server and a coordinator."""

from collections.abc import Iterator

from labkit.balancer import Balancer, Listener
from labkit.containers import Namespace
from labkit.environment._plan import Plan
from labkit.environment.elements._registry import planned
from labkit.etcd import Etcd
from labkit.postgres import Postgres


@planned
def balancer(plan: Plan, namespace: Namespace) -> Iterator[Balancer]:
    """Yield the balancer of all services."""
    if plan.services:
        listeners = [Listener(service.name, service.port, service.ready) for service in plan.services]
        yield Balancer(namespace, listeners)


@planned
def database(plan: Plan, namespace: Namespace) -> Iterator[Postgres]:
    """Yield the database server of a system that has a database."""
    if plan.database:
        yield Postgres(namespace)


@planned
def coordinator(plan: Plan, namespace: Namespace) -> Iterator[Etcd]:
    """Yield the coordinator of a stage that has one."""
    if plan.coordinator:
        yield Etcd(namespace)

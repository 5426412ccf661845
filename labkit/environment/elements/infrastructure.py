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
    """Yield the balancer of all services, and one for each that was added since."""
    for name, ports in plan.balancers.items():
        yield Balancer(namespace, [Listener(*service) for service in ports.items()], name)


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

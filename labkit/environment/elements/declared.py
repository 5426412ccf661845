"""Further infrastructure, as [containers.NAME] in system.toml declares it."""

import shlex
from collections.abc import Iterator

from labkit.containers import Element, Namespace, listens, responds, succeeds
from labkit.environment._plan import Plan
from labkit.environment.elements._registry import planned
from labkit.system import Container


class Declared(Element):
    """A container of which labkit knows only what system.toml says: a Redis, a broker, a second database.

    It is ready when its `ready` path answers with 200, or its `ready` command succeeds. Without `ready` it is
    ready when it listens at its port, or, without a port, as soon as it has started.
    """

    role = "container"

    def __init__(self, namespace: Namespace, plan: Plan, container: Container) -> None:
        super().__init__(
            namespace,
            container.name,
            plan.images.get(container.name, ""),
            command=container.command or None,
            variables={**plan.configuration, **container.variables, "LABKIT_STAGE": plan.stage},
            ports=[container.port] if container.port else [],
        )
        self.limits = container.limits
        if container.ready.startswith("/"):
            self.waiting_for(responds(container.port, container.ready))
        elif container.ready:
            self.waiting_for(succeeds(shlex.split(container.ready)))
        elif container.port:
            self.waiting_for(listens(container.port))


@planned
def declared(plan: Plan, namespace: Namespace) -> Iterator[Declared]:
    """Yield each declared container."""
    for container in plan.containers:
        yield Declared(namespace, plan, container)

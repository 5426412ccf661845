"""Providers: containers that stand for the real external services, in a network outside."""

from collections.abc import Iterator
from dataclasses import replace

from labkit.containers import Element, Namespace, responds
from labkit.engine import SERVER
from labkit.environment._plan import Plan, PlannedExternal
from labkit.environment.elements._registry import planned

READY_S = 30.0


class Provider(Element):
    """A real external service. Only the services that call it share its network; tests do not."""

    role = "provider"
    limits = SERVER

    def __init__(self, namespace: Namespace, plan: Plan, external: PlannedExternal) -> None:
        self.service = external.name
        variables = {
            "LABKIT_SERVICE": external.name,
            "LABKIT_INSTANCE": external.name,
            "LABKIT_PORT": str(external.port),
            "LABKIT_STAGE": plan.stage,
        }
        image = plan.images.get(external.name, "")
        super().__init__(namespace, external.name, image, variables=variables, ports=[external.port])
        self.waiting_for(responds(external.port, "/readyz", READY_S))


@planned
def providers(plan: Plan, namespace: Namespace) -> Iterator[Provider]:
    """Yield a provider for each external service that is real here."""
    outside = replace(namespace, network=plan.outside(namespace.workspace))
    for external in plan.providers:
        yield Provider(outside, plan, external)

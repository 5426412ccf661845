"""What differs between the plan of a living environment and the one that it is to have, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from labkit.environment._losses import losses
from labkit.environment._plan import BALANCER, Plan, PlannedService
from labkit.errors import LabError


@dataclass(frozen=True)
class Change:
    """The way from one plan to another. Both are of the same environment, after has the commit's parts.

    The way leads over a plan in which the old services are beside the new ones, so that each service finds
    those that it calls at any moment, in its old and in its new version.
    """

    before: Plan
    after: Plan

    @classmethod
    def to(cls, before: Plan, wanted: Plan) -> "Change":
        """Return the change that brings an environment with the plan before to what another plan wants."""
        balancers = dict(before.balancers)
        known = {service for ports in balancers.values() for service in ports}
        for service in wanted.services:
            if service.name not in known:
                balancers[f"{BALANCER}.{service.name}"] = {service.name: service.port}
        after = replace(
            wanted,
            name=before.name,
            balancers=balancers,
            images={**before.images, **wanted.images},
            revision=before.revision + 1,
        )
        return cls(before, after)

    @property
    def added(self) -> list[str]:
        """The services that are new, or that no run has started so far; those first that others call."""
        started = {service.name for service in self.before.services if service.instances}
        return [name for name in self.order if name not in started]

    @property
    def removed(self) -> list[str]:
        """The services that are gone, those first that call others."""
        new = _services(self.after)
        return [name for name in reversed(_callees_first(self.before.services)) if name not in new]

    @property
    def order(self) -> list[str]:
        """The services of the plan after, each behind those that it calls (unless they call in a circle)."""
        return _callees_first(self.after.services)

    @property
    def resized(self) -> dict[str, int]:
        """The services whose number of instances is another one, the new ones too, with that number."""
        counts = {service.name: service.instances for service in self.before.services}
        return {
            service.name: service.instances
            for service in self.after.services
            if counts.get(service.name) != service.instances
        }

    @property
    def configuration(self) -> list[str]:
        """The environment variables of the configuration that are new, gone or have another value."""
        old, new = self.before.configuration, self.after.configuration
        return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))

    @property
    def is_empty(self) -> bool:
        """Whether both plans have the same parts: what they are of, and who made them, counts for nothing."""
        was = self.before
        return replace(self.final, because=was.because, images=was.images, revision=was.revision) == was

    @property
    def during(self) -> Plan:
        """The plan on the way: what is new is there, and what goes is there still.

        Numbers of instances stay, new services have 0, and clients enter where they did: a process that goes
        on from here sees what is left to do.
        """
        old, new = _services(self.before), _services(self.after)
        counts = {name: service.instances for name, service in old.items()}
        services = [replace(service, instances=counts.get(name, 0)) for name, service in new.items()]
        going = [service for name, service in old.items() if name not in new]
        external = {one.name: one for one in (*self.before.external, *self.after.external)}
        return replace(
            self.after,
            entry=self.before.entry,
            services=(*services, *going),
            external=tuple(external.values()),
        )

    @property
    def final(self) -> Plan:
        """The plan at the end: a balancer that a service had of its own goes with it."""
        left = {*_services(self.after)}
        balancers = {
            name: ports
            for name, ports in self.after.balancers.items()
            if name == BALANCER or not left.isdisjoint(ports)
        }
        return replace(self.after, balancers=balancers, revision=self.after.revision + 1)

    def refuse_losses(self) -> None:
        """Refuse what no living environment can be brought to, before anything of it is touched.

        :raises LabError: with all that would be lost, and the next step of the first.
        """
        if lost := [*losses(self.before, self.after)]:
            expected = f"a commit that {self.before.name} can go over to while it serves"
            raise LabError(expected, "; ".join(loss.words for loss in lost), lost[0].next_step)


def _services(plan: Plan) -> dict[str, PlannedService]:
    return {service.name: service for service in plan.services}


def _callees_first(services: Sequence[PlannedService]) -> list[str]:
    """Return the names of services, each behind those that it calls, as far as they call in no circle."""
    by_name, ordered = {service.name: service for service in services}, dict[str, None]()

    def visit(name: str, callers: frozenset[str]) -> None:
        if name in by_name and name not in ordered and name not in callers:
            for called in by_name[name].calls:
                visit(called, callers | {name})
            ordered[name] = None

    for service in services:
        visit(service.name, frozenset())
    return [*ordered]

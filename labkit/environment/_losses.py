"""What would be lost on the way from one plan to another: it is refused before anything is touched."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from labkit.environment._plan import Plan


class Loss(NamedTuple):
    """What would be lost and why, and what to do instead."""

    words: str
    next_step: str


def losses(before: Plan, after: Plan) -> Iterator[Loss]:
    """Yield what would be lost when a living environment with the plan before gets the plan after."""
    if before.system != after.system:
        yield Loss(
            f"customers' data would be lost: it runs {before.system}, the commit has {after.system}",
            f'write name = "{before.system}" in system.toml, or take another workspace: labkit start DIR',
        )
        return
    yield from _of_the_database(before, after)
    yield from _of_the_entry(before, after)
    yield from _of_external_services(before, after)
    yield from _of_containers(before, after)
    yield from _of_names(before, after)


def _of_the_database(before: Plan, after: Plan) -> Iterator[Loss]:
    if before.database and before.database != after.database:
        change = f"calls it {after.database}" if after.database else "has none"
        keep = f'keep [database] with name = "{before.database}"'
        anew = f"labkit environment clean-up {before.name}, then labkit pipeline run, which creates it empty"
        yield Loss(
            f"customers' data in its database {before.database} would be lost: the commit {change}",
            f"{keep}; or give the data up: {anew}",
        )


def _of_the_entry(before: Plan, after: Plan) -> Iterator[Loss]:
    entry = before.entry
    if entry not in {service.name for service in after.services}:
        first = f"commit first that the new entry calls {entry}, let clients move to the new entry"
        yield Loss(
            f"clients' requests would be lost: they enter by {entry}, which the commit takes out",
            f"{first}, and take {entry} out in a later commit",
        )


def _of_external_services(before: Plan, after: Plan) -> Iterator[Loss]:
    old = {external.name: external for external in before.external}
    for new in after.external:
        was = old.get(new.name)
        if was and (was.real, was.port) != (new.real, new.port):
            changed = "its port" if was.real == new.real else "whether it is real"
            yield Loss(
                f"calls to {new.name} would be lost: the commit changes {changed}",
                f"declare it as it was, or as another one beside it: [external.{new.name}-2]",
            )
        elif was is None and not new.real:
            yield Loss(
                f"calls to the stubs would be lost: one for {new.name} cannot be added while they run",
                f'give {new.name} a provider and real = ["{after.stage}"]',
            )


def _of_containers(before: Plan, after: Plan) -> Iterator[Loss]:
    old = {container.name: container for container in before.containers}
    for new in after.containers:
        was = old.get(new.name, new)
        if replace(was, ready=new.ready) != new:  # ready counts only while it starts
            yield Loss(
                f"what the container {new.name} holds would be lost: the commit changes its table",
                f"declare the changed one beside it, as [containers.{new.name}-2], and let services use that",
            )


def _of_names(before: Plan, after: Plan) -> Iterator[Loss]:
    old, new = _kinds(before), _kinds(after)
    for name in sorted(name for name in {*old} & {*new} if old[name] != new[name]):
        yield Loss(
            f"calls to {name} would be lost: it was {old[name]}, and is {new[name]} in the commit",
            f"give what is new another name than {name}",
        )


def _kinds(plan: Plan) -> Mapping[str, str]:
    """Return what each name in the network stands for; a balancer keeps those of its services."""
    return {
        **{service: "a service" for ports in plan.balancers.values() for service in ports},
        **{external.name: "an external service" for external in plan.external},
        **{container.name: "a container" for container in plan.containers},
    }

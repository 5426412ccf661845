"""Gives a balancer that was restarted its servers again: it has forgotten those of all services."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack

from labkit.containers import Deadline
from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._record import standby
from labkit.environment import Environment, Instance
from labkit.errors import LabError

CHECKED_S = 10.0
"""How long the balancer may take for the health checks of what it has forgotten, in seconds."""

LOST = "delays, failures and routes made by hand are lost"
SERVES, ON_STANDBY = f"serves; {LOST}", f"on standby; {LOST}"


def reconcile(environment: Environment) -> dict[str, str]:
    """Give a balancer that was restarted the instances of all services again; {} when it has forgotten none.

    Return what became of each instance, by its name. It serves, or is on standby when the last deployment
    left it there, as the artifact database says. One without an address in the network, such as one that has
    ended, is not attached. A service to which somebody deploys right now is left to that deployment. Delays
    and failures, and routes that no deployment made, are lost: only the balancer knew them.

    :raises NoAnswer: when the balancer does not answer.
    """
    outcome: dict[str, str] = {}
    for service in sorted({instance.service for instance in environment.forgotten()}):
        fleet = Fleet(environment, service)
        with ExitStack() as claims:
            try:
                claims.enter_context(fleet.claim())
            except LabError:
                continue
            # Asked again, because somebody else may have attached them before the claim.
            own = [instance for instance in environment.forgotten() if instance.service == service]
            outcome |= attach(fleet, own, standby(fleet))
    return outcome


def attach(fleet: Fleet, forgotten: Sequence[Instance], idle: Collection[str]) -> dict[str, str]:
    """Attach forgotten instances of a fleet again, and return what became of each.

    idle are the names of those that get no requests. When nobody would get any, those of the most frequent
    image do.
    """
    balancer = fleet.balancer
    reachable = [instance for instance in forgotten if instance.address]
    for instance in reachable:
        balancer.register(instance)
    Deadline(CHECKED_S).until(lambda: all(_is_checked(fleet, instance) for instance in reachable))
    serving = [instance for instance in reachable if instance.name not in idle]
    if reachable and not serving and UP not in fleet.states.values():
        images = [instance.image for instance in reachable]
        serving = [one for one in reachable if one.image == max(images, key=images.count)]
    if serving:
        balancer.switch(serving, ())
    outcome = {one.name: f"not attached: it is {one.state}" for one in forgotten}
    outcome |= {one.name: SERVES if one in serving else ON_STANDBY for one in reachable}
    return outcome


def _is_checked(fleet: Fleet, instance: Instance) -> bool:
    """Return whether a health check of an instance has ended; until then the balancer takes it for up."""
    balancer = fleet.balancer
    status = balancer.servers(fleet.service).get(instance.name)
    return status is None or status.status == "DOWN" or balancer.is_healthy(instance)

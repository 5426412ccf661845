"""A service comes into a living environment, or goes from it, while the others serve."""

from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._record import launched, retired
from labkit.deployment._replacement import Replacement
from labkit.environment import Environment


def launch(environment: Environment, service: str, image: str, count: int, *, ready_s: float = 30.0) -> Fleet:
    """Let count instances of a service serve that has none yet, record that, and return its fleet.

    Each has ready_s seconds to get ready. What a killed launch left is removed first, unless it serves.

    :raises LabError: when the environment has no such service, or a deployment of it is in progress.
    :raises NotReady: when an instance is not ready in time; nobody calls the service yet then.
    """
    balancer = environment.balancer_of(service)
    with Fleet.claim_of(environment, service):
        instances = environment.instances(service)
        serving = [instance for instance in instances if instance.state == UP]
        for instance in instances:
            if instance not in serving:
                environment.remove_instance(instance)
        for _ in range(count - len(serving)):
            balancer.add(environment.add_instance(service, image, deadline_s=ready_s), ready_s)
        fleet = Fleet(environment, service)
        launched(fleet)
    return fleet


def retire(fleet: Fleet, *, drain_s: float = 10.0) -> None:
    """Remove all instances of a service that nobody calls any more, and record that.

    Each has drain_s seconds to answer its requests.

    :raises LabError: when a deployment of the service is in progress.
    """
    with fleet.claim():
        instances = fleet.instances
        Replacement(fleet, ready_s=0, drain_s=drain_s).drain_and_remove(instances)
        retired(fleet, instances[-1])

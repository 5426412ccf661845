"""The instances of one service behind the load balancer."""

from collections import Counter
from contextlib import AbstractContextManager

from labkit.balancer import Balancer
from labkit.environment import Environment, Instance
from labkit.errors import LabError
from labkit.workspace import Workspace

UP = "UP"
"""The state of an instance that takes requests."""


class Fleet:
    """The instances of one service in an environment; it keeps no state: every answer is the engine's."""

    def __init__(self, environment: Environment, service: str) -> None:
        """Check that the environment runs the service.

        :raises LabError: when it has no instance of the service.
        """
        self.environment, self.service = environment, service
        if not self.instances:
            raise LabError(
                expected=f"a service that runs in {environment.name}",
                seen=f"no instance of {service!r}",
                next_step="name one of " + ", ".join(environment.services),
            )

    @property
    def balancer(self) -> Balancer:
        """The load balancer of the service."""
        return self.environment.balancer_of(self.service)

    @property
    def instances(self) -> list[Instance]:
        """The instances now, whether they serve or not."""
        return self.environment.instances(self.service)

    @property
    def versions(self) -> dict[str, int]:
        """How many instances run each version."""
        return dict(Counter(instance.version for instance in self.instances))

    @property
    def states(self) -> dict[str, str]:
        """The state of each instance by its name: UP when it takes requests, else see `Instance`."""
        return {instance.name: instance.state for instance in self.instances}

    @property
    def workspace(self) -> Workspace:
        """The workspace that the environment belongs to."""
        return self.environment.workspace

    def claim(self) -> AbstractContextManager[None]:
        """Hold the fleet for one deployment.

        :raises LabError: when another deployment is in progress, in this process or in another one.
        """
        return self.claim_of(self.environment, self.service)

    @staticmethod
    def claim_of(environment: Environment, service: str) -> AbstractContextManager[None]:
        """Hold a service that has no instance yet, as claim does."""
        return environment.workspace.lock(f"deployment-{environment.name}-{service}")

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count} of version {version}" for version, count in sorted(self.versions.items())
        )
        return f"{self.service} in {self.environment.name}: {counts}"

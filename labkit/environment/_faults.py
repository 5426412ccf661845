"""Faults: what happens to containers anyway, done on purpose, so that one can see what comes of it.

A fault lasts until its opposite ends it. Each is recorded as a use of the environment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from docker import APIClient
from docker.errors import APIError, NotFound, NullResource

from labkit.environment._part import Scope, refusals
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.environment._balancer import Balancer  # which knows instances, and so this module


Used = Callable[..., None]
"""Hears what was done with an element."""


def unused(_: str, **__: object) -> None:
    """Hear nothing."""


@dataclass(frozen=True)
class Reach:
    """How a fault gets at a container: its environment's scope, the balancer, and who hears what was done."""

    scope: Scope
    balancer: Callable[[], "Balancer"]
    used: Used


@dataclass(frozen=True)
class Faulty:
    """A container that faults can be done to; name is its name in the network."""

    name: str
    service: str
    version: str
    state: str
    container: str
    reach: Reach = field(repr=False, compare=False)

    def pause(self) -> None:
        """Freeze all its processes: its connections stay open and nobody answers, until resume().

        :raises LabError: as every fault does, when its container is gone or in no state for that.
        """
        self._do("pause", lambda: self._api.pause(self.container))

    def resume(self) -> None:
        """Let its processes go on where they were frozen."""
        self._do("resume", lambda: self._api.unpause(self.container))

    def kill(self) -> None:
        """End its processes at once, as kill -9 does; the container stays with its log, and does not run."""
        self._do("kill", lambda: self._api.kill(self.container))

    @property
    def _api(self) -> APIClient:
        return self.reach.scope.engine.client.api

    def _do(self, fault: str, work: Callable[[], object], **details: object) -> None:
        expected = f"{self.name} can {fault}"
        mend = "environment.elements() tells the state that each is in"
        with refusals(self.reach.scope.engine, expected):
            try:
                work()
            except (NotFound, NullResource) as problem:
                raise LabError(expected, "its container is gone", mend) from problem
            except APIError as problem:
                raise LabError(expected, str(problem.explanation or problem), mend) from problem
        self.reach.used(fault, element=self.name, **details)

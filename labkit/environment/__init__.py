"""One environment's life: create, use, clean up.

An environment is a set of containers in a network of their own: the system's services behind a load
balancer, their database, a coordinator, and stubs or providers in the place of external services. Everything
that labkit knows about a live environment is in labels in the engine, so any process can use it and clean it
up.
"""

from labkit.containers import NotReady
from labkit.environment._change import Change
from labkit.environment._environment import Environment
from labkit.environment._graph import Call
from labkit.environment._inventory import ElementStatus
from labkit.environment._rollout import Rollout
from labkit.environment._status import EnvironmentStatus
from labkit.environment.elements.capture import Capture, Captured, read_capture
from labkit.environment.elements.instance import Instance
from labkit.environment.elements.stubs import Stub

__all__ = [
    "Call",
    "Capture",
    "Captured",
    "Change",
    "ElementStatus",
    "Environment",
    "EnvironmentStatus",
    "Instance",
    "NotReady",
    "Rollout",
    "Stub",
    "read_capture",
]

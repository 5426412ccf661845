"""One environment's life: create, use, clean up.

An environment is a set of containers in a network of their own: the system's services behind a load balancer,
their database, a coordinator, and stubs or providers in the place of external services. All that labkit knows
of a live one stands in labels in the engine, so any process can use it and clean it up.
"""

from labkit.coordination import Coordinator
from labkit.environment._balancer import Balancer, ServerStatus
from labkit.environment._capture import Capture, Captured, read_capture
from labkit.environment._database import Database
from labkit.environment._environment import Environment
from labkit.environment._fingerprint import fingerprint
from labkit.environment._graph import Call
from labkit.environment._images import one_builder, service_image
from labkit.environment._instance import Instance
from labkit.environment._inventory import Element
from labkit.environment._kept import Kept
from labkit.environment._status import EnvironmentStatus
from labkit.environment._stub import Stub
from labkit.environment._wait import NotReady

__all__ = [
    "Balancer",
    "Call",
    "Capture",
    "Captured",
    "Coordinator",
    "Database",
    "Element",
    "Environment",
    "EnvironmentStatus",
    "Instance",
    "Kept",
    "NotReady",
    "ServerStatus",
    "Stub",
    "fingerprint",
    "one_builder",
    "read_capture",
    "service_image",
]

"""What a service of the system needs inside its container; free of engine and notebook.

A service makes its ASGI application with `application(routes, …)`, calls others with `client(name)`, and asks
`toggle(name)` which of two code paths to take. `python3 -m labkit.service MODULE:NAME` runs it, or any other
ASGI application, which then has the same answers and end.
`labkit.service.stub` stands in for an external service.
"""

from labkit.service._application import Lifespan, ReadinessCheck, application
from labkit.service._body import json_object
from labkit.service._client import Client, Unavailable, client
from labkit.service._identity import Identity
from labkit.service._toggles import toggle

__all__ = [
    "Client",
    "Identity",
    "Lifespan",
    "ReadinessCheck",
    "Unavailable",
    "application",
    "client",
    "json_object",
    "toggle",
]

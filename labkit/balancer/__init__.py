"""The load balancer: HAProxy in a container, told at run time which servers take requests, and whose.

It knows services and servers by name and address only.
"""

from labkit.balancer._balancer import Balancer, Server, ServerStatus
from labkit.balancer._configuration import CHECKED, Listener

__all__ = ["CHECKED", "Balancer", "Listener", "Server", "ServerStatus"]

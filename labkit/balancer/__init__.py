"""The load balancer: HAProxy in a container; which servers take which requests is set at run time.

It knows services and servers by name and address only.
"""

from labkit.balancer._balancer import Balancer, Server, ServerStatus
from labkit.balancer._configuration import CHECKED, Listener

__all__ = ["CHECKED", "Balancer", "Listener", "Server", "ServerStatus"]

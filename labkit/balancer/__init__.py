"""The load balancer: HAProxy in a container; which servers take which requests is set at run time.

It knows services by name, and servers by name, address and version.
"""

from labkit.balancer._balancer import Balancer, Server, ServerStatus, Traffic
from labkit.balancer._configuration import CHECKED, TRAFFIC_S, Listener

__all__ = ["CHECKED", "TRAFFIC_S", "Balancer", "Listener", "Server", "ServerStatus", "Traffic"]

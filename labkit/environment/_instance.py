"""One running copy of a service."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Instance:
    """One running copy of a service.

    name is also its name in the network. address is ip:port inside the network. state is the balancer's word
    (UP, DOWN, DRAIN, MAINT), "waiting" when the balancer gives it no requests yet, or the engine's (exited …)
    when it does not run.
    """

    name: str
    service: str
    image: str
    version: str
    address: str
    state: str
    container: str

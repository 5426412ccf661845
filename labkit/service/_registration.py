"""Registers this instance with the coordinator, for as long as it lives: a lease that it renews.

An instance that dies, freezes or loses the network cannot renew its lease; the coordinator then forgets it
by itself. Renewing is the event loop's work, so that one that hangs is forgotten too.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

from starlette.applications import Starlette

from labkit.coordination import PORT, Coordinator
from labkit.errors import LabError
from labkit.service._identity import Identity
from labkit.service._passage import LOG

LEASE_S = 3
"""How long the coordinator remembers an instance that has fallen silent, in seconds."""

RENEW_S = 0.75
FIRST_S = 0.05
"""How long to wait for a coordinator that is only just starting, in seconds."""

LONG = 20
"""So many such waits are too many: then it is logged what the instance waits for."""


class Registration:
    """An instance's entry among those of its service; passed once it has been written."""

    def __init__(self, identity: Identity, coordinator: Coordinator, port: str) -> None:
        self._who, self._coordinator, self._port = identity, coordinator, port
        self._lease = 0
        self._failures = 0
        self.passed = False

    @classmethod
    def read(cls, identity: Identity) -> Self | None:
        """Return the registration with the coordinator at $COORDINATOR_URL, None without one."""
        address = urlsplit(os.environ.get("COORDINATOR_URL", ""))
        if not address.hostname:
            return None
        coordinator = Coordinator(address.hostname, address.port or PORT)
        return cls(identity, coordinator, os.environ.get("LABKIT_PORT", ""))

    async def registered(self) -> None:
        """Raise until the instance was registered once; a coordinator that goes later takes nobody along."""
        if not self.passed:
            message = "the coordinator has not taken this instance in yet"
            raise ConnectionError(message)

    async def keep(self, app: Starlette) -> None:
        """Renew the registration until the instance drains, then take it back."""
        while not app.state.draining:
            await self._tell(self._renew)
            await asyncio.sleep(RENEW_S if self.passed else FIRST_S)
        await self.end()

    async def end(self) -> None:
        """Take the registration back."""
        lease, self._lease = self._lease, 0
        if lease:
            await self._tell(lambda: self._coordinator.revoke(lease))

    async def _tell(self, work: Callable[[], None]) -> None:
        """Tell the coordinator something beside the event loop; that it is silent is logged once."""
        try:
            await asyncio.to_thread(work)
        except (OSError, LabError) as fault:
            self._failures += 1
            if self._failures == (1 if self.passed else LONG):
                LOG.warning("not registered, for the coordinator does not answer: %s", fault)
        else:
            self._failures = 0

    def _renew(self) -> None:
        if self._lease and self._coordinator.renew(self._lease):
            return
        lease, who = self._coordinator.grant(LEASE_S), self._who
        address = f"{self._own_address()}:{self._port}"
        self._coordinator.register(who.service, who.instance, who.version, address, lease)
        self._lease, self.passed = lease, True

    def _own_address(self) -> str:
        """Return the address that this container has in the coordinator's network; it may be in more."""
        where = (self._coordinator.host, self._coordinator.port)
        with socket.create_connection(where, LEASE_S) as line:
            return str(line.getsockname()[0])

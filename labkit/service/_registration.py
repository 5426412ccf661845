"""Registers this instance with the coordinator, for as long as it lives: a lease that it renews.

An instance that dies, freezes or loses the network cannot renew its lease, and the coordinator removes it.
The event loop begins each renewal, so that an instance whose event loop hangs is removed too.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Self

from starlette.applications import Starlette

from labkit.coordination import Coordinator, InstanceRegistry
from labkit.errors import LabError
from labkit.service._identity import Identity
from labkit.service._middleware import LOG

LEASE_S = 3
"""For how many seconds a silent instance stays registered."""

RENEW_S = 0.75
RETRY_S = 0.05
"""How many seconds lie between two tries of the first registration, while the coordinator starts."""

LOGGED_TRY = 20
"""The failed try of the first registration that is logged, once."""


class Registration:
    """An instance's entry among those of its service; passed once it was written."""

    def __init__(self, identity: Identity, coordinator: Coordinator, port: str) -> None:
        self._identity, self._coordinator, self._port = identity, coordinator, port
        self._lease = 0
        self._failures = 0
        self.passed = False

    @classmethod
    def read(cls, identity: Identity) -> Self | None:
        """Return the registration with the coordinator at $COORDINATOR_URL, None without one."""
        coordinator = Coordinator.at(os.environ.get("COORDINATOR_URL", ""))
        return cls(identity, coordinator, os.environ.get("LABKIT_PORT", "")) if coordinator else None

    async def registered(self) -> None:
        """Raise until the instance was registered once.

        A coordinator that fails later leaves the instance ready.
        """
        if not self.passed:
            message = "the coordinator has not registered this instance yet"
            raise ConnectionError(message)

    async def keep(self, app: Starlette) -> None:
        """Renew the registration until the instance drains, then end it."""
        while not app.state.draining:
            await self._try(self._renew)
            await asyncio.sleep(RENEW_S if self.passed else RETRY_S)
        await self.end()

    async def end(self) -> None:
        """End the registration."""
        lease, self._lease = self._lease, 0
        if lease:
            await self._try(lambda: self._coordinator.revoke(lease))

    async def _try(self, call: Callable[[], None]) -> None:
        """Call the coordinator in a thread beside the event loop; log once that it does not answer."""
        try:
            await asyncio.to_thread(call)
        except (OSError, LabError) as error:
            self._failures += 1
            if self._failures == (1 if self.passed else LOGGED_TRY):
                seen = error.seen if isinstance(error, LabError) else error
                LOG.warning("not registered, because the coordinator does not answer: %s", seen)
        else:
            self._failures = 0

    def _renew(self) -> None:
        if self._lease and self._coordinator.renew(self._lease):
            return
        lease, identity = self._coordinator.grant(LEASE_S), self._identity
        address = f"{self._own_address()}:{self._port}"
        registry = InstanceRegistry(self._coordinator)
        registry.register(identity.service, identity.instance, identity.version, address, lease)
        self._lease, self.passed = lease, True

    def _own_address(self) -> str:
        """Return the address that this container has in the coordinator's network; it may be in more."""
        target = (self._coordinator.host, self._coordinator.port)
        with socket.create_connection(target, LEASE_S) as connection:
            return str(connection.getsockname()[0])

"""Connections to a database that may be dropped and made again between two requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from labkit.service import Unavailable

MOST_CONNECTIONS = 4
RECONNECT_S = 5.0
PAUSE_S = 0.05

Connection = psycopg.AsyncConnection[dict[str, Any]]
Result = TypeVar("Result")


class Database:
    """A few connections, opened when they are needed. address is a libpq URL."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def run(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Do work in one transaction; when the connection is lost, do it once more on a new one.

        The first try may have been committed unheard, so doing work twice must be like doing it once.
        """
        async with self._free:
            try:
                return await self._transact(self._idle.pop() if self._idle else await self._connect(), work)
            except psycopg.OperationalError:
                await self.close()
            return await self._transact(await self._connect(), work)

    async def close(self) -> None:
        """Close the connections that are not at work."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    async def _transact(
        self, connection: Connection, work: Callable[[Connection], Awaitable[Result]]
    ) -> Result:
        try:
            async with connection.transaction():
                return await work(connection)
        finally:
            if connection.broken or connection.closed:
                await connection.close()
            else:
                self._idle.append(connection)

    async def _connect(self) -> Connection:
        """Open a connection; the database gets a few seconds to come back."""
        end = time.monotonic() + RECONNECT_S
        while True:
            try:
                return await psycopg.AsyncConnection.connect(
                    self._address,
                    autocommit=True,
                    connect_timeout=2,
                    client_encoding="utf8",
                    row_factory=dict_row,
                )
            except psycopg.OperationalError as fault:
                if time.monotonic() > end:
                    message = f"the database does not answer: {fault}"
                    raise Unavailable(message) from fault
                await asyncio.sleep(PAUSE_S)

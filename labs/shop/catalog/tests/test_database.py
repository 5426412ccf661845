"""The connections: a database that went away between two requests is noticed and opened again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import database
import psycopg
import pytest
from database import Database

from labkit.service import Unavailable


class FakeConnection:
    """A connection that is lost when its time has come."""

    def __init__(self) -> None:
        self.lost = False
        self.closed = False

    @property
    def broken(self) -> bool:
        return self.lost

    async def close(self) -> None:
        self.closed = True

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        if self.lost:
            raise psycopg.OperationalError("the server closed the connection")
        yield


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[FakeConnection]:
    connections: list[FakeConnection] = []

    async def connect(*_: object, **__: object) -> FakeConnection:
        connections.append(FakeConnection())
        return connections[-1]

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    return connections


async def number(_: object) -> int:
    return 7


def test_a_connection_is_used_again(opened: list[FakeConnection]) -> None:
    async def work() -> list[int]:
        store = Database("postgresql://")
        return [await store.run(number), await store.run(number)]

    assert asyncio.run(work()) == [7, 7]
    assert len(opened) == 1


def test_work_is_done_again_when_the_database_was_made_anew(opened: list[FakeConnection]) -> None:
    async def work() -> list[int]:
        store = Database("postgresql://")
        first = await store.run(number)
        opened[0].lost = True
        return [first, await store.run(number)]

    assert asyncio.run(work()) == [7, 7]
    assert [connection.closed for connection in opened] == [True, False]


def test_work_that_refuses_is_not_repeated(opened: list[FakeConnection]) -> None:
    tries = []

    async def refuse(_: object) -> None:
        tries.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(Database("postgresql://").run(refuse))
    assert (len(tries), opened[0].closed) == (1, False)


def test_a_database_that_stays_away_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: object, **__: object) -> FakeConnection:
        raise psycopg.OperationalError("no such database")

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    monkeypatch.setattr(database, "RECONNECT_S", 0.0)
    with pytest.raises(Unavailable, match="no such database"):
        asyncio.run(Database("postgresql://").run(number))

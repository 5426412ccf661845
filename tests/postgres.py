"""One PostgreSQL server for a test session, and empty databases in it."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from labkit.engine import SERVERS, Engine, Label, Owner

START_S = 30.0


@contextmanager
def server() -> Iterator[str]:
    """Run PostgreSQL in a container of labkit/servers and yield its address, without a database's name."""
    engine, owner = Engine.find(), Owner.process()
    container = engine.client.containers.run(
        SERVERS,
        ["postgres", "-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB"],
        user="postgres",
        detach=True,
        labels={str(Label.OWNER): str(owner), str(Label.ROLE): "test-database"},
        ports={"5432/tcp": ("127.0.0.1", 0)},
        shm_size="512m",
    )
    try:
        container.reload()
        port = container.ports["5432/tcp"][0]["HostPort"]
        address = f"postgresql://postgres@{engine.host}:{port}"
        await_answer(f"{address}/postgres")
        yield address
    finally:
        container.remove(force=True, v=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Run PostgreSQL for the session and yield its address, without a database's name."""
    with server() as address:
        yield address


def await_answer(url: str) -> None:
    """Wait until the server takes queries.

    :raises psycopg.OperationalError: when it does not within START_S.
    """
    end = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def fresh(postgres: str) -> Iterator[Callable[[], str]]:
    """Yield a function that makes an empty database and returns its URL; all are dropped at the end."""
    names: list[str] = []

    def make() -> str:
        names.append(f"test_{uuid.uuid4().hex[:12]}")
        with psycopg.connect(f"{postgres}/postgres", autocommit=True) as server:
            server.execute(f"CREATE DATABASE {names[-1]} STRATEGY file_copy")
        return f"{postgres}/{names[-1]}"

    yield make
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as server:
        for name in names:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

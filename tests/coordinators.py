"""A real etcd for tests, as environments start it, in a container of its own."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from labkit.coordination import PORT, Coordinator
from labkit.engine import SERVERS, Engine, Label, Owner
from labkit.etcd import COMMAND

PATIENCE_S = 20.0


def soon(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> bool:
    """Wait until a condition holds; return whether it came to hold. One that raises OSError does not hold."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            if condition():
                return True
        except OSError:
            pass
        time.sleep(0.01)
    return False


@contextmanager
def running_etcd() -> Iterator[Any]:
    """Run etcd in a container of labkit/servers; its attribute host_port stays the same when it restarts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    container = Engine.find().client.containers.run(
        SERVERS,
        list(COMMAND),
        detach=True,
        labels={str(Label.OWNER): str(Owner.process()), str(Label.ROLE): "test-coordinator"},
        ports={f"{PORT}/tcp": ("127.0.0.1", port)},
    )
    try:
        assert soon(Coordinator("127.0.0.1", port, 1.0).answers)
        container.host_port = port
        yield container
    finally:
        container.remove(force=True, v=True)

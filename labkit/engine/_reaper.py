"""Remove everything that carries given labels once standard input closes: its owner is gone.

This file is run by its path as a child process, so it imports nothing of labkit. Standard input is a pipe
whose other end only the owner holds; the kernel closes it however the owner ends.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
from docker.errors import APIError, NotFound

PARALLEL = 6
GRACE_S = 0.5
GIVE_UP_S = 120.0
CONFLICT = 409


def find(client: docker.DockerClient, labels: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield (kind, object) of every container, network and volume with all labels: "name" or "name=value"."""
    wanted = {"label": list(labels)}
    for container in client.containers.list(all=True, filters=wanted, sparse=True):
        yield "container", container
    for network in client.networks.list(filters=wanted):
        yield "network", network
    for volume in client.volumes.list(filters=wanted):
        yield "volume", volume


def remove(kind: str, thing: Any) -> bool:  # noqa: ANN401 - three classes of an untyped library
    """Remove one thing by force; answer whether it went now. What is gone or still busy is no error."""
    how: dict[str, Callable[[], None]] = {
        "container": lambda: thing.remove(force=True, v=True),
        "network": thing.remove,
        "volume": lambda: thing.remove(force=True),
    }
    try:
        how[kind]()
    except NotFound:
        return False
    except APIError as problem:
        if problem.status_code == CONFLICT or kind == "network":  # being removed already, or still in use
            return False
        raise
    return True


def sweep_once(client: docker.DockerClient, labels: Sequence[str]) -> tuple[int, int]:
    """Remove what is found now, containers in parallel; return (how many were found, how many went)."""
    found = list(find(client, labels))
    containers = [thing for kind, thing in found if kind == "container"]
    with ThreadPoolExecutor(PARALLEL) as pool:
        gone = sum(pool.map(lambda thing: remove("container", thing), containers))
    return len(found), gone + sum(remove(kind, thing) for kind, thing in found if kind != "container")


def remove_all(client: docker.DockerClient, labels: Sequence[str], give_up_s: float = GIVE_UP_S) -> int:
    """Remove until a pass finds nothing, or give_up_s seconds are over; return how many things went."""
    end, gone = time.monotonic() + give_up_s, 0
    while time.monotonic() < end:
        found, went = sweep_once(client, labels)
        gone += went
        if not found:
            break
        if not went:
            time.sleep(0.1)
    return gone


def reap(labels: Sequence[str]) -> None:
    """Remove until two passes, a grace time apart, find nothing.

    The grace is for what the engine was still creating when its owner died.
    """
    client = docker.from_env(use_ssh_client=True)
    remove_all(client, labels)
    time.sleep(GRACE_S)
    while remove_all(client, labels):
        time.sleep(GRACE_S)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    reap(sys.argv[1:])

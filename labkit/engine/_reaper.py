"""Remove everything that carries given labels once standard input closes: its owner is gone.

This file is run by its path as a child process, so it imports nothing of labkit. Standard input is a pipe
whose other end only the owner holds; the kernel closes it however the owner ends.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import docker
from docker.errors import APIError, NotFound

PARALLEL = 6
GRACE_S = 0.5
GIVE_UP_S = 60.0
PAUSE_S = 0.1


def find(client: docker.DockerClient, labels: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield (kind, object) of everything in the engine with all labels: "name" or "name=value".

    Kinds are container, network, volume and image; images come last, for a container holds its own.
    """
    wanted = {"label": list(labels)}
    for container in client.containers.list(all=True, filters=wanted, sparse=True):
        yield "container", container
    for network in client.networks.list(filters=wanted):
        yield "network", network
    for volume in client.volumes.list(filters=wanted):
        yield "volume", volume
    for told in client.api.images(filters=wanted):
        yield "image", client.images.prepare_model(told)


def remove(kind: str, thing: Any) -> bool:  # noqa: ANN401 - three classes of an untyped library
    """Remove one thing by force; answer whether it went now. What is gone, or not yet free, is no error."""
    try:
        if kind == "container":
            thing.remove(force=True, v=True)
        elif kind == "network":
            thing.remove()
        else:
            thing.remove(force=True)
    except NotFound:
        return False
    except APIError:  # being removed already, or still in use: the next pass sees to it
        if kind == "network":
            detach(thing)
        return False
    return True


def detach(network: Any) -> None:  # noqa: ANN401 - as above
    """Take every container off a network, those of other owners too: a network in use cannot be removed."""
    with suppress(APIError):
        network.reload()
        for container in network.attrs.get("Containers") or {}:
            network.disconnect(container, force=True)


def sweep_once(client: docker.DockerClient, labels: Sequence[str]) -> tuple[int, int]:
    """Remove what is found now, containers in parallel; return (how many were found, how many went)."""
    found = list(find(client, labels))
    containers = [thing for kind, thing in found if kind == "container"]
    with ThreadPoolExecutor(PARALLEL) as pool:
        gone = sum(pool.map(lambda thing: remove("container", thing), containers))
    return len(found), gone + sum(remove(kind, thing) for kind, thing in found if kind != "container")


def remove_all(client: docker.DockerClient, labels: Sequence[str], give_up_s: float = GIVE_UP_S) -> int:
    """Remove until a pass finds nothing; return how many things went.

    :raises TimeoutError: when something is still there after give_up_s seconds.
    """
    end, gone = time.monotonic() + give_up_s, 0
    while True:
        found, went = sweep_once(client, labels)
        gone += went
        if not found:
            return gone
        if not went:
            if time.monotonic() > end:
                raise TimeoutError(found)
            time.sleep(PAUSE_S)


def reap(labels: Sequence[str]) -> None:
    """Remove until two passes, a grace time apart, find nothing.

    The grace is for what the engine was still creating when its owner died.
    """
    client = docker.from_env(use_ssh_client=True)
    remove_all(client, labels)
    time.sleep(GRACE_S)
    while remove_all(client, labels):
        time.sleep(GRACE_S)


def insist(labels: Sequence[str]) -> None:
    """Reap; when the engine does not answer, try again for GIVE_UP_S seconds."""
    end = time.monotonic() + GIVE_UP_S
    while time.monotonic() < end:
        with suppress(docker.errors.DockerException, OSError):  # OSError: requests' errors and time-outs too
            reap(labels)
            return
        time.sleep(1.0)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    insist(sys.argv[1:])

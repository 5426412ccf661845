"""What can go wrong between labkit and the container engine.

NoEngine         nothing answers where the engine should be
  NoPermission   something is there, but this user may not talk to it
ImageMissing     a container needs an image that the engine does not have
BuildFailed      an image's build ended with an error
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from labkit.errors import LabError


class NoEngine(LabError):
    """Nothing answers where the container engine should be."""


class NoPermission(NoEngine):
    """The engine is there, but this user may not talk to it."""


class ImageMissing(LabError):
    """The engine does not have an image that is needed."""


class BuildFailed(LabError):
    """The build of an image ended with an error."""


def no_engine(address: str, seen: str) -> NoEngine:
    """Return the error for an engine that does not answer, with the next step for this machine."""
    return NoEngine(f"a container engine that answers at {address}", seen, start_hint())


def no_permission(address: str) -> NoPermission:
    """Return the error for an engine that this user may not use."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or "$USER"
    return NoPermission(
        f"permission to talk to the container engine at {address}",
        f"an engine's socket is there, but the user {user} may not open it",
        f"sudo usermod -aG docker {user}, then log out and in again",
    )


def start_hint() -> str:
    """Return the one step that brings an engine to this machine."""
    if sys.platform != "linux":
        return "install Docker Desktop and start it, then try again"
    if os.environ.get("DOCKER_HOST"):
        return "start the engine that DOCKER_HOST names, or unset DOCKER_HOST"
    if shutil.which("dockerd"):
        return "start the engine: labkit doctor --fix as root, or sudo systemctl start docker"
    if shutil.which("apt-get"):
        return "as root: labkit doctor --fix (installs docker.io and starts it)"
    return "install Docker Engine (https://docs.docker.com/engine/install/) and start it"


@contextmanager
def answering(address: str) -> Iterator[None]:
    """Turn a lost connection to the engine, or one that stays silent, into NoEngine; other errors pass.

    :raises NoPermission: when the socket is there and this user may not open it.
    """
    import docker.errors  # noqa: PLC0415 - the library is loaded with the first call to the engine
    import requests.exceptions  # noqa: PLC0415 - it comes with the engine's library

    try:
        yield
    except requests.exceptions.ConnectionError as problem:
        raise no_engine(address, "the connection was lost, or nothing listens") from problem
    except requests.exceptions.Timeout as problem:
        raise no_engine(address, f"no answer in time: {problem}") from problem
    except docker.errors.APIError:
        raise
    except docker.errors.DockerException as problem:
        if "Permission denied" in str(problem):
            raise no_permission(address) from problem
        raise no_engine(address, str(problem)) from problem

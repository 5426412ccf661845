"""Errors of the engine's library, turned into errors that a user can fix.

NameTaken   a container of this name exists already
NotReady    an element was not ready in time
"""

from collections.abc import Iterator
from contextlib import contextmanager

import requests.exceptions
from docker.errors import APIError, DockerException, ImageNotFound, NullResource

from labkit.engine import Engine, NoEngine
from labkit.errors import LabError

NAME_TAKEN = "is already in use by container"
OTHER_PORTS = "try again: the engine chooses other ports; labkit doctor checks that some are free"
SEE_STATES = "environment.elements() shows the state that each is in"
NEXT_STEPS = {
    "No command specified": "give the Dockerfile of the image a CMD",
    "port is already allocated": OTHER_PORTS,
    "address already in use": OTHER_PORTS,
    "address pool": "the engine's networks are used up: clean up environments (labkit environment list)",
    "Invalid container name": "take a name of letters, digits, _, . and -",
    "No such container": SEE_STATES,
    "is paused": SEE_STATES,
    "is not running": SEE_STATES,
    "start a paused container": "call its resume(): it is only frozen",
    "no space left": "free some disk: labkit doctor shows how much is needed",
}
"""Words in the engine's error → the next step that helps."""


class NameTaken(LabError):
    """A container of this name exists already."""


class NotReady(LabError):
    """An element was not ready in time, or had not finished in time."""


@contextmanager
def refusals(engine: Engine, expected: str, image: str = "") -> Iterator[None]:
    """Turn what the engine's library raises within the block into an error with a next step.

    :raises ImageMissing: when the engine does not have the image.
    :raises NameTaken: when the name of a new container is in use.
    :raises NoEngine: when the connection is lost.
    :raises LabError: when the engine refuses for another reason.
    """
    try:
        yield
    except ImageNotFound:
        engine.image(image)  # raises ImageMissing with the step that brings it
        raise
    except NullResource as problem:  # the engine's library was given the id of a container that is gone
        raise LabError(expected, "its container is gone", SEE_STATES) from problem
    except APIError as problem:
        raise _refused(expected, str(problem.explanation or problem)) from problem
    except requests.exceptions.RequestException as problem:
        lost = f"a container engine that answers at {engine.address}, so that {expected}"
        raise NoEngine(lost, "the connection was lost, or nothing listens", "labkit doctor") from problem


def _refused(expected: str, seen: str) -> LabError:
    if NAME_TAKEN in seen:
        return NameTaken(expected, seen, "try again")
    next_step = "labkit doctor shows what is wrong with the engine"
    for words, step in NEXT_STEPS.items():
        if words in seen:
            next_step = step
    return LabError(expected, seen, next_step)


ENGINE_ERRORS = (DockerException,)
"""What the engine's library raises."""


def ryuk_missing(error: Exception) -> LabError | None:
    """Return the error for Ryuk's image that cannot be had; None when the error is about something else.

    testcontainers starts Ryuk before the first container that somebody starts without an environment.
    """
    if "ryuk" not in str(error):
        return None
    next_step = "start Python with TESTCONTAINERS_RYUK_DISABLED=true, or use environment.add(container)"
    return LabError("the image of Ryuk, which testcontainers starts first", str(error), next_step)

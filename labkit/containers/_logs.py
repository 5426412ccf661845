"""Reads the logs of containers."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.errors import NotFound

from labkit.containers._errors import refusals
from labkit.containers._info import ContainerInfo
from labkit.engine import Engine

READERS = 6
LAST_LINES = 12
"""How many lines of a log an error shows."""


def read_logs(
    engine: Engine, containers: Iterable[ContainerInfo], last_s: float | None = None
) -> list[dict[str, Any]]:
    """Return all lines of these containers, oldest first.

    last_s keeps only the lines of the last so many seconds; None keeps all. Each line has at least time,
    service and instance. A line that is a JSON object has its fields too; any other has its text as message.
    """
    since = None if last_s is None else time.time() - last_s
    with refusals(engine, "the logs of the environment"), ThreadPoolExecutor(READERS) as pool:
        logs = list(pool.map(lambda container: _lines(engine, container, since), containers))
    lines = [line for log in logs for line in log]
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def last_lines(engine: Engine, container: str, count: int) -> list[str]:
    """Return the last lines of one container, given by its id, as they were written; [] when it is gone."""
    try:
        text: bytes = engine.client.api.logs(container, tail=count)
    except NotFound:
        return []
    return text.decode(errors="replace").splitlines()


def _lines(engine: Engine, container: ContainerInfo, since: float | None) -> list[tuple[str, dict[str, Any]]]:
    try:
        text: bytes = engine.client.api.logs(container.id, timestamps=True, since=since)
    except NotFound:  # somebody removed it after it was listed
        return []
    pairs = (line.partition(" ") for line in text.decode(errors="replace").splitlines())
    return [(at, _line(container, at, message)) for at, _, message in pairs if message]


def _line(container: ContainerInfo, at: str, message: str) -> dict[str, Any]:
    known = {"time": at, "service": container.service or container.role, "instance": container.name}
    try:
        fields = json.loads(message)
    except ValueError:
        fields = None
    return {**known, **fields} if isinstance(fields, dict) else {**known, "message": message}

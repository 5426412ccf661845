"""What the parts of an environment said."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.errors import NotFound

from labkit.engine import Engine
from labkit.environment._part import Part, refusals

READERS = 6


def read_logs(engine: Engine, parts: Iterable[Part], last_s: float | None = None) -> list[dict[str, Any]]:
    """Return all lines of these parts, or those of the last seconds, in the order of time.

    Each has at least time, service, instance and message or what the service itself wrote as JSON.
    """
    with refusals(engine, "the logs of the environment"), ThreadPoolExecutor(READERS) as pool:
        since = None if last_s is None else time.time() - last_s
        found = pool.map(lambda part: _lines(engine, part, since), parts)
        lines = [line for told in found for line in told]
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def last_lines(engine: Engine, part: Part, count: int = 12) -> list[str]:
    """Return the last lines of one part, as they were written; [] when it is gone."""
    try:
        told: bytes = engine.client.api.logs(part.id, tail=count)
    except NotFound:
        return []
    return told.decode(errors="replace").splitlines()


def _lines(engine: Engine, part: Part, since: float | None) -> list[tuple[str, dict[str, Any]]]:
    try:
        told: bytes = engine.client.api.logs(part.id, timestamps=True, since=since)
    except NotFound:  # removed between the list and this question
        return []
    pairs = (line.partition(" ") for line in told.decode(errors="replace").splitlines())
    return [(time, _line(part, time, text)) for time, _, text in pairs if text]


def _line(part: Part, time: str, text: str) -> dict[str, Any]:
    known = {"time": time, "service": part.service or part.role, "instance": part.name}
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    return {**known, **said} if isinstance(said, dict) else {**known, "message": text}

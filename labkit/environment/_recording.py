"""Records the answers of a real external service, so that a stub can give them from then on."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from labkit._http import request as send
from labkit.environment._plan import PlannedExternal
from labkit.errors import LabError
from labkit.system import Recording

ANSWER_S = 10.0


def record(external: PlannedExternal, host: str, port: int, requests: Iterable[str]) -> Recording:
    """Send requests ("GET /path") to the real service at host:port and return what it answered.

    :raises LabError: when the service is read-write, a request is no GET, or an answer is no JSON.
    """
    _refuse_what_writes(external)
    answers = {request: _ask(external.name, host, port, request) for request in dict.fromkeys(requests)}
    if not answers:
        raise LabError(f"requests to {external.name}", "none", 'give some, for example ["GET /path"]')
    return Recording(external.name, datetime.now(UTC).isoformat(timespec="seconds"), answers)


def _refuse_what_writes(external: PlannedExternal) -> None:
    if external.writes:
        expected = f"an external service that only reads, and {external.name} is read-write"
        next_step = "write the stub's answers by hand: each recorded call would have its effect there"
        raise LabError(expected, f"{external.name} is to be recorded", next_step)


def _ask(name: str, host: str, port: int, request: str) -> dict[str, Any]:
    method, _, path = request.partition(" ")
    if method != "GET" or not path.startswith("/"):
        raise LabError(
            'requests such as "GET /path"',
            repr(request),
            'write it as "GET /path": only requests that change nothing are recorded',
        )
    try:
        response = send(host, port, method, path, timeout_s=ANSWER_S)
    except OSError as problem:
        next_step = f"read environment.logs({name!r})"
        raise LabError(f"{name} answers {request}", str(problem), next_step) from problem
    try:
        return {"status": response.status, "body": json.loads(response.body)}
    except ValueError as problem:
        expected = f"{name} answers {request} with JSON"
        raise LabError(expected, str(problem), "record another path") from problem

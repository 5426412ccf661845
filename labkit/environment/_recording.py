"""Asks a real external service once, so that a stub can give the same answers from then on."""

import http.client
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from labkit.environment._plan import PlannedExternal
from labkit.errors import LabError
from labkit.system import Recording

ANSWER_S = 10.0


def record(external: PlannedExternal, host: str, port: int, requests: Iterable[str]) -> Recording:
    """Send requests ("GET /path") to the real service at host:port and return what it answered.

    :raises LabError: for a service that writes, a request that is no GET, and an answer that is no JSON.
    """
    _refuse_what_writes(external)
    answers = {request: _ask(external.name, host, port, request) for request in dict.fromkeys(requests)}
    if not answers:
        raise LabError(f"requests to {external.name}", "none", 'give some, for example ["GET /path"]')
    return Recording(external.name, datetime.now(UTC).isoformat(timespec="seconds"), answers)


def _refuse_what_writes(external: PlannedExternal) -> None:
    if external.writes:
        expected = f"an external service that only reads, and {external.name} is read-write"
        mend = "write the stub's answers by hand: each recorded call would have its effect there"
        raise LabError(expected, f"{external.name} is to be recorded", mend)


def _ask(name: str, host: str, port: int, request: str) -> dict[str, Any]:
    method, _, path = request.partition(" ")
    if method != "GET" or not path.startswith("/"):
        raise LabError('requests such as "GET /path"', repr(request), "record what only reads")
    line = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        line.request(method, path)
        answer = line.getresponse()
        return {"status": answer.status, "body": json.loads(answer.read())}
    except (OSError, http.client.HTTPException) as problem:
        raise LabError(f"{name} answers {request}", str(problem), "read environment.logs()") from problem
    except ValueError as problem:
        raise LabError(
            f"{name} answers {request} with JSON", str(problem), "record another path"
        ) from problem
    finally:
        line.close()

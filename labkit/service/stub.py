"""Stands in for any external service: gives the answers it was told and records every call.

$STUB holds the answers as JSON, as `system.toml` writes them: {"METHOD /path": {"status": 200, "body": …}}. A
part of a path in braces stands for anything: "GET /rates/{base}". GET /__calls__ returns the recorded calls,
oldest first; DELETE /__calls__ forgets them.
"""

import json
import os
import re
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.service import application
from labkit.service._log import REQUEST_ID

__all__ = ["stub"]

MOST_CALLS = 10_000
"""So many calls are kept, the newest: a stub under load must not eat the machine."""

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def stub(answers: Mapping[str, Mapping[str, Any]]) -> Starlette:
    """Return the application; a call it has no answer to gets 404 with those it knows, and is recorded."""
    calls: deque[dict[str, Any]] = deque(maxlen=MOST_CALLS)
    known = [(_pattern(key), answer) for key, answer in answers.items()]

    async def answer(request: Request) -> Response:
        wanted = f"{request.method} {request.url.path}"
        found = next((answer for pattern, answer in known if pattern.fullmatch(wanted)), None)
        status = found.get("status", 200) if found is not None else 404
        body = found.get("body") if found is not None else _nothing(wanted, answers)
        calls.append(_call(request, await request.body(), status))
        return JSONResponse(body, status)

    async def recorded(request: Request) -> Response:
        if request.method == "DELETE":
            calls.clear()
            return Response(status_code=204)
        return JSONResponse(list(calls))

    return application(
        [
            Route("/__calls__", recorded, methods=["GET", "DELETE"]),
            Route("/{path:path}", answer, methods=METHODS),
        ]
    )


def _pattern(key: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^{}]*\}", key)
    return re.compile("[^/]+".join(map(re.escape, parts)))


def _nothing(wanted: str, answers: Mapping[str, Any]) -> dict[str, str]:
    return {"error": f"this stub has no answer to {wanted}; it knows {', '.join(answers) or 'none'}"}


def _call(request: Request, body: bytes, status: int) -> dict[str, Any]:
    try:
        content = json.loads(body) if body else None
    except ValueError:
        content = body.decode(errors="replace")
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": request.method,
        "path": request.url.path,
        "query": dict(request.query_params),
        "body": content,
        "status": status,
        "request_id": REQUEST_ID.get(),
    }


def __getattr__(name: str) -> Starlette:
    """Make `app` when the server asks for it, so that importing the module needs no $STUB."""
    if name == "app":
        return stub(json.loads(os.environ.get("STUB", "{}")))
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)

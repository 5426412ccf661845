"""Stands in for any external service: gives the answers that it was given, and records every call.

$STUB holds the answers as JSON, as `system.toml` writes them: {"METHOD /path": ANSWER}, with one ANSWER or a
list of them. A part of a path in braces stands for anything: "GET /rates/{base}". A key that has a query is
for that query alone. Of several keys that fit, the one with the fewest braces answers.

An ANSWER may have status (200), body (JSON), delay_s (seconds until it is given), cut (the connection ends in
the middle of it), when (the state in which it is given; without it, any) and then (the state from now on).
The stub begins in the state "start". A call takes effect when it comes in: it is recorded and the state
changes before a delay, and also when the answer is cut. So does a real service whose answer gets lost.

GET /__calls__ returns the recorded calls, oldest first; DELETE /__calls__ removes them. GET /__stub__ returns
{"state", "answers"}. PATCH /__stub__ with answers replaces those of the same keys. DELETE /__stub__ restores
the first answers and the first state, and removes the recorded calls.

With $LABKIT_SECRET set, these two paths answer only to "Authorization: Bearer SECRET" (RFC 6750), others with
401: everybody on the machine reaches the port.
"""

import asyncio
import json
import os
import re
import secrets
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from labkit.service import application, json_object
from labkit.service._log import REQUEST_ID

__all__ = ["stub"]

MOST_CALLS = 10_000
"""So many calls are kept, the newest ones: a stub under load must not fill the memory."""

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
START = "start"

Answers = Mapping[str, Any]


class Behaviour:
    """What a stub answers now: its answers and its state."""

    def __init__(self, first: Answers) -> None:
        self._first = dict(first)
        self.reset()

    def reset(self) -> None:
        """Go back to the first answers and the first state."""
        self.answers, self.state = dict(self._first), START

    def to(self, method: str, path: str, query: str) -> Mapping[str, Any]:
        """Return the answer to a call, and change to the state that follows it."""
        calls = {f"{method} {path}", f"{method} {path}?{query}"}
        keys = [key for key in self.answers if any(map(_pattern(key).fullmatch, calls))]
        for key in sorted(keys, key=lambda key: (key.count("{"), "?" not in key)):
            answers = self.answers[key]
            for answer in answers if isinstance(answers, list) else [answers]:
                if answer.get("when", self.state) == self.state:
                    self.state = answer.get("then", self.state)
                    return dict(answer)
        return {"status": 404, "body": {"error": self._no_answer(f"{method} {path}", keys)}}

    def _no_answer(self, call: str, keys: list[str]) -> str:
        if keys:
            return f"this stub has no answer to {call} in the state {self.state!r}"
        return f"this stub has no answer to {call}; it knows {', '.join(self.answers) or 'none'}"


class Cut(JSONResponse):
    """An answer whose connection ends in its middle: its whole length is announced, half of it is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - Starlette's
        """Send the first half; the server closes a connection whose answer stays unfinished."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def stub(answers: Answers, secret: str = "") -> Starlette:
    """Return the application; a call without an answer is recorded too, and gets 404 with the known keys.

    secret is asked of whoever reads the calls or changes the answers; "" asks for none.
    """
    calls: deque[dict[str, Any]] = deque(maxlen=MOST_CALLS)
    behaviour = Behaviour(answers)

    async def answer(request: Request) -> Response:
        body = await request.body()
        planned = behaviour.to(request.method, request.url.path, request.url.query)
        status = planned.get("status", 200)
        calls.append(_call(request, body, status))
        await asyncio.sleep(planned.get("delay_s", 0))
        return (Cut if planned.get("cut") else JSONResponse)(planned.get("body"), status)

    async def recorded(request: Request) -> Response:
        _refuse_stranger(request, secret)
        if request.method == "DELETE":
            calls.clear()
            return Response(status_code=204)
        return JSONResponse(list(calls))

    async def control(request: Request) -> Response:
        _refuse_stranger(request, secret)
        if request.method == "PATCH":
            behaviour.answers |= await json_object(request)
        elif request.method == "DELETE":
            behaviour.reset()
            calls.clear()
        return JSONResponse({"state": behaviour.state, "answers": behaviour.answers})

    return application(
        [
            Route("/__calls__", recorded, methods=["GET", "DELETE"]),
            Route("/__stub__", control, methods=["GET", "PATCH", "DELETE"]),
            Route("/{path:path}", answer, methods=METHODS),
        ]
    )


def _refuse_stranger(request: Request, secret: str) -> None:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if secret and not secrets.compare_digest(given.encode(), secret.encode()):
        raise HTTPException(401, "the secret of the stubs is expected", {"WWW-Authenticate": "Bearer"})


def _pattern(key: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^{}]*\}", key)
    return re.compile("[^/?]+".join(map(re.escape, parts)))


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
        return stub(json.loads(os.environ.get("STUB", "{}")), os.environ.get("LABKIT_SECRET", ""))
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)

"""What every request gets, before and after its answer: id, baggage, toggles, a log line."""

import logging
import re
import time
from contextvars import ContextVar, Token
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labkit.service._client import BAGGAGE, CALLER, Unavailable
from labkit.service._log import REQUEST_ID
from labkit.service._toggles import BAGGAGE_BYTES, REQUEST_TOGGLES, RequestToggles, Toggles, with_revision

LOG = logging.getLogger("labkit.service")
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
ACCEPTED_CALLER = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
PROBES = frozenset({"/healthz", "/readyz"})


class RequestMiddleware:
    """ASGI middleware; a request keeps its own id when that is safe to log, else it gets a new one."""

    def __init__(self, app: ASGIApp, toggles: Toggles | None = None) -> None:
        self._app, self._toggles = app, toggles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; an exception becomes a logged answer 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        tokens = self._enter(Headers(scope=scope))
        status, started = 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = REQUEST_ID.get()
            await send(message)

        try:
            await self._answer(scope, receive, send_with_id)
        except Exception:
            LOG.exception("the request raised an exception in this service")
            if status:
                raise  # the answer has begun, so that no other can be sent
            await JSONResponse({"error": "this service failed; its log has the request id"}, 500)(
                scope, receive, send_with_id
            )
        finally:
            if scope["path"] not in PROBES:
                _log(scope, status, time.perf_counter() - started)
            for variable, token in tokens:
                variable.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._read_toggles()
        except Unavailable as error:
            await JSONResponse({"error": str(error)}, 503)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _enter(self, headers: Headers) -> list[tuple[ContextVar[Any], Token[Any]]]:
        """Set the variables of this request alone; return the tokens that reset them."""
        given, baggage = headers.get("x-request-id", ""), headers.get("baggage", "")
        variables: list[tuple[ContextVar[Any], object]] = [
            (REQUEST_ID, given if ACCEPTED_ID.fullmatch(given) else uuid4().hex[:16]),
            (BAGGAGE, baggage if len(baggage) <= BAGGAGE_BYTES else ""),
            (REQUEST_TOGGLES, None),
        ]
        return [(variable, variable.set(value)) for variable, value in variables]

    async def _read_toggles(self) -> None:
        """Set the request's toggles, and give the request a revision header unless it came with one."""
        if self._toggles is None:
            return
        snapshot = await self._toggles.snapshot_for(BAGGAGE.get())
        REQUEST_TOGGLES.set(RequestToggles(self._toggles.names, snapshot))
        if snapshot:
            BAGGAGE.set(with_revision(BAGGAGE.get(), snapshot.revision))


def _log(scope: Scope, status: int, seconds: float) -> None:
    caller = Headers(scope=scope).get(CALLER, "")
    fields = {
        "caller": caller if ACCEPTED_CALLER.fullmatch(caller) else "",
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 2),
    }
    LOG.info("%(method)s %(path)s %(status)s", fields, extra={"fields": fields})

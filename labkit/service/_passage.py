"""What happens to every request on its way in and out: id, baggage, who answered, a line in the log."""

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
from labkit.service._identity import Identity
from labkit.service._log import REQUEST_ID
from labkit.service._toggles import ASKED, MOST_BYTES, Asked, Toggles, stamped

LOG = logging.getLogger("labkit.service")
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
ACCEPTED_CALLER = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
PROBES = frozenset({"/healthz", "/readyz"})


class Passage:
    """ASGI middleware. An id that comes in is kept when it is safe to log, else a new one is made."""

    def __init__(self, app: ASGIApp, identity: Identity, toggles: Toggles | None = None) -> None:
        self._app, self._identity, self._toggles = app, identity, toggles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request pass; an exception becomes a logged answer 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        before = self._enter(Headers(scope=scope))
        status, started = 0, time.perf_counter()

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._mark(message)
            await send(message)

        try:
            await self._answer(scope, receive, send_marked)
        except Exception:
            LOG.exception("the request broke this service")
            if status:
                raise
            await JSONResponse({"error": "this service broke; its log has the request id"}, 500)(
                scope, receive, send_marked
            )
        finally:
            if scope["path"] not in PROBES:
                _log(scope, status, time.perf_counter() - started)
            for variable, token in before:
                variable.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._pin()
        except Unavailable as fault:
            await JSONResponse({"error": str(fault)}, 503)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _enter(self, headers: Headers) -> list[tuple[ContextVar[Any], Token[Any]]]:
        """Note what belongs to this request alone; return how to forget it."""
        given, baggage = headers.get("x-request-id", ""), headers.get("baggage", "")
        noted: list[tuple[ContextVar[Any], object]] = [
            (REQUEST_ID, given if ACCEPTED_ID.fullmatch(given) else uuid4().hex[:16]),
            (BAGGAGE, baggage if len(baggage) <= MOST_BYTES else ""),
            (ASKED, None),
        ]
        return [(variable, variable.set(value)) for variable, value in noted]

    async def _pin(self) -> None:
        """Stamp the request with the toggles' revision, unless it comes with one."""
        if self._toggles is None:
            return
        pinned = await self._toggles.pin(BAGGAGE.get())
        ASKED.set(Asked(self._toggles.names, pinned))
        if pinned:
            BAGGAGE.set(stamped(BAGGAGE.get(), pinned.revision))

    def _mark(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers["x-request-id"] = REQUEST_ID.get()
        headers["x-labkit-version"] = self._identity.version
        headers["x-labkit-instance"] = self._identity.instance


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

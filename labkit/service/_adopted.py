"""An ASGI application that is not labkit's own, as a part of a service's application.

Source: the ASGI specification, https://asgi.readthedocs.io/en/latest/specs/lifespan.html.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labkit.service._middleware import LOG

ASGI = {"version": "3.0", "spec_version": "2.0"}
PROBE: Scope = {
    "type": "http",
    "asgi": ASGI,
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/readyz",
    "raw_path": b"/readyz",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"host", b"localhost")],
    "client": None,
    "server": None,
}
ANSWERS = {
    f"lifespan.{phase}.{outcome}" for phase in ("startup", "shutdown") for outcome in ("complete", "failed")
}
SERVER_ERROR = 500


class NotReadyError(Exception):
    """The application cannot take requests."""


class _NoLifespanError(Exception):
    """The application answers the lifespan as if it were a request."""


class Adopted:
    """An application with its lifespan; when its start failed, every request is answered with 503."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._failure = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a websocket on, with what the lifespan has put into its state."""
        if self._failure and scope["type"] == "http":
            await JSONResponse({"error": "this service did not start"}, 503)(scope, receive, send)
            return
        await self._app({**scope, "state": {**scope.get("state", {}), **self._state}}, receive, send)

    async def ready(self) -> None:
        """Return when the application has started and does not itself answer /readyz with a server error.

        :raises NotReadyError: when it did not start, or does answer so.
        """
        if self._failure:
            message = f"its start failed: {self._failure}"
            raise NotReadyError(message)
        requests, statuses = asyncio.Queue[Message](), list[int]()
        requests.put_nowait({"type": "http.request", "body": b"", "more_body": False})

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            elif not message.get("more_body"):  # the end, after which some wait for the client to go
                requests.put_nowait({"type": "http.disconnect"})

        await self({**PROBE}, requests.get, send)
        if any(status >= SERVER_ERROR for status in statuses):
            message = f"its own /readyz answers {statuses[0]}"
            raise NotReadyError(message)

    @asynccontextmanager
    async def lifespan(self, _: ASGIApp) -> AsyncIterator[None]:
        """Start the application, and end it; one that has no lifespan is left alone."""
        events, answers = asyncio.Queue[Message](), asyncio.Queue[Message]()
        running = asyncio.create_task(self._run(events, answers))
        events.put_nowait({"type": "lifespan.startup"})
        started = await answers.get()
        if started["type"] == "lifespan.startup.failed":
            self._failure = _last_line(started.get("message", "")) or "no reason given"
            LOG.error("the start of the application failed: %s", started.get("message", ""))
        try:
            yield
        finally:
            if started["type"] == "lifespan.startup.complete":
                events.put_nowait({"type": "lifespan.shutdown"})
                ended = await answers.get()
                if ended["type"] == "lifespan.shutdown.failed":
                    LOG.error("the end of the application failed: %s", ended.get("message", ""))
            running.cancel()  # one that failed may wait for more
            await asyncio.wait([running])

    async def _run(self, events: "asyncio.Queue[Message]", answers: "asyncio.Queue[Message]") -> None:
        """Run the application's lifespan; what it raises after the startup event, it failed with.

        Before that event, the error means that the application has no lifespan.
        """

        async def send(message: Message) -> None:
            if message["type"] not in ANSWERS:
                raise _NoLifespanError
            answers.put_nowait(message)

        scope = {"type": "lifespan", "asgi": ASGI, "state": self._state}
        try:
            await self._app(scope, events.get, send)
        except _NoLifespanError:
            pass
        except Exception as error:  # noqa: BLE001 - an application may raise anything
            if events.empty():
                failure = f"{type(error).__name__}: {error}"
                answers.put_nowait({"type": "lifespan.startup.failed", "message": failure})
        answers.put_nowait({"type": "ended"})


def _last_line(text: str) -> str:
    """Return the last line of a traceback, which names the error."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")

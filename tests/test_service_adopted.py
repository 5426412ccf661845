"""labkit.service around ASGI applications that are not labkit's own."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from test_service import served

from labkit.service._application import adopted, application

PLAIN = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await asyncio.sleep(0.8 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"plain"})
"""


async def everything(_: Scope, receive: Receive, send: Send) -> None:
    """Answer whatever comes, also the lifespan, as if it were a request."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"plain"})


async def nothing_but_requests(scope: Scope, receive: Receive, send: Send) -> None:
    """Return at once when it is no request."""
    if scope["type"] == "http":
        await everything(scope, receive, send)


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """Raise an error when it is no request."""
    if scope["type"] != "http":
        raise NotImplementedError
    await everything(scope, receive, send)


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """Give the service that an application is taken for, started, and a client of it."""
    service = adopted(app)
    transport = httpx.ASGITransport(app=service)
    async with (
        service.router.lifespan_context(service),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        yield service, client


def answers(app: Any, *requests: str) -> list[httpx.Response]:
    """Return what a started application answers to "METHOD /path" after another."""

    async def ask() -> list[httpx.Response]:
        async with running(app) as (_, client):
            return [await client.request(*request.split()) for request in requests]

    return asyncio.run(ask())


@pytest.mark.parametrize("app", [everything, nothing_but_requests, refusing])
def test_an_application_without_a_lifespan_has_what_every_service_has(app: Any) -> None:
    """/healthz, /readyz and /version are answered for it; every other path is its own, /openapi.json too."""
    alive, ready, version = answers(app, "GET /healthz", "GET /readyz", "GET /version")
    assert alive.json() == {"alive": True}
    assert ready.json() == {"ready": True, "reasons": []}
    assert version.json()["service"] == "unknown"
    others = answers(app, "GET /", "GET /openapi.json", "GET /a/b", "POST /version")
    assert [answer.text for answer in others] == ["plain"] * 4
    assert all(answer.headers["x-request-id"] for answer in others)


def test_an_application_of_labkit_stays_as_it_is() -> None:
    """It has these answers already."""
    own = application([])
    assert adopted(own) is own


def test_lifespan_state_and_websockets_are_passed_on() -> None:
    """What the lifespan opens is there in each request and websocket, and is closed at the end."""
    log = list[str]()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Mapping[str, str]]:
        log.append("open")
        yield {"pool": "the pool"}
        log.append("close")

    async def ask(request: Request) -> Response:
        return JSONResponse(request.state.pool)

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(f"{websocket.state.pool} heard {await websocket.receive_text()}")

    app = Starlette(routes=[Route("/", ask), WebSocketRoute("/talk", talk)], lifespan=lifespan)

    async def use() -> None:
        async with running(app) as (service, client):
            assert (await client.get("/readyz")).status_code == 200
            assert [(await client.get(path)).status_code for path in ("/", "/nothing")] == [200, 404]
            assert (await client.get("/")).json() == "the pool"
            events = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "this"}]
            sent = list[Message]()
            scope = {"type": "websocket", "path": "/talk", "headers": [], "query_string": b""}
            await service(scope, partial(_next, iter(events)), partial(_keep, sent))
            assert sent[-1] == {"type": "websocket.send", "text": "the pool heard this"}
            assert log == ["open"]

    asyncio.run(use())
    assert log == ["open", "close"]


async def _next(events: Iterator[Message]) -> Message:
    return next(events)


async def _keep(sent: list[Message], message: Message) -> None:
    sent.append(message)


@asynccontextmanager
async def failing(_: Starlette) -> AsyncIterator[None]:
    """Fail before the application has started."""
    int("no database")
    yield


async def raising(_: Scope, receive: Receive, _send: Send) -> None:
    """Fail after the startup event, without a word to the server."""
    message = f"no database, {(await receive())['type']}"
    raise RuntimeError(message)


async def telling(_: Scope, receive: Receive, send: Send) -> None:
    """Tell the server of a failure and wait for more events."""
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.failed", "message": "no database"})


@pytest.mark.parametrize("app", [Starlette(lifespan=failing), raising, telling])
def test_an_application_whose_start_failed_is_not_ready_and_says_why(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The process lives, so that its reason can be read; no request reaches the application."""
    ready, alive, other = answers(app, "GET /readyz", "GET /healthz", "GET /")
    assert (ready.status_code, alive.status_code, other.status_code) == (503, 200, 503)
    assert "no database" in ready.json()["reasons"][0]
    assert "no database" in caplog.text


@pytest.mark.parametrize(("status", "ready"), [(200, 200), (404, 200), (503, 503), (500, 503)])
def test_an_applications_own_readyz_counts(status: int, ready: int) -> None:
    """One that answers it with a server error is not ready; whatever else it answers, it is."""

    async def own(_: Request) -> Response:
        return Response(status_code=status)

    (answer,) = answers(Starlette(routes=[Route("/readyz", own)]), "GET /readyz")
    assert (answer.status_code, answer.json()["ready"]) == (ready, ready == 200)


def test_an_application_that_waits_until_its_client_has_gone_is_ready() -> None:
    """Its readiness is asked with a request that ends as every request does."""

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await everything(scope, receive, send)
        while (await receive())["type"] != "http.disconnect":
            pass

    (answer,) = answers(waits, "GET /readyz")
    assert answer.status_code == 200


def test_on_sigterm_it_drains_as_every_service(tmp_path: Path) -> None:
    """It is not ready first, answers what is in flight, and ends with code 0."""
    tmp_path.joinpath("plain.py").write_text(PLAIN)
    with served(tmp_path, "plain:app") as (url, process), httpx.Client() as probe:
        assert httpx.get(f"{url}/version").json()["service"] == "unknown"
        probe.get(f"{url}/readyz")
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        draining = probe.get(f"{url}/readyz")
        assert (draining.status_code, draining.json()["reasons"]) == (503, ["draining"])
        assert process.wait(20) == 0
        assert process.stdout is not None
        lines = [json.loads(line) for line in process.stdout]
    assert [line["message"] for line in lines if "message" in line] == ["started", "draining", "stopped"]

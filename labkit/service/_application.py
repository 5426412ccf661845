"""Makes a service's ASGI application: its own routes, and those that every service of the system has."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from labkit.service._adopted import Adopted
from labkit.service._client import Client, Unavailable
from labkit.service._identity import Identity
from labkit.service._middleware import RequestMiddleware
from labkit.service._registration import Registration
from labkit.service._toggles import Toggles

CHECK_TIMEOUT_S = 2.0

ReadinessCheck = Callable[[], Awaitable[object]]
"""Returns when this service can do its work, and raises when it cannot (yet)."""

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]
"""Opens what the application needs while it runs, and closes it."""


def application(
    routes: Sequence[BaseRoute],
    *,
    openapi: Path | None = None,
    checks: Sequence[ReadinessCheck] = (),
    clients: Iterable[Client] = (),
    lifespan: Lifespan | None = None,
    toggles: Collection[str] = (),
) -> Starlette:
    """Return an application that answers `routes` and /healthz, /readyz, /version and /openapi.json.

    openapi is the file with the service's contract; without it /openapi.json answers 404.

    /readyz answers 200 when no check raises within two seconds and the process is not draining
    (`app.state.draining`), else 503 with the reasons.

    With $COORDINATOR_URL set, the instance registers itself there, and is ready once it is registered.
    toggles are the names that the code gives to `toggle`. With a coordinator, the instance watches them, and
    is ready while it knows how they stand.

    clients are closed when the application ends, after `lifespan`. An error is answered as a JSON object with
    the key "error".
    """

    async def contract(_: Request) -> Response:
        if openapi is None:
            raise HTTPException(404, "this service has no OpenAPI file")
        return FileResponse(openapi, media_type="application/json")

    whole = [Route("/openapi.json", contract), *routes]
    return _service(whole, checks, clients=tuple(clients), lifespan=lifespan, toggles=toggles)


def adopted(app: ASGIApp) -> Starlette:
    """Return an application of `application` as it is, and any other ASGI application as a service.

    /healthz, /readyz and /version are answered for it, and all else is passed on, websockets too. It is not
    ready when its start failed, or when it answers /readyz itself with a server error.
    """
    if isinstance(app, Starlette) and hasattr(app.state, "draining"):
        return app
    other = Adopted(app)
    return _service([Mount("/", other)], [other.ready], lifespan=other.lifespan)


def _service(
    routes: Sequence[BaseRoute],
    checks: Sequence[ReadinessCheck],
    *,
    clients: Sequence[Client] = (),
    lifespan: Lifespan | None = None,
    toggles: Collection[str] = (),
) -> Starlette:
    """Return an application that answers the routes, and before them those that every service has."""
    identity = Identity.read()
    registration, watched = Registration.read(identity), Toggles.read(toggles, identity)
    conditions = [*checks, *([registration.registered] if registration else [])]
    conditions += [watched.toggles] if watched else []

    async def version(_: Request) -> Response:
        return JSONResponse(vars(identity))

    async def ready(request: Request) -> Response:
        if request.app.state.draining:
            return JSONResponse({"ready": False, "reasons": ["draining"]}, 503)
        reasons = [reason for reason in await asyncio.gather(*map(_reason, conditions)) if reason]
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    common = [Route("/healthz", _alive), Route("/readyz", ready), Route("/version", version)]
    app = Starlette(
        routes=[*common, *routes],
        middleware=[Middleware(RequestMiddleware, toggles=watched)],
        exception_handlers={HTTPException: _refused, Unavailable: _unavailable},
        lifespan=_whole_lifespan(clients, lifespan, registration, watched),
    )
    app.state.draining = False
    return app


async def _alive(_: Request) -> Response:
    return JSONResponse({"alive": True})


async def _reason(check: ReadinessCheck) -> str:
    """Return why a check does not pass, "" when it does."""
    try:
        await asyncio.wait_for(check(), CHECK_TIMEOUT_S)
    except Exception as error:  # noqa: BLE001 - whatever stops the check is the reason
        return f"{getattr(check, '__name__', 'check')}: {type(error).__name__} {error}".strip()
    return ""


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette's own promise, told to the type checker
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _unavailable(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503)


def _whole_lifespan(
    clients: Sequence[Client],
    lifespan: Lifespan | None,
    registration: Registration | None,
    toggles: Toggles | None,
) -> Lifespan:
    """Return the service's own lifespan within that of its registration, toggles and clients."""

    @asynccontextmanager
    async def whole(app: Starlette) -> AsyncIterator[None]:
        renewing = asyncio.create_task(registration.keep(app)) if registration else None
        opening = asyncio.create_task(toggles.watch()) if toggles else None
        try:
            if lifespan is None:
                yield
            else:
                async with lifespan(app):
                    yield
        finally:
            if registration and renewing:
                renewing.cancel()
                await registration.end()
            if toggles and opening:
                await opening  # the watcher has to exist before it can be stopped
                toggles.end()
            for client in clients:
                await client.close()

    return whole

"""Runs an application with uvicorn and drains it: first not ready, then no new connections, then the end."""

import asyncio
import signal
from types import FrameType
from typing import Any

import uvicorn

from labkit.service._application import adopted
from labkit.service._identity import Identity
from labkit.service._log import log_json_lines
from labkit.service._middleware import LOG

DRAIN_NOTICE_S = 0.3
"""For how many seconds /readyz answers 503 before the port closes: a little longer than two health checks."""

IN_FLIGHT_S = 20
KEEP_ALIVE_S = 75


class ServiceConfig(uvicorn.Config):
    """A configuration whose application is a service's, whatever ASGI application it names."""

    def load(self) -> None:
        """Import the application."""
        super().load()
        self.loaded_app = adopted(self.loaded_app)


class DrainingServer(uvicorn.Server):
    """A server that on SIGTERM becomes not ready, answers the requests in flight, and ends with code 0."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain on the first SIGTERM; any other signal, or a second one, is uvicorn's to handle."""
        # Before the start there is nothing to drain.
        if sig != signal.SIGTERM or not self.started or self.config.loaded_app.state.draining:
            super().handle_exit(sig, frame)
            return
        self.config.loaded_app.state.draining = True
        self._loop.call_soon_threadsafe(self._loop.call_later, DRAIN_NOTICE_S, self._stop)

    async def startup(self, sockets: Any = None) -> None:  # noqa: ANN401 - uvicorn's own signature
        """Remember the loop that the signal handler has to wake."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)
        LOG.info("started", extra={"fields": {"message": "started", "port": self.config.port}})

    async def shutdown(self, sockets: Any = None) -> None:  # noqa: ANN401 - uvicorn's own signature
        """Answer the requests in flight, and log the end."""
        await super().shutdown(sockets=sockets)
        LOG.info("stopped")

    def _stop(self) -> None:
        LOG.info("draining")
        self.should_exit = True


def serve(application: str, port: int) -> None:
    """Run any ASGI application, named MODULE:NAME, on a port of all addresses until it is told to end."""
    log_json_lines(Identity.read())
    config = ServiceConfig(
        application,
        host="0.0.0.0",  # noqa: S104 - a container's own address space; the balancer is its only neighbour
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=IN_FLIGHT_S,
    )
    DrainingServer(config).run()

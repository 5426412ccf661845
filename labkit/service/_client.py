"""Calls another service by its name; each call names the caller and carries the request's id and baggage."""

import asyncio
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from labkit.service._identity import Identity
from labkit.service._log import REQUEST_ID

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 5.0

BAGGAGE: ContextVar[str] = ContextVar("baggage", default="")
"""What every service passes on with the request that is being answered (W3C Baggage), "" for nothing."""

CALLER = "x-labkit-caller"
"""The header that says which service calls, as "cart/v1"; a request from outside comes without it."""


class Unavailable(Exception):
    """Another service could not be reached or did not answer in time."""


class Client:
    """A pool of connections to one service at $NAME_URL, opened when first used."""

    def __init__(self, name: str, timeout_s: float = TIMEOUT_S) -> None:
        self.name = name
        self._timeout_s = timeout_s
        self._caller = str(Identity.read())
        self._opening: asyncio.Task[httpx.AsyncClient] | None = None

    async def request(
        self, method: str, path: str, *, json: object = None, params: dict[str, str] | None = None
    ) -> "httpx.Response":
        """Send a request and return the answer, whatever its status.

        Nothing is sent twice, since only the caller knows whether a repetition is safe.

        :raises Unavailable: when the service is not reached or does not answer in time.
        """
        pool = await self._pool()
        given = {CALLER: self._caller, "x-request-id": REQUEST_ID.get(), "baggage": BAGGAGE.get()}
        headers = {name: value for name, value in given.items() if value}
        try:
            return await pool.request(method, path, json=json, params=params, headers=headers)
        except _transport_error() as error:
            message = f"{self.name} does not answer: {type(error).__name__}"
            raise Unavailable(message) from error

    async def get(self, path: str, params: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON data
        """Return the JSON of a GET request.

        :raises Unavailable: when there is no answer, or its status is not 200.
        """
        response = await self.request("GET", path, params=params)
        if response.status_code != 200:  # noqa: PLR2004 - HTTP's own word for success
            message = f"{self.name} answers {response.status_code} to GET {path}"
            raise Unavailable(message)
        return response.json()

    async def close(self) -> None:
        """Close the connections; the client opens new ones when it is used again."""
        opening, self._opening = self._opening, None
        if opening is not None:
            await (await opening).aclose()

    async def _pool(self) -> "httpx.AsyncClient":
        # A task, so that two requests at once open one pool, and a cancelled request leaves it to the others.
        if self._opening is None:
            self._opening = asyncio.create_task(asyncio.to_thread(self._open))
        return await asyncio.shield(self._opening)

    def _open(self) -> "httpx.AsyncClient":
        """Load httpx here, beside the event loop: it takes as long as the rest of a service's start."""
        import httpx  # noqa: PLC0415 - as the docstring says

        variable = f"{self.name.upper().replace('-', '_')}_URL"
        address = os.environ.get(variable, f"http://{self.name}")
        return httpx.AsyncClient(base_url=address, timeout=self._timeout_s, trust_env=False)


def client(name: str, timeout_s: float = TIMEOUT_S) -> Client:
    """Return a client of the service that the environment knows as `name`; timeout_s limits each wait."""
    return Client(name, timeout_s)


def _transport_error() -> type[Exception]:
    import httpx  # noqa: PLC0415 - loaded already when a request fails

    return httpx.TransportError

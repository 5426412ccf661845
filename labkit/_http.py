"""The one HTTP client: small requests to labkit's own containers, by the standard library alone.

It is not httpx, because services carry it too, and a request to a stub must not cost the import of a library.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any


@dataclass(frozen=True)
class Response:
    """The answer to a request: its status code and its whole body."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever the JSON is
        """Return the body as JSON data.

        :raises ConnectionError: when it is none.
        """
        try:
            return json.loads(self.body)
        except ValueError as problem:
            raise ConnectionError(str(problem)) from problem


def request(
    host: str,
    port: int,
    method: str,
    path: str,
    content: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float,
) -> Response:
    """Send one request on a connection of its own and return the answer, whatever its status.

    headers None sends none but the necessary ones. timeout_s limits the connect and each read, in seconds.

    :raises OSError: when nobody answers in time; ConnectionError when the answer is no HTTP.
    """
    with stream(host, port, method, path, content, headers, timeout_s=timeout_s) as response:
        return Response(response.status, response.read())


@contextmanager
def stream(
    host: str,
    port: int,
    method: str,
    path: str,
    content: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float,
) -> Iterator[HTTPResponse]:
    """Send one request and give its answer to be read bit by bit; see request for the errors."""
    connection = HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request(method, path, content, dict(headers or {}))
        yield connection.getresponse()
    except HTTPException as problem:
        raise ConnectionError(str(problem) or "no answer") from problem
    finally:
        connection.close()

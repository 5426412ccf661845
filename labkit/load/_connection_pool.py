"""A small fast HTTP/1.1 client: gevent sockets and httptools (llhttp). Imported in the child process only.

A request costs half of what it costs with locust's FastHttpUser, so that the generator is not the limit of a
measurement. No request is sent twice: a client that retries hides the failures that a deployment causes.
"""

import select
from collections import deque
from typing import NamedTuple
from urllib.parse import urlsplit

import gevent
import httptools
from gevent import monkey, socket

_KEPT_BYTES = 256 * 1024
_INFORMATIONAL = 200  # statuses below it come before the answer proper (RFC 9110, 15.2)
_poll = monkey.get_original("select", "poll") if hasattr(select, "poll") else None


class Response(NamedTuple):
    """The answer: its status, its version header ("" without one) and the first 256 KiB of its body."""

    status: int
    version: str
    body: bytes


class Connection:
    """One connection, which carries one request at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = httptools.HttpResponseParser(self)
        self._begin()
        if _poll:
            self._readable = _poll()
            self._readable.register(self._socket.fileno(), select.POLLIN)

    def _begin(self) -> None:
        self._done = self.reusable = self._has_length = False
        self._status, self._version, self._body = 0, "", b""

    def is_usable(self) -> bool:
        """Return whether a kept connection is still open: a closed one is readable before any request."""
        return not _poll or not self._readable.poll(0)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the headers that matter (called by the parser)."""
        name = name.lower()
        if name == b"x-labkit-version":
            self._version = value.decode("latin-1")
        elif name in {b"content-length", b"transfer-encoding"}:
            self._has_length = True

    def on_body(self, body: bytes) -> None:
        """Keep the body (called by the parser)."""
        if len(self._body) < _KEPT_BYTES:
            self._body += body

    def on_message_complete(self) -> None:
        """End the exchange (called by the parser)."""
        self._status = self._parser.get_status_code()
        # Read here, since the parser resets it right after this call.
        self.reusable = self._parser.should_keep_alive()
        self._done = self._status >= _INFORMATIONAL

    def exchange(self, message: bytes) -> Response:
        """Send a request and return its answer.

        :raises OSError: when the connection fails or ends too early.
        :raises httptools.HttpParserError: when the answer is no HTTP.
        """
        self._begin()
        self._socket.sendall(message)
        begun = False
        while not self._done:
            data = self._socket.recv(65536)
            if not data:
                self._end_by_closing(begun=begun)
                break
            begun = True
            self._parser.feed_data(data)
        return Response(self._status, self._version, self._body)

    def _end_by_closing(self, *, begun: bool) -> None:
        """Accept the end of the connection as the end of a body without a length (RFC 9112, 6.3)."""
        self._status = self._parser.get_status_code() if begun else 0
        if not self._status or self._has_length:
            message = "cut off in the answer" if begun else "closed before the answer"
            raise ConnectionError(message)
        self.reusable = False

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class ConnectionPool:
    """The kept connections to one server; the last used one is taken first."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._address = _resolve(parts.hostname or "", parts.port or 80)
        self._idle: deque[Connection] = deque()

    def call(self, message: bytes, timeout_s: float) -> Response:
        """Send a request and return its answer, within timeout_s seconds in all.

        :raises TimeoutError: when the answer takes longer.
        :raises OSError: when the connection fails or ends too early.
        :raises httptools.HttpParserError: when the answer is no HTTP.
        """
        connection = None
        with gevent.Timeout(timeout_s, TimeoutError):
            try:
                connection = self._kept() or Connection(self._address)
                return connection.exchange(message)
            finally:
                if connection and connection.reusable:
                    self._idle.append(connection)
                elif connection:
                    connection.close()

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.close()
        return None


def _resolve(host: str, port: int) -> tuple[str, int]:
    """Return the first address of a name that takes connections, so that no request looks the name up."""
    addresses = [
        (str(entry[4][0]), port) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ]
    for address in addresses[:-1]:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            continue
        return address
    return addresses[-1]

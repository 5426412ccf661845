"""One HTTP request of a load."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from labkit.errors import LabError

# HEAD is left out: its answer announces a body that never comes, which the parser (llhttp) cannot be told.
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PATH = re.compile(r"/[!-~]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2 "token"
_HEADER_VALUE = re.compile(r"[\t -~]*")


@dataclass(frozen=True)
class Request:
    """One kind of request, to the byte.

    body is bytes or text as it is sent, or a dict or list that is sent as JSON; None sends no body.

    :raises LabError: when the method, the path or a header is not allowed in an HTTP request.
    """

    method: str
    path: str
    body: bytes | str | Mapping[str, Any] | Sequence[Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the parts, and turn the body into the bytes to send."""
        if self.method not in _METHODS:
            raise LabError(
                expected="a method out of " + ", ".join(_METHODS),
                seen=repr(self.method),
                next_step="write the method in capitals",
            )
        if not _PATH.fullmatch(self.path):
            raise LabError(
                expected="a path that starts with / and holds printable ASCII",
                seen=repr(self.path),
                next_step="percent-encode all other characters",
            )
        headers = dict(self.headers)
        if not isinstance(self.body, bytes | str | None):
            headers = {"Content-Type": "application/json"} | headers
            object.__setattr__(self, "body", json.dumps(self.body))
        if isinstance(self.body, str):
            object.__setattr__(self, "body", self.body.encode())
        object.__setattr__(self, "headers", headers)
        for name, value in headers.items():
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                raise LabError(
                    expected="headers of printable ASCII",
                    seen=f"{name!r}: {value!r}",
                    next_step="remove line breaks and all characters beyond ASCII",
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the request that a text names: "GET /path", or "/path" for a GET."""
        method, _, path = text.rpartition(" ")
        return cls(method or "GET", path)

    @property
    def name(self) -> str:
        """Method and path without the query, as measurements name the request."""
        return f"{self.method} {self.path.partition('?')[0]}"

    def message(self, host: str) -> bytes:
        """Return the whole HTTP/1.1 message for a host (RFC 9112)."""
        body = self.body if isinstance(self.body, bytes) else b""
        headers = {"Host": host} | dict(self.headers)
        if body or self.method in {"POST", "PUT", "PATCH"}:
            headers["Content-Length"] = str(len(body))
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

"""What is asked for: requests, their weights, the rate of arrival."""

import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Any, Literal, Self

from labkit.errors import LabError
from labkit.load._rate import Rate

if TYPE_CHECKING:
    from labkit.load._session import Session  # it is made of requests

# HEAD is left out: its answer announces a body that never comes, which the parser (llhttp) cannot be told.
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PATH = re.compile(r"/[!-~]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2 "token"
_HEADER_VALUE = re.compile(r"[\t -~]*")


@dataclass(frozen=True)
class Request:
    """One kind of request: what is sent, to the byte.

    body is bytes or text as it stands, or a dict or list that is sent as JSON; None sends no body.
    Raises LabError when method, path or a header could not stand in an HTTP request.
    """

    method: str
    path: str
    body: bytes | str | Mapping[str, Any] | Sequence[Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check the parts and turn the body into the bytes to send."""
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
                next_step="quote the rest",
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
                    next_step="take the odd characters out",
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the request of "GET /path"; "/path" alone is a GET."""
        method, _, path = text.rpartition(" ")
        return cls(method or "GET", path)

    @property
    def name(self) -> str:
        """The request without its query, as measurements name it."""
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


@dataclass(frozen=True)
class Load:
    """A mix of requests, and of customers' sessions, that arrive at a rate.

    mix maps a `Request`, its text ("GET /items") or a `Session` to its weight; weights need not sum to one.
    rate_per_s is the mean number of arrivals a second, or a `Rate` (`ramp`, `burst`, `steps`), for duration_s
    seconds; None lasts until stopped. What arrives of a session is its first request.
    arrivals "poisson" draws the gaps as independent customers make them, "even" spaces them evenly; the same
    seed gives the same plan. An answer that takes longer than timeout_s counts as failed.
    Raises LabError when a number or the mix makes no load.
    """

    mix: Mapping["Request | Session | str", float]
    rate_per_s: float | Rate
    duration_s: float | None
    arrivals: Literal["poisson", "even"] = "poisson"
    seed: int = 1
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the numbers and parse the requests that were given as text."""
        for name in ("rate_per_s", "duration_s", "timeout_s"):
            value = getattr(self, name)
            if value is None or isinstance(value, Rate):
                continue
            if not (math.isfinite(value) and value > 0):
                raise LabError(
                    expected=f"{name} above 0",
                    seen=f"{name} = {value}",
                    next_step=f"give {name} as a positive number",
                )
        if self.arrivals not in {"poisson", "even"}:
            raise LabError(
                expected='arrivals "poisson" or "even"',
                seen=repr(self.arrivals),
                next_step="choose one of the two",
            )
        weights = list(self.mix.values())
        if not weights or min(weights) < 0 or not math.isfinite(sum(weights)) or sum(weights) == 0:
            raise LabError(
                expected="a mix of requests with weights above 0",
                seen=str(dict(self.mix)),
                next_step='for example {"GET /": 1}',
            )
        parsed = {
            Request.parse(key) if isinstance(key, str) else key: weight for key, weight in self.mix.items()
        }
        object.__setattr__(self, "mix", parsed)

    @property
    def requests(self) -> "tuple[Request | Session, ...]":
        """The requests and sessions of the mix, in its order."""
        return tuple(key for key in self.mix if not isinstance(key, str))

    @property
    def rate(self) -> Rate:
        """The rate of arrival over time."""
        return self.rate_per_s if isinstance(self.rate_per_s, Rate) else Rate(((0.0, self.rate_per_s),))

    def told(self) -> dict[str, Any]:
        """Return as JSON data what the sending process has to know beside the requests."""
        names = ("duration_s", "arrivals", "seed", "timeout_s")
        told = {name: getattr(self, name) for name in names} | {"rate_per_s": self.rate.points}
        return {"weights": list(self.mix.values()), "load": told}

    def plan(self) -> Iterator[tuple[float, int]]:
        """Yield every arrival: seconds since the start, and the place of its request in `requests`."""
        choose, gaps = random.Random(self.seed), random.Random(f"{self.seed} gaps")  # noqa: S311 - no secret, a plan
        steps = list(accumulate(self.mix.values()))
        places, end_s = range(len(steps)), math.inf if self.duration_s is None else self.duration_s
        even = chain([0.0], repeat(1.0))
        drawn = (gaps.expovariate(1.0) for _ in repeat(None))
        for at_s in self.rate.arrivals(even if self.arrivals == "even" else drawn):
            if at_s >= end_s:
                return
            yield at_s, choose.choices(places, cum_weights=steps)[0]

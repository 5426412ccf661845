"""What the sending process plays: a `Load` or a `Replay`."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from labkit.load._request import Request
from labkit.load._session import Session


class Schedule(Protocol):
    """Requests or sessions, and the time at which each of them arrives."""

    @property
    def requests(self) -> Sequence[Request | Session]:
        """The requests and sessions that arrive."""

    @property
    def timeout_s(self) -> float:
        """The seconds after which a request without an answer has failed."""

    def plan(self) -> Iterator[tuple[float, int]]:
        """Yield every arrival: seconds since the start, and the index of its request in `requests`."""

    def to_json(self) -> dict[str, Any]:
        """Return as JSON data what the sending process needs beside the requests."""

"""What the sending process plays: a `Load` or a `Replay`."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from labkit.load._request import Request


class Schedule(Protocol):
    """Requests or locust User classes, and the time at which each of them arrives."""

    @property
    def requests(self) -> Sequence[Request | type]:
        """The requests and User classes that arrive."""

    @property
    def timeout_s(self) -> float:
        """The seconds after which a request without an answer has failed."""

    def plan(self) -> Iterator[tuple[float, int]]:
        """Yield every arrival: seconds since the start, and the index of its request in `requests`."""

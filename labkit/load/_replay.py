"""Replays captured requests at the times at which they once came."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from labkit.errors import LabError
from labkit.load._apply import RunningLoad
from labkit.load._request import Request
from labkit.load._target import check_target


class CapturedRequest(Protocol):
    """What a replay needs of a captured request: `labkit.environment.Captured` is one."""

    @property
    def at_s(self) -> float:
        """When the request came, in seconds since the start of the capture."""

    @property
    def method(self) -> str:
        """The method."""

    @property
    def path(self) -> str:
        """The path, with its query."""

    @property
    def content_type(self) -> str:
        """The media type of the body, "" without one."""

    @property
    def body(self) -> str:
        """The body, "" for none."""


@dataclass(frozen=True)
class Replay:
    """Requests and their arrivals: seconds since the start, and the index of the request in `requests`.

    An answer that takes longer than timeout_s seconds is a failure.
    """

    requests: tuple[Request, ...]
    arrivals: tuple[tuple[float, int], ...]
    timeout_s: float = 10.0

    @classmethod
    def of(cls, captured: Sequence[CapturedRequest], speed: float) -> Self:
        """Return the replay of captured requests; speed 2 halves the times between them."""
        indices: dict[Request, int] = {}
        arrivals = [
            (entry.at_s / speed, indices.setdefault(_request(entry), len(indices))) for entry in captured
        ]
        return cls(tuple(indices), tuple(arrivals))

    def plan(self) -> Iterator[tuple[float, int]]:
        """Yield every arrival."""
        return iter(self.arrivals)


def replay(
    captured: Sequence[CapturedRequest] | Path, url: str, *, speed: float = 1.0, hosts: Collection[str] = ()
) -> RunningLoad:
    """Start to send captured requests, or those in a saved capture, to a URL again, and return at once.

    The requests leave at the times at which they came, divided by speed, in the same order and with the same
    bodies. url and hosts are as for `apply`.

    :raises LabError: for a target that `apply` refuses, for a speed that is not above 0, and when nothing was
        captured.
    """
    check_target(url, hosts)
    if not (math.isfinite(speed) and speed > 0):
        raise LabError("a speed above 0", f"speed = {speed}", "give 1 for the speed of the capture")
    if isinstance(captured, Path):
        # The child process imports this module too, and has no use for an engine's client.
        from labkit.environment import read_capture  # noqa: PLC0415 - see above

        captured = read_capture(captured)
    if not captured:
        raise LabError("at least one captured request", "none", "send requests to the capture's url first")
    return RunningLoad(Replay.of(captured, speed), url)


def _request(captured: CapturedRequest) -> Request:
    headers = {"Content-Type": captured.content_type} if captured.content_type else {}
    return Request(captured.method, captured.path, captured.body or None, headers)

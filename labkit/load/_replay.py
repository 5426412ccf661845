"""Replays captured requests at the times at which they once came."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from labkit.errors import LabError
from labkit.load._define import Request
from labkit.load._run import Running, check_target

if TYPE_CHECKING:
    from labkit.environment import Captured  # the child that sends does not have to load an engine's client


@dataclass(frozen=True)
class Replay:
    """Requests and their arrivals: seconds since the start, and the place of the request in `requests`.

    An answer that takes longer than timeout_s counts as failed.
    """

    requests: tuple[Request, ...]
    arrivals: tuple[tuple[float, int], ...]
    timeout_s: float = 10.0

    @classmethod
    def of(cls, captured: "Sequence[Captured]", speed: float) -> Self:
        """Return the replay of captured requests; speed 2 halves the times between them."""
        places: dict[Request, int] = {}
        arrivals = [(it.at_s / speed, places.setdefault(_request(it), len(places))) for it in captured]
        return cls(tuple(places), tuple(arrivals))

    def plan(self) -> Iterator[tuple[float, int]]:
        """Yield every arrival."""
        return iter(self.arrivals)

    def told(self) -> dict[str, Any]:
        """Return as JSON data what the sending process has to know beside the requests."""
        return {"arrivals": self.arrivals, "timeout_s": self.timeout_s}


def replay(
    captured: "Sequence[Captured] | Path", url: str, *, speed: float = 1.0, hosts: Collection[str] = ()
) -> Running:
    """Start to send captured requests, or those in a saved capture, to a URL again, and return at once.

    They leave at the times at which they came, divided by speed, in the same order and with the same bodies.
    Targets and hosts are as for `apply`. Raises LabError for another target, for a speed that is not above 0,
    and when nothing was captured.
    """
    check_target(url, hosts)
    if not (math.isfinite(speed) and speed > 0):
        raise LabError(expected="a speed above 0", seen=f"speed = {speed}", next_step="1 is as it was")
    if isinstance(captured, Path):
        from labkit.environment import read_capture  # noqa: PLC0415 - as above

        captured = read_capture(captured)
    if not captured:
        mend = "send requests to the capture's url first"
        raise LabError(expected="at least one captured request", seen="none", next_step=mend)
    return Running(Replay.of(captured, speed), url)


def _request(captured: "Captured") -> Request:
    headers = {"Content-Type": captured.content_type} if captured.content_type else {}
    return Request(captured.method, captured.path, captured.body or None, headers)

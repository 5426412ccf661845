"""The window after a deployment: watched with numbers that end it."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from labkit.deployment._fleet import UP, Fleet
from labkit.errors import LabError
from labkit.load import Measurement

_TAIL = 0.01  # the share of requests beyond the 99th percentile


class Source(Protocol):
    """Where measurements come from: a running load, for one."""

    def snapshot(self) -> Measurement:
        """Return what was measured so far."""


class Outcome(StrEnum):
    """The verdict of a watch."""

    KEPT = "kept"
    BROKEN = "broken"
    NO_EVIDENCE = "no evidence"


@dataclass(frozen=True)
class Limits:
    """What the clients may see at most: share of failed requests (0 to 1) and 99th percentile in ms."""

    error_share: float = 0.01
    p99_ms: float = 1000.0


@dataclass(frozen=True)
class Watch:
    """A verdict with its numbers; seconds is how long was watched until it was clear."""

    outcome: Outcome
    reason: str
    seconds: float
    limits: Limits
    measurement: Measurement

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        figures = self.measurement.tally.to_json()
        limits = {"error_share": self.limits.error_share, "p99_ms": self.limits.p99_ms}
        told = {"outcome": str(self.outcome), "reason": self.reason, "seconds": round(self.seconds, 3)}
        return {**told, "limits": limits, **figures, "errors": dict(self.measurement.errors)}


def watch(
    fleet: Fleet,
    source: Source,
    seconds: float,
    *,
    limits: Limits | None = None,
    interval_s: float = 0.5,
    on_sample: Callable[[Measurement], None] | None = None,
) -> Watch:
    """Watch a fleet for some seconds through what its clients measure, and say whether the limits were kept.

    The watch ends early when an instance does not take requests, or when so many requests failed or were
    slow that the limits are broken for the whole window, whatever follows at this rate. on_sample gets what
    was measured since the start, every interval_s seconds. A window without requests is no evidence.
    """
    if not seconds > 0:
        raise LabError(
            expected="a window longer than 0 s",
            seen=f"seconds = {seconds}",
            next_step="give the seconds to watch",
        )
    limits = limits or Limits()
    before, began = source.snapshot(), time.monotonic()
    while True:
        time.sleep(min(interval_s, seconds))
        watched_s = time.monotonic() - began
        now = source.snapshot()
        measurement = now.since(before)
        if on_sample:
            on_sample(measurement)
        ended = watched_s >= seconds
        share = 1.0 if ended else watched_s / seconds
        reason = _not_up(fleet) or _broken(measurement, limits, share, now)
        if reason or ended:
            return _verdict(reason, watched_s, limits, measurement)


def _verdict(reason: str, watched_s: float, limits: Limits, measurement: Measurement) -> Watch:
    if reason:
        return Watch(Outcome.BROKEN, reason, watched_s, limits, measurement)
    if not measurement.requests:
        return Watch(
            Outcome.NO_EVIDENCE, "no request was answered in the window", watched_s, limits, measurement
        )
    kept = (
        f"{measurement.failed} of {measurement.requests} requests failed "
        f"(limit {limits.error_share:.2%}), p99 {measurement.p99_ms:.1f} ms (limit {limits.p99_ms:g} ms)"
    )
    return Watch(Outcome.KEPT, kept, watched_s, limits, measurement)


def _not_up(fleet: Fleet) -> str:
    down = [f"{name} is {state}" for name, state in fleet.states.items() if state != UP]
    return ", ".join(down)


def _broken(measurement: Measurement, limits: Limits, share: float, now: Measurement) -> str:
    """Return why the limits cannot be kept any more, given the share of the window that has passed, or ""."""
    expected = measurement.requests / share
    if measurement.failed > limits.error_share * expected:
        causes = ", ".join(f"{cause} ({count})" for cause, count in measurement.errors.items())
        return f"{measurement.failed} of {measurement.requests} requests failed: {causes}"
    slow = measurement.tally.latency.count_above(limits.p99_ms) + _overdue(now, limits)
    if slow > math.floor(_TAIL * expected):
        return f"{slow} of {measurement.sent} requests took more than {limits.p99_ms:g} ms"
    return ""


def _overdue(now: Measurement, limits: Limits) -> int:
    """Return how many unanswered requests are surely slow: a server that hangs looks calm.

    Those that left within the last p99_ms are not late yet, and chance is granted four standard deviations of
    Poisson arrivals.
    """
    if not now.seconds:
        return 0
    young = now.sent / now.seconds * limits.p99_ms / 1e3
    return max(0, math.floor(now.sent - now.requests - young - 4 * math.sqrt(young) - 1))

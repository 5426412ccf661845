"""Post-deployment verification: a window after a deployment, in which what clients measure is watched."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from labkit.deployment._fleet import UP, Fleet
from labkit.errors import LabError
from labkit.load import Measurement

OBJECTIVE = 0.01
"""The share of failed requests that a version may have."""

_NOBODY = "no request was answered meanwhile"
_TAIL = 0.01  # the share of requests beyond the 99th percentile


class MeasurementSource(Protocol):
    """Where measurements come from, for example a running load."""

    def snapshot(self) -> Measurement:
        """Return what was measured from the beginning until now."""


class WatchOutcome(StrEnum):
    """Whether the limits were kept; nothing seen is neither."""

    KEPT = "kept"
    BROKEN = "broken"
    NO_EVIDENCE = "no evidence"


class Judge(ABC):
    """A health that judges what clients measure, and can say that it saw nothing to judge."""

    @abstractmethod
    def __call__(self) -> str:
        """Look, and return why the new version is to be withdrawn; "" means that it may go on."""

    @property
    @abstractmethod
    def missing(self) -> str:
        """Why there is no evidence, as of the last call; "" when there is."""

    def outcome(self) -> WatchOutcome:
        """Look once more and return the outcome."""
        if self():
            return WatchOutcome.BROKEN
        return WatchOutcome.NO_EVIDENCE if self.missing else WatchOutcome.KEPT


@dataclass(frozen=True)
class WatchLimits:
    """The most that clients may measure: share of failed requests (0 to 1) and 99th percentile in ms."""

    error_share: float = OBJECTIVE
    p99_ms: float = 1000.0


@dataclass(frozen=True)
class WatchResult:
    """The outcome of a watch with its numbers; seconds is how long the watch took."""

    outcome: WatchOutcome
    reason: str
    seconds: float
    limits: WatchLimits
    measurement: Measurement

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        figures = self.measurement.tally.to_json()
        limits = {"error_share": self.limits.error_share, "p99_ms": self.limits.p99_ms}
        fields = {"outcome": str(self.outcome), "reason": self.reason, "seconds": round(self.seconds, 3)}
        return {**fields, "limits": limits, **figures, "errors": dict(self.measurement.errors)}


def watch(
    fleet: Fleet,
    source: MeasurementSource,
    seconds: float,
    *,
    limits: WatchLimits | None = None,
    interval_s: float = 0.5,
    on_sample: Callable[[Measurement], None] | None = None,
) -> WatchResult:
    """Watch a fleet for some seconds through what its clients measure, and return whether limits were kept.

    The watch ends early when an instance does not take requests. It also ends early when so many requests
    failed or were slow that the whole window breaks the limits if the rate stays the same. limits None means
    `WatchLimits()`. on_sample gets what was measured since the start, every interval_s seconds; None means
    nobody. A window without requests is no evidence.

    :raises LabError: when seconds is not above 0.
    """
    if not seconds > 0:
        raise LabError(
            expected="a window longer than 0 s",
            seen=f"seconds = {seconds}",
            next_step="give the seconds to watch",
        )
    limits = limits or WatchLimits()
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
            return _result(reason, watched_s, limits, measurement)


def within_limits(source: MeasurementSource, limits: WatchLimits) -> Judge:
    """Return a `health` for a deployment that asks whether clients measure, from now on, within the limits.

    It returns "" while they do, else what they measured instead.
    """
    return _WithinLimits(source, limits)


class _WithinLimits(Judge):
    def __init__(self, source: MeasurementSource, limits: WatchLimits) -> None:
        self._source, self._limits, self._before = source, limits, source.snapshot()
        self._measured = Measurement()

    @property
    def missing(self) -> str:
        """Why there is no evidence; "" when a request was answered."""
        return "" if self._measured.requests else f"{WatchOutcome.NO_EVIDENCE}: {_NOBODY}"

    def __call__(self) -> str:
        """Return what clients measured instead of what they may."""
        now = self._source.snapshot()
        self._measured = now.since(self._before)
        return _broken(self._measured, self._limits, 1.0, now)


def _result(reason: str, watched_s: float, limits: WatchLimits, measurement: Measurement) -> WatchResult:
    if reason:
        return WatchResult(WatchOutcome.BROKEN, reason, watched_s, limits, measurement)
    if not measurement.requests:
        return WatchResult(WatchOutcome.NO_EVIDENCE, _NOBODY, watched_s, limits, measurement)
    kept = (
        f"{measurement.failed} of {measurement.requests} requests failed "
        f"(limit {limits.error_share:.2%}), p99 {measurement.p99_ms:.1f} ms (limit {limits.p99_ms:g} ms)"
    )
    return WatchResult(WatchOutcome.KEPT, kept, watched_s, limits, measurement)


def _not_up(fleet: Fleet) -> str:
    down = [f"{name} is {state}" for name, state in fleet.states.items() if state != UP]
    return ", ".join(down)


def _broken(measurement: Measurement, limits: WatchLimits, share: float, now: Measurement) -> str:
    """Return why the limits cannot be kept any more; "" while they can.

    share (0 to 1) is the part of the window that has passed.
    """
    expected = measurement.requests / share
    if measurement.failed > limits.error_share * expected:
        return f"{measurement.failed} of {measurement.requests} requests failed: {measurement.failures}"
    slow = measurement.tally.latency.count_above(limits.p99_ms) + overdue(now, limits.p99_ms)
    if slow > math.floor(_TAIL * expected):
        return f"{slow} of {measurement.sent} requests took more than {limits.p99_ms:g} ms"
    return ""


def overdue(now: Measurement, limit_ms: float) -> int:
    """Return how many requests have certainly waited for their answer longer than limit_ms.

    A server that hangs answers nothing, so its slow requests show in no latency. Requests that left within
    the last limit_ms are not late yet. Arrivals are a Poisson process, whose variance is its mean; four
    standard deviations are allowed for chance.
    """
    if not now.seconds:
        return 0
    young = now.sent / now.seconds * limit_ms / 1e3
    return max(0, math.floor(now.sent - now.requests - young - 4 * math.sqrt(young) - 1))

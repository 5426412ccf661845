"""What the clients measured: answers, failures and latencies, in all and by second, version and request."""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from labkit.load._histogram import Histogram

_NAMED = 3
"""How many requests the words for failures name."""


class Key(NamedTuple):
    """Where an answer is counted: second of its planned time, answering version ("" for none), request."""

    second: int
    version: str
    request: str


class Recent(NamedTuple):
    """One of the last answers; mixed is whether another version had answered its user before."""

    version: str
    failed: bool
    mixed: bool = False


class Figures(ABC):
    """The figures of some answers; NaN where there are no answers."""

    @property
    @abstractmethod
    def tally(self) -> "Tally":
        """The counted answers."""

    @property
    def error_share(self) -> float:
        """The share of requests that failed, 0 to 1."""
        return self.tally.failed / self.tally.requests if self.tally.requests else math.nan

    def quantile(self, share: float) -> float:
        """Return the latency in ms that this share (0 to 1) of the requests did not exceed."""
        return self.tally.latency.quantile(share)

    @property
    def p50_ms(self) -> float:
        """The median latency."""
        return self.quantile(0.50)

    @property
    def p90_ms(self) -> float:
        """The 90th percentile of latency."""
        return self.quantile(0.90)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of latency."""
        return self.quantile(0.99)

    @property
    def max_ms(self) -> float:
        """The longest latency."""
        return self.quantile(1.0)


@dataclass(frozen=True)
class Tally(Figures):
    """Some answers: how many, how many of them failed, and their latencies.

    Latency counts from the planned time of the request, in ms; a failed request counts with the time until it
    failed. Figures without answers are NaN.
    """

    requests: int = 0
    failed: int = 0
    latency: Histogram = field(default_factory=Histogram, repr=False)

    @property
    def tally(self) -> "Tally":
        """Itself."""
        return self

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.requests + other.requests, self.failed + other.failed, self.latency + other.latency)

    def __sub__(self, earlier: "Tally") -> "Tally":
        return Tally(
            self.requests - earlier.requests, self.failed - earlier.failed, self.latency - earlier.latency
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON data; None for a figure without a value."""
        figures = {name: getattr(self, name) for name in ("p50_ms", "p90_ms", "p99_ms", "max_ms")}
        latencies = {name: None if math.isnan(value) else round(value, 3) for name, value in figures.items()}
        return {"requests": self.requests, "failed": self.failed, **latencies}


@dataclass(frozen=True)
class Failure:
    """One failed request, kept as an example of its cause; at_s is its planned time since the start."""

    at_s: float
    request: str
    cause: str
    version: str
    detail: str


def _sum(tallies: Iterable[Tally]) -> Tally:
    requests, failed, counts = 0, 0, dict[int, int]()
    for tally in tallies:
        requests, failed = requests + tally.requests, failed + tally.failed
        for edge, count in tally.latency.counts.items():
            counts[edge] = counts.get(edge, 0) + count
    return Tally(requests, failed, Histogram(counts))


@dataclass(frozen=True)
class Measurement(Figures):
    """The state of a load at one moment, or its result.

    seconds counts since the first planned request. began is its time in seconds of `time.time()`, None before
    it. sent is the number of requests that left, of which `sent - requests` have no answer yet. tallies holds
    the answers by `Key`. errors counts the failures by cause; examples keeps a few of each cause. outcomes
    counts how users' visits ended (`outcome`). last_failure is the time of the last failure as began is, None
    without a failure. recent holds the last answers, oldest first.

    scheduling_lag holds how long after its planned time each request left; the requests of users who stay
    have none, and a timer's lateness stands for it. When its p99 nears the latencies, the generator was the
    limit, not the server. sent counts these users' requests when they are answered.
    """

    seconds: float = 0.0
    began: float | None = None
    sent: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Failure, ...] = ()
    scheduling_lag: Histogram = field(default_factory=Histogram, repr=False)
    tallies: Mapping[Key, Tally] = field(default_factory=dict, repr=False)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    last_failure: float | None = None
    recent: tuple[Recent, ...] = field(default=(), repr=False)

    @cached_property
    def tally(self) -> Tally:
        """All answers together."""
        return _sum(self.tallies.values())

    @property
    def requests(self) -> int:
        """Requests that were answered or failed."""
        return self.tally.requests

    @property
    def failed(self) -> int:
        """Requests that failed: a status of 400 or more, a broken connection, a time-out."""
        return self.tally.failed

    @property
    def scheduling_lag_p99_ms(self) -> float:
        """The 99th percentile of the scheduling lag; NaN before the first request."""
        return self.scheduling_lag.quantile(0.99)

    @cached_property
    def by_second(self) -> tuple[Tally, ...]:
        """One tally a second since the start, by planned time."""
        last = max((key.second for key in self.tallies), default=-1)
        seconds: list[list[Tally]] = [[] for _ in range(last + 1)]
        for key, tally in self.tallies.items():
            seconds[key.second].append(tally)
        return tuple(map(_sum, seconds))

    @cached_property
    def by_version(self) -> dict[str, Tally]:
        """One tally a version by the load balancer's X-Labkit-Version header.

        "" holds what has no version: a broken connection, a time-out, an answer of the balancer's own.
        """
        return {
            name: _sum(tally for key, tally in self.tallies.items() if key.version == name)
            for name in self._names(1)
        }

    @cached_property
    def by_request(self) -> dict[str, Tally]:
        """One tally a request, named "METHOD /path"; "TASK Class" has the exceptions of users' tasks."""
        return {
            name: _sum(tally for key, tally in self.tallies.items() if key.request == name)
            for name in self._names(2)
        }

    @property
    def failures(self) -> str:
        """The failures in words: how many of each cause, and of each request; "" when there is none."""
        causes = ", ".join(f"{cause} ({count})" for cause, count in self.errors.items() if count)
        failed = {name: tally.failed for name, tally in self.by_request.items() if tally.failed}
        most = sorted(failed, key=lambda name: -failed[name])[:_NAMED]
        requests = ", ".join(f"{name} ({failed[name]})" for name in most)
        more = f" and {len(failed) - len(most)} more" if len(failed) > len(most) else ""
        return f"{causes}; of {requests}{more}" if failed else causes

    def _names(self, field: int) -> list[str]:
        return sorted({str(key[field]) for key in self.tallies})

    def since(self, earlier: "Measurement") -> "Measurement":
        """Return what was added after an earlier snapshot of the same load."""
        tallies = {key: tally - earlier.tallies.get(key, Tally()) for key, tally in self.tallies.items()}
        errors = {cause: count - earlier.errors.get(cause, 0) for cause, count in self.errors.items()}
        return replace(
            self,
            seconds=self.seconds - earlier.seconds,
            sent=self.sent - earlier.sent,
            errors={cause: count for cause, count in errors.items() if count},
            examples=tuple(failure for failure in self.examples if failure not in earlier.examples),
            scheduling_lag=self.scheduling_lag - earlier.scheduling_lag,
            tallies={key: tally for key, tally in tallies.items() if tally.requests},
            outcomes=Counter(self.outcomes) - Counter(earlier.outcomes),
            last_failure=self.last_failure if self.failed > earlier.failed else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return every figure as JSON data, for the artifact database and the widgets."""
        lag_ms = self.scheduling_lag_p99_ms
        return {
            **self.tally.to_json(),
            "seconds": round(self.seconds, 3),
            "sent": self.sent,
            "scheduling_lag_p99_ms": None if math.isnan(lag_ms) else round(lag_ms, 3),
            "errors": dict(self.errors),
            "outcomes": dict(self.outcomes),
            "last_failure": self.last_failure,
            "examples": [asdict(failure) for failure in self.examples],
            "by_second": [tally.to_json() for tally in self.by_second],
            "by_version": {name: tally.to_json() for name, tally in self.by_version.items()},
            "by_request": {name: tally.to_json() for name, tally in self.by_request.items()},
        }

    def __repr__(self) -> str:
        """Return one line with the main figures."""
        versions = ", ".join(
            f"{name or 'unknown'} {tally.requests}" for name, tally in self.by_version.items()
        )
        return (
            f"{self.requests} requests, {self.failed} failed, p50 {self.p50_ms:.1f} p99 {self.p99_ms:.1f} "
            f"max {self.max_ms:.1f} ms, scheduling lag p99 {self.scheduling_lag_p99_ms:.1f} ms; "
            f"versions: {versions or 'none'}"
        )

"""The child's recorder: every answer is recorded once; the feed takes what was added since the last time."""

from collections import Counter, deque
from dataclasses import asdict
from time import perf_counter, time
from typing import Any

from labkit.load._histogram import lower_edge
from labkit.load._measurement import Failure, Key, Recent

FAILED = 400
"""The lowest status that is a failure."""

_EXAMPLES = 3  # of each cause
RECENT = 200


class _TallyBucket:
    """Counts of one key since the feed last took them; latency counts by the edges of `lower_edge`."""

    __slots__ = ("failed", "latency", "requests")

    def __init__(self) -> None:
        self.requests = self.failed = 0
        self.latency: dict[int, int] = {}


class Recorder:
    """Counts answers by `Key`, scheduling lags, causes of failures, and how visits ended.

    It counts in plain dictionaries, not in Tally and Histogram: recording must cost little beside a request.
    """

    def __init__(self) -> None:
        self.start_s: float | None = None  # of perf_counter; None before the load starts
        self.sent = 0
        self._buckets: dict[Key, _TallyBucket] = {}
        self._lag: dict[int, int] = {}
        self._errors: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()  # of the whole load, to limit the examples
        self._examples: list[Failure] = []
        self._outcomes: Counter[str] = Counter()
        self._last_failure: float | None = None
        self._recent: deque[Recent] = deque(maxlen=RECENT)

    def seconds(self) -> float:
        """Return the seconds since the start, 0 before it."""
        return 0.0 if self.start_s is None else max(0.0, perf_counter() - self.start_s)

    def request(self, lag_s: float) -> None:
        """Record that a request left, lag_s seconds after its planned time."""
        self.sent += 1
        self.lag(lag_s)

    def lag(self, lag_s: float) -> None:
        """Record that the generator did something lag_s seconds after its planned time."""
        edge = lower_edge(int(lag_s * 1e6))
        self._lag[edge] = self._lag.get(edge, 0) + 1

    def answer(
        self, key: Key, latency_ms: float | None, failure: Failure | None, *, mixed: bool = False
    ) -> None:
        """Record an answer, or a failure; latency_ms None is for what has none. mixed is as in Recent."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _TallyBucket()
        bucket.requests += 1
        self._recent.append(Recent(key.version, failure is not None, mixed))
        if latency_ms is not None:
            edge = lower_edge(int(latency_ms * 1e3))
            bucket.latency[edge] = bucket.latency.get(edge, 0) + 1
        if failure:
            bucket.failed += 1
            self._last_failure = time()
            self._errors[failure.cause] += 1
            self._causes[failure.cause] += 1
            if self._causes[failure.cause] <= _EXAMPLES:
                self._examples.append(failure)

    def outcome(self, value: str) -> None:
        """Record how a user's visit ended."""
        self._outcomes[value] += 1

    def take(self) -> dict[str, Any]:
        """Return what was recorded since the last call, as JSON data."""
        buckets, self._buckets = self._buckets, {}
        lag, self._lag = self._lag, {}
        errors, self._errors = self._errors, Counter()
        examples, self._examples = self._examples, []
        outcomes, self._outcomes = self._outcomes, Counter()
        return {
            "seconds": self.seconds(),
            "began": None if self.start_s is None else time() - self.seconds(),
            "sent": self.sent,
            "tallies": [
                [*key, bucket.requests, bucket.failed, [*bucket.latency.items()]]
                for key, bucket in buckets.items()
            ],
            "scheduling_lag": [*lag.items()],
            "errors": errors,
            "outcomes": outcomes,
            "last_failure": self._last_failure,
            "recent": list(self._recent),
            "examples": [asdict(failure) for failure in examples],
        }

"""Evidence that a new version fails, or is slow, more often than the others."""

from labkit.deployment._watch import MeasurementSource
from labkit.experiment import Counts, SequentialTest
from labkit.load import Measurement, Tally


class Evidence:
    """Called again and again, returns why a version is to be withdrawn; "" while nothing speaks against it.

    It withdraws one of two equal versions with a probability of at most alpha, however often and however long
    it is called: see `labkit.experiment.SequentialTest`. It counts from its first call on what the clients
    measured while both versions served. version is the name that the instances give. It counts the requests
    that failed; with slow_ms, in milliseconds, those that took longer instead, whether they failed or not.
    """

    def __init__(
        self, source: MeasurementSource, version: str, *, slow_ms: float | None = None, alpha: float = 0.01
    ) -> None:
        self._source, self._version, self._slow_ms = source, version, slow_ms
        self._test = SequentialTest(alpha)
        self._start: tuple[Counts, Counts] | None = None

    @property
    def e_value(self) -> float:
        """The evidence so far, as an e-value: 1 is none."""
        return self._test.e_value

    @property
    def threshold(self) -> float:
        """The evidence from which on the version is withdrawn."""
        return self._test.threshold

    def __call__(self) -> str:
        """Count once more and return the reason, or ""."""
        old, new = self._counts(self._source.snapshot())
        if self._start is None:
            self._start = (old, new)
        old, new = old - self._start[0], new - self._start[1]
        self._test.look(old, new)
        if not self._test.decided:
            return ""
        what = "failed" if self._slow_ms is None else f"took longer than {self._slow_ms:g} ms"
        return (
            f"{new.hits} of {new.trials} requests to {self._version} {what}, "
            f"{old.hits} of {old.trials} to the others "
            f"(evidence {self.e_value:.0f}, threshold {self.threshold:.0f})"
        )

    def _counts(self, measured: Measurement) -> tuple[Counts, Counts]:
        """Return the counts of all other versions, and those of the new one."""
        counts = {
            version: Counts(tally.requests, self._hits(tally))
            for version, tally in measured.by_version.items()
        }
        new = counts.pop(self._version, Counts(0, 0))
        others = counts.values()
        return Counts(sum(count.trials for count in others), sum(count.hits for count in others)), new

    def _hits(self, tally: Tally) -> int:
        return tally.failed if self._slow_ms is None else tally.latency.count_above(self._slow_ms)

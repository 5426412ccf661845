"""The judge of a new version: evidence that it fails, or is slow, more often than the others."""

from labkit.deployment._watch import Source
from labkit.experiment import Counts, SequentialTest
from labkit.load import Measurement, Tally


class Evidence:
    """Asked again and again, says why a version is to be withdrawn, "" while nothing speaks against it.

    Of versions that are equal it withdraws one with a probability of at most alpha, however often and however
    long it is asked: see `labkit.experiment.SequentialTest`. It counts from the first time on, from what
    clients measured while both versions served; version is as the instances name it. Counted are the requests
    that failed, or with slow_ms those that took longer than this, failed or not.
    """

    def __init__(
        self, source: Source, version: str, *, slow_ms: float | None = None, alpha: float = 0.01
    ) -> None:
        self._source, self._version, self._slow_ms = source, version, slow_ms
        self._test = SequentialTest(alpha)
        self._start: tuple[Counts, Counts] | None = None

    @property
    def e_value(self) -> float:
        """The evidence so far: 1 is none."""
        return self._test.e_value

    @property
    def threshold(self) -> float:
        """The evidence from which on the version is withdrawn."""
        return self._test.threshold

    def __call__(self) -> str:
        """Look once more."""
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
        found = {
            version: Counts(tally.requests, self._hits(tally))
            for version, tally in measured.by_version.items()
        }
        new = found.pop(self._version, Counts(0, 0))
        others = found.values()
        return Counts(sum(it.trials for it in others), sum(it.hits for it in others)), new

    def _hits(self, tally: Tally) -> int:
        return tally.failed if self._slow_ms is None else tally.latency.count_above(self._slow_ms)

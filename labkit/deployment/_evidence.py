"""Evidence that a new version fails, or is slow, more often than the others."""

import threading

from labkit.deployment._watch import OBJECTIVE, Judge, MeasurementSource, overdue
from labkit.experiment import Counts, SequentialTest
from labkit.load import Measurement, Tally

NONE = Counts(0, 0)
SERVING_S = 2
"""The versions that answered in the last so many seconds before the deployment served then."""

HANGING_MS = 5000.0
"""A request that waits longer for its answer hangs, unless slow_ms says otherwise."""


class Evidence(Judge):
    """Called again and again, returns why a version is to be withdrawn; "" while nothing speaks against it.

    version is the name that the load balancer stamps on the answers. It counts from its making on, so make it
    before the deployment. It counts the requests that failed; with slow_ms, in milliseconds, those that took
    longer instead, whether they failed or not.

    The version is compared with the others that serve at the same time. Where none does, because everybody is
    on the canary or after a switch, it is compared with the share that they may have had, as far as was seen
    before, or with the objective if that is more: the share of such requests (0 to 1) that any version may
    have. With the objective None, that is no evidence. Requests that hang, or fail without an answer of any
    version, are counted apart. They speak against the version when they are more than before it came.

    It withdraws one of two equal versions with a probability of at most alpha, however often and however long
    it is called: see `labkit.experiment.SequentialTest`.
    """

    def __init__(
        self,
        source: MeasurementSource,
        version: str,
        *,
        slow_ms: float | None = None,
        alpha: float = 0.01,
        objective: float | None = OBJECTIVE,
    ) -> None:
        self._source, self._version, self._slow_ms, self._objective = source, version, slow_ms, objective
        self._test = SequentialTest(alpha, objective=objective)
        # A tenth of alpha is enough, because hardly any request has no answer while nothing is wrong.
        self._test_lost = SequentialTest(alpha / 10, objective=objective or OBJECTIVE)
        self._counting = threading.Lock()
        before = source.snapshot()
        self._uncompared = self._counted_uncompared(before)
        self._old, self._new = self._before, _ = self._counts(before)
        self._lost = self._lost_before = self._count_lost(before)
        self._test.look(self._old, self._new)
        self._test_lost.look(self._lost, NONE)

    @property
    def e_value(self) -> float:
        """The evidence so far, as an e-value: 1 is none."""
        return self._test.e_value

    @property
    def threshold(self) -> float:
        """The evidence from which on the version is withdrawn."""
        return self._test.threshold

    @property
    def missing(self) -> str:
        """Why there is no evidence, as of the last call; "" when there is."""
        if not self._new.trials:
            return f"no evidence: no request to {self._version} was seen"
        if self._objective is None and self._old == self._before:
            return f"no evidence: no request was seen to compare those to {self._version} with"
        return ""

    def __call__(self) -> str:
        """Count once more and return the reason, or ""; a board may ask beside the deployment."""
        with self._counting:
            return self._count()

    def _count(self) -> str:
        measured = self._source.snapshot()
        self._old, self._new = self._counts(measured)
        lost = self._count_lost(measured)
        # One that hangs may be answered in the end: it was late all the same.
        self._lost = Counts(max(lost.trials, self._lost.trials), max(lost.hits, self._lost.hits))
        self._test.look(self._old, self._new)
        self._test_lost.look(self._lost_before, self._lost - self._lost_before)
        if self._test.decided:
            return self._worse()
        if self._test_lost.decided:
            since = self._lost - self._lost_before
            return f"{since.hits} of {since.trials} requests hang or failed without an answer of any version"
        return ""

    def _worse(self) -> str:
        what = "failed" if self._slow_ms is None else f"took longer than {self._slow_ms:g} ms"
        beside = self._old - self._before
        if beside.trials:
            than = f"{beside.hits} of {beside.trials} to the others"
        elif self._before.trials:
            than = f"{self._before.hits} of {self._before.trials} to the others before"
        else:
            than = f"the objective is {self._objective:.2%}"
        return (
            f"{self._new.hits} of {self._new.trials} requests to {self._version} {what}, {than} "
            f"(evidence {self.e_value:.0f}, threshold {self.threshold:.0f})"
        )

    def _counted_uncompared(self, before: Measurement) -> dict[str, Counts]:
        """Return what was counted of the new version already, and of versions that served no more."""
        newest = max((key.second for key in before.tallies), default=0)
        serving = {key.version for key in before.tallies if key.second > newest - SERVING_S}
        return {
            version: Counts(tally.requests, self._hits(tally))
            for version, tally in before.by_version.items()
            if version not in serving - {self._version}
        }

    def _counts(self, measured: Measurement) -> tuple[Counts, Counts]:
        """Return the counts of all other versions, and those of the new one."""
        counts = {
            version: Counts(tally.requests, self._hits(tally)) - self._uncompared.get(version, NONE)
            for version, tally in measured.by_version.items()
            if version
        }
        new = counts.pop(self._version, NONE)
        others = counts.values()
        return Counts(sum(count.trials for count in others), sum(count.hits for count in others)), new

    def _count_lost(self, measured: Measurement) -> Counts:
        """Return the counts of all requests, of which those are hits that no version has answered in time."""
        late = overdue(measured, self._slow_ms or HANGING_MS)
        unanswered = measured.by_version.get("", Tally()).failed
        return Counts(measured.requests + late, unanswered + late)

    def _hits(self, tally: Tally) -> int:
        return tally.failed if self._slow_ms is None else tally.latency.count_above(self._slow_ms)

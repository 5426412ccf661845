"""Evidence that one of two versions has more hits (errors, purchases), valid at every look.

Source: R. J. Turner, A. Ly, P. D. Grünwald, "Generic E-Variables for Exact Sequential k-Sample Tests" (2024):
in each block of trials, the likelihood under the shares estimated before it, divided by the likelihood under
one common share. Under equal shares the product is a martingale of mean 1. So by Ville's inequality the
probability that it exceeds 1 / alpha at any look is at most alpha, however many looks there are.

A block with trials of the new version only has nobody beside it. Its likelihood is divided by that under a
fixed share, which the new version may have: the same martingale, for one sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from labkit.errors import LabError

PRIOR = 0.18
"""Hits, and as many misses, that each version is credited with before the first trial (Turner et al.)."""

Z = NormalDist().inv_cdf(0.995)
"""How sure the limit is below which an old version's true share lies, in standard deviations."""

MARGIN = 0.1
"""So far above the measured share that limit may lie: a short history would else excuse anything."""

LARGEST_LOG = 700.0
"""A greater logarithm would overflow a float."""

Array = NDArray[Any]
Side = Literal["greater", "either"]


@dataclass(frozen=True)
class Counts:
    """The counts of one version: trials, and how many of them were hits.

    :raises LabError: for hits below 0 or above trials.
    """

    trials: int
    hits: int

    def __post_init__(self) -> None:
        """Check the counts."""
        if not 0 <= self.hits <= self.trials:
            seen = f"{self.hits} hits of {self.trials} trials"
            raise LabError("0 ≤ hits ≤ trials", seen, "give the hits among these trials, from the beginning")

    def __sub__(self, other: Self) -> "Counts":
        """Return what was counted since an earlier count."""
        return Counts(self.trials - other.trials, self.hits - other.hits)


class SequentialTest:
    """Tests at every look whether the share of hits of the new version differs from that of the old one.

    side "greater" tests only whether the new share is greater, as for errors; side "either" tests for a
    difference in either direction. alpha is the greatest probability of a false alarm: that of two equal
    versions the test decides at any look that they differ.

    objective is a share of hits that the new version may have. At a look at which only the new version was
    tried, its trials are compared with the share that the old one may have, by its trials before, or with the
    objective if that is more. None compares nothing then.

    :raises LabError: for an alpha or an objective that does not lie between 0 and 1.
    """

    def __init__(
        self, alpha: float = 0.01, side: Side = "greater", *, objective: float | None = None
    ) -> None:
        if not 0 < alpha < 1:
            raise LabError("alpha between 0 and 1", str(alpha), "give 0.01 for one false alarm in a hundred")
        if objective is not None and not 0 < objective < 1:
            raise LabError("an objective between 0 and 1", str(objective), "give 0.01 for one in a hundred")
        self.alpha, self._side, self._objective = alpha, side, objective
        self._old = self._new = Counts(0, 0)
        self._log = 0.0

    @property
    def e_value(self) -> float:
        """The evidence for a difference: how many times likelier it makes the counts; 1 is no evidence."""
        return float(np.exp(min(self._log, LARGEST_LOG)))

    @property
    def threshold(self) -> float:
        """The e-value from which on the test is decided: 1 / alpha."""
        return 1 / self.alpha

    @property
    def decided(self) -> bool:
        """Return whether the evidence reaches the threshold now; further counts may take it below again."""
        return self.e_value >= self.threshold

    def look(self, old: Counts, new: Counts) -> float:
        """Add the counts of both versions, from the beginning until now; return the e-value.

        :raises LabError: when a count is less than at the look before.
        """
        block = (new - self._new, old - self._old)
        if self._objective is not None and not block[1].trials:
            self._log += _log_alone(self._new, block[0], _allowed(self._old, self._objective))
        else:
            self._log += float(_log_factor(self._new, self._old, block[0], block[1], self._side))
        self._old, self._new = old, new
        return self.e_value


def _allowed(old: Counts, objective: float) -> float:
    """Return the share that a version may have which is as good as the old one, or keeps the objective.

    That is the upper confidence limit of the old share by the score method (E. B. Wilson, 1927), but at most
    MARGIN above what was measured.
    """
    if not old.trials:
        return objective
    share, z2 = old.hits / old.trials, Z * Z / old.trials
    spread = Z * math.sqrt((share * (1 - share) + z2 / 4) / old.trials)
    limit = (share + z2 / 2 + spread) / (1 + z2)
    return max(objective, min(limit, share + MARGIN))


def _log_alone(new: Counts, block: Counts, allowed: float) -> float:
    """Return the logarithm of the e-value of a block that has trials of the new version only."""
    share = (new.hits + PRIOR) / (new.trials + 2 * PRIOR)
    if share <= allowed:
        return 0.0
    misses = block.trials - block.hits
    return block.hits * math.log(share / allowed) + misses * math.log((1 - share) / (1 - allowed))


def _log_factor(new: Counts, old: Counts, more_new: Counts, more_old: Counts, side: Side) -> Array:
    before = (new.hits, new.trials, old.hits, old.trials)
    block = (more_new.hits, more_new.trials, more_old.hits, more_old.trials)
    return _log_factors(before, block, side)


def _log_factors(before: Sequence[Any], block: Sequence[Any], side: Side) -> Array:
    """Return the logarithm of a block's e-value, of numbers or of arrays of them."""
    hits_n, trials_n, hits_o, trials_o = (np.asarray(counts, float) for counts in block)
    p_n = (before[0] + PRIOR) / (before[1] + 2 * PRIOR)
    p_o = (before[2] + PRIOR) / (before[3] + 2 * PRIOR)
    common = (trials_n * p_n + trials_o * p_o) / np.maximum(trials_n + trials_o, 1)
    # A block with trials of one version only compares nothing.
    informative = (trials_n > 0) & (trials_o > 0)
    if side == "greater":
        informative &= p_n > p_o
    with np.errstate(divide="ignore", invalid="ignore"):
        log = _log(hits_n, trials_n, p_n, common) + _log(hits_o, trials_o, p_o, common)
    return np.where(informative, log, 0.0)


def _log(hits: Array, trials: Array, share: Array, common: Array) -> Array:
    log: Array = hits * np.log(share / common) + (trials - hits) * np.log((1 - share) / (1 - common))
    return log


def e_values(
    old_trials: Array, old_hits: Array, new_trials: Array, new_hits: Array, *, side: Side = "greater"
) -> Array:
    """Return the e-value at each look of many experiments at once, for simulations.

    The four arrays and the result have the shape (experiments, looks). The arrays hold the counts since the
    look before.
    """

    def before(counted: Array) -> Array:
        return np.cumsum(counted, axis=1) - counted

    order = (new_hits, new_trials, old_hits, old_trials)
    logs = _log_factors([before(counted) for counted in order], order, side)
    evidence: Array = np.exp(np.minimum(np.cumsum(logs, axis=1), LARGEST_LOG))
    return evidence

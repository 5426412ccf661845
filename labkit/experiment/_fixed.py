"""For experiments with a single look, at the end: their size, and the usual test of two shares."""

import math
from statistics import NormalDist

from labkit.errors import LabError
from labkit.experiment._evidence import Counts


def sample_size(share: float, other: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many trials each of two versions needs to find the difference of two shares of hits.

    alpha is the probability of finding a difference where there is none, power that of finding this one.
    Source: J. Cohen, Statistical Power Analysis (1988), chapter 6: effect size h of two arcsines.

    :raises LabError: for shares outside 0 to 1, and for equal shares, between which there is nothing to find.
    """
    if share == other or not (0 <= share <= 1 and 0 <= other <= 1):
        raise LabError("two different shares from 0 to 1", f"{share} and {other}", "such as 0.05 and 0.06")
    effect = 2 * abs(math.asin(math.sqrt(share)) - math.asin(math.sqrt(other)))
    beyond = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
    return math.ceil(2 * (beyond / effect) ** 2)


def p_value(old: Counts, new: Counts) -> float:
    """Return the two-sided p-value of the pooled z-test of two shares; 1 without trials or hits.

    The p-value is valid for one planned look. Many looks, up to the first small p-value, give far more false
    alarms than it says.
    """
    trials = old.trials + new.trials
    if not (old.trials and new.trials):
        return 1.0
    pooled = (old.hits + new.hits) / trials
    spread = math.sqrt(pooled * (1 - pooled) * (1 / old.trials + 1 / new.trials))
    if not spread:
        return 1.0
    z = (new.hits / new.trials - old.hits / old.trials) / spread
    return math.erfc(abs(z) / math.sqrt(2))

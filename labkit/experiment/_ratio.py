"""Whether the versions of an experiment got the planned shares of users (sample ratio mismatch)."""

import math
from collections.abc import Mapping

from labkit.errors import LabError

WEIGHT = 1000.0
"""The weight of the prior, in users: a great weight finds small mismatches first."""


def ratio_mismatch(users: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """Return a p-value, valid at every look, for the hypothesis that users are split by the planned shares.

    users maps each version to the number of users that got it, shares to the planned share (together 1). A
    p-value below 0.001 means that users of one version get lost: do not trust the experiment's results.
    Source: M. Lindon, A. Malek, "Anytime-Valid Inference for Multinomial Count Data" (2022): 1 over the
    Bayes factor of a Dirichlet prior around the planned shares.

    :raises LabError: when the versions of both differ, or a planned share is 0.
    """
    if users.keys() != shares.keys() or min(shares.values(), default=0) <= 0:
        seen = f"users of {', '.join(users) or 'none'}, shares {dict(shares)}"
        raise LabError(
            "the same versions in both, each with a share above 0", seen, "name every version once"
        )
    total = sum(users.values())
    log = math.lgamma(WEIGHT) - math.lgamma(WEIGHT + total)
    for version, share in shares.items():
        count = users[version]
        log += math.lgamma(WEIGHT * share + count) - math.lgamma(WEIGHT * share) - count * math.log(share)
    return math.exp(-max(log, 0.0))

"""Which version a key gets: always the same in one experiment, and drawn anew in each experiment."""

import math
from collections.abc import Mapping
from hashlib import sha256
from itertools import accumulate

from labkit.errors import LabError

_ALL = 2**64  # the number of values of eight bytes


def assign(key: str, experiment: str, shares: Mapping[str, float]) -> str:
    """Return the version that a key, such as a customer's id, gets in an experiment.

    shares maps each version to its share of the keys (0 to 1, together 1). The same key gets the same version
    on every machine and at every time. The experiment's name salts the draw, so that each experiment draws
    anew. A greater share of the version that stands first moves keys into it, and none out of it.

    :raises LabError: for shares below 0, and for shares whose sum is not 1.
    """
    if not shares or min(shares.values()) < 0 or not math.isclose(sum(shares.values()), 1):
        raise LabError(
            "shares from 0 to 1, together 1", str(dict(shares)), 'such as {"new": 0.1, "old": 0.9}'
        )
    drawn = int.from_bytes(sha256(f"{experiment}\0{key}".encode()).digest()[:8]) / _ALL
    for version, end in zip(shares, accumulate(shares.values()), strict=True):
        if drawn < end:
            return version
    return next(version for version in list(shares)[::-1] if shares[version] > 0)  # the sum was rounded down

"""The made-up person for each real one: the same persona wherever the real person appears.

A persona is 60 bits of AES-CMAC over the value that identifies the real person. In a million people two get
the same persona with a probability of about 4e-7. What is made up for a persona is in `kinds`.
"""

from hashlib import blake2b

import numpy as np
import polars as pl

from labkit.testdata._mac import Bits, cmac
from labkit.testdata.kinds import NAMED

BITS = 60


class Personas:
    """Made-up people under a key: `bits` gives the persona of each value."""

    def __init__(self, key: bytes, purpose: bytes = b"labkit persona") -> None:
        self._tags = cmac(blake2b(key=key, person=purpose, digest_size=32).digest())

    def bits(self, who: pl.Series) -> Bits:
        """Return the 60 bits of each text, without regard to case and outer spaces; None counts as ""."""
        return self._tags(_plain(who.fill_null(""))) >> np.uint64(64 - BITS)

    def spelled(self, own: pl.Series, bits: Bits) -> Bits:
        """Return bits that also differ where values differ in case or spaces alone.

        bits are those of own. The part that names are drawn from stays the same: one person, two addresses.
        """
        own = own.fill_null("")
        spelled = (own != _plain(own)).to_numpy()
        if not spelled.any():
            return bits
        exact = self._tags(own) >> np.uint64(64 - BITS)
        return np.where(spelled, (bits & NAMED) | (exact & ~NAMED), bits)


def _plain(texts: pl.Series) -> pl.Series:
    return texts.str.strip_chars().str.to_lowercase()

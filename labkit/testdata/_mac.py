"""AES-CMAC of many texts at once: a number that follows from a text only for whoever has the key.

Source: NIST SP 800-38B, "Recommendation for Block Cipher Modes of Operation: The CMAC Mode for
Authentication".

Written by hand because it works on a whole column at once: each step is taken for all texts of the same
number of blocks together. A library's object for each value would be the bottleneck of a copy. AES itself
is cryptography's, and a test compares the tags with cryptography's own CMAC.
"""

from collections.abc import Callable

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

BLOCK = 16
HIGHEST, POLYNOMIAL = 1 << 127, 0x87
"""What doubling in the field of 2**128 needs: the bit that falls out, and what it is replaced by."""

Bits = NDArray[np.uint64]
Encrypt = Callable[[bytes], bytes]


def cmac(key: bytes) -> Callable[[pl.Series], Bits]:
    """Return a function for the first 64 bits of each text's tag, under a key of 16, 24 or 32 bytes.

    The function takes texts without None, and returns one number for each.
    """
    encrypt: Encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # noqa: S305 - CMAC is made of bare AES
    whole = _doubled(int.from_bytes(encrypt(bytes(BLOCK)), "big"))
    ends = np.array([_words(whole), _words(_doubled(whole))])

    def tags(texts: pl.Series) -> Bits:
        sizes = texts.str.len_bytes().to_numpy()
        counts = np.maximum(1, (sizes + BLOCK - 1) // BLOCK)
        result = np.empty(len(texts), dtype=np.uint64)
        for count in np.unique(counts):
            here = counts == count
            result[here] = _tags(encrypt, ends, texts.filter(pl.Series(here)), sizes[here], int(count))
        return result

    return tags


def _tags(encrypt: Encrypt, ends: Bits, texts: pl.Series, sizes: NDArray[np.uint32], count: int) -> Bits:
    """Return the tags of texts that have count blocks each; sizes are their lengths in bytes."""
    padded = np.array(texts.cast(pl.Binary).to_list(), dtype=f"S{BLOCK * count}").view(np.uint8)
    padded = padded.reshape(len(texts), BLOCK * count)
    short = sizes < BLOCK * count
    # A last block that is not full gets a bit of one and zeros, and the second subkey instead of the first.
    padded[short, sizes[short]] = 0x80
    blocks = padded.view(np.uint64).reshape(len(texts), count, 2)
    blocks[:, -1] ^= ends[short.astype(np.intp)]
    state = np.zeros((len(texts), 2), dtype=np.uint64)
    for place in range(count):
        state = np.frombuffer(encrypt((state ^ blocks[:, place]).tobytes()), dtype=np.uint64).reshape(-1, 2)
    return state[:, 0].byteswap()


def _doubled(number: int) -> int:
    return ((number << 1) % (HIGHEST << 1)) ^ (POLYNOMIAL if number & HIGHEST else 0)


def _words(number: int) -> Bits:
    return np.frombuffer(number.to_bytes(BLOCK, "big"), dtype=np.uint64)

"""FF1, which encrypts decimal digits to as many decimal digits, one to one.

Source: NIST SP 800-38G, "Recommendation for Block Cipher Modes of Operation: Methods for Format-Preserving
Encryption", algorithm 7, with radix 10 and an empty tweak. FF1 is the method of it that remains: FF3 was
withdrawn.

Written by hand because it works on a whole column at once: each of the ten rounds is a few operations of
numpy and one call of AES for thousands of values. The libraries for Python encrypt value by value, which
would be the bottleneck of a copy: `tests/bench/bench_obscure.py` compares them. AES itself is cryptography's.
"""

import math
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

ROUNDS = 10
MOST = 18
"""The most digits: a half then has nine, and the numbers of a round fit into 64 bits."""

LEAST = 2
CHUNK = 4096
"""Values at a time: what is worked on stays in the processor's cache."""

Numbers = NDArray[np.uint64]


def ff1(key: bytes) -> Callable[[Numbers, int], Numbers]:
    """Return the permutation of numbers of n digits under a key of 16, 24 or 32 bytes.

    The function that is returned takes numbers below 10**n, as uint64, and n from 2 to 18. Each n has a
    permutation of its own. The function raises ValueError for another n.
    """
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - FF1 is made of bare AES

    def permuted(numbers: Numbers, digits: int) -> Numbers:
        if not LEAST <= digits <= MOST:
            message = f"FF1 here takes {LEAST} to {MOST} digits, not {digits}"
            raise ValueError(message)
        chunks = range(0, len(numbers), CHUNK)
        parts = [_chunk(aes.update, numbers[start : start + CHUNK], digits) for start in chunks]
        return np.concatenate(parts) if parts else numbers

    return permuted


def _chunk(aes: Callable[[bytes], bytes], numbers: Numbers, digits: int) -> Numbers:
    left = digits // 2
    right = digits - left
    a, b = np.divmod(numbers, np.uint64(10**right))
    start = _first_block(aes, digits)
    blocks = np.empty((len(numbers), 2), dtype=">u8")
    # A block of Q: eight bytes of zeros and the round, then the right half in the last bytes.
    width = math.ceil(right * math.log2(10) / 8)
    for i in range(ROUNDS):
        modulus = np.uint64(10 ** (left if i % 2 == 0 else right))
        blocks[:, 0] = start[0]
        blocks[:, 1] = b | np.uint64(i << (8 * width))
        blocks[:, 1] ^= start[1]
        # Every second number: the standard takes d bytes of the encrypted block, which for up to nine digits
        # are its first eight.
        encrypted = np.frombuffer(aes(blocks.tobytes()), dtype=">u8")[::2].astype(np.uint64)
        total = a + encrypted % modulus
        a, b = b, np.where(total < modulus, total, total - modulus)
    joined: Numbers = a * np.uint64(10**right) + b
    return joined


def _first_block(aes: Callable[[bytes], bytes], digits: int) -> Numbers:
    """Return the encrypted block P, as two numbers."""
    block = bytes([1, 2, 1, 0, 0, 10, ROUNDS, digits // 2 % 256]) + digits.to_bytes(4, "big") + bytes(4)
    return np.frombuffer(aes(block), dtype=">u8").astype(np.uint64)

"""Addresses on the internet that lead nowhere."""

import polars as pl

from labkit.testdata._mac import Bits
from labkit.testdata.kinds._draw import hexadecimal, joined, numbers, pick
from labkit.testdata.kinds._registry import kind
from labkit.testdata.kinds._words import Words

NETS = ("192.0.2.", "198.51.100.", "203.0.113.")
"""RFC 5737 reserves these for documentation."""


@kind("url", least_width=33, is_direct=True, is_nobodys=True)
def url(bits: Bits, _: Words) -> pl.Series:
    """Return addresses of web sites. RFC 2606 reserves example.com."""
    return joined("https://", hexadecimal(bits), ".example.com/")


@kind("ipv4", is_direct=True)
def ipv4(bits: Bits, _: Words) -> pl.Series:
    """Return internet addresses of version 4."""
    return joined(pick(pl.Series(NETS), bits, 10), pick(numbers(1, 254), bits, 11))

"""Version skew: old and new instances, clients and data side by side, and what keeps them right.

`tag` and `translate` are for messages between versions, `can_read` for what two schemas make of each other,
`Migration` for a table that old and new versions read and write while it changes.
"""

from labkit.skew._message import Layer, TranslationFailed, UnknownVersion, tag, translate
from labkit.skew._migration import Backfill, Contract, Expand, Migration
from labkit.skew._schema import can_read

__all__ = [
    "Backfill",
    "Contract",
    "Expand",
    "Layer",
    "Migration",
    "TranslationFailed",
    "UnknownVersion",
    "can_read",
    "tag",
    "translate",
]

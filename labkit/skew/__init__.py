"""Version skew: old and new instances, clients and data side by side, and what keeps them correct.

`tag` and `translate` are for messages between versions. `can_read` compares the schemas of a reader and a
writer. `Migration` changes a table while old and new versions read and write it.
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

"""Version skew: old and new instances, clients and data side by side, and what keeps them right.

`tag` and `translate` are for messages between versions, `can_read` for what two schemas make of each other.
"""

from labkit.skew._message import Layer, TranslationFailed, UnknownVersion, tag, translate
from labkit.skew._schema import can_read

__all__ = [
    "Layer",
    "TranslationFailed",
    "UnknownVersion",
    "can_read",
    "tag",
    "translate",
]

"""The system under deployment as data: what `system.toml` declares, checked when it is read.

A course author elsewhere writes a `system.toml` for their own services and reuses all other rooms of labkit.
"""

from labkit.system._answers import Recording, stub_answers
from labkit.system._model import (
    GRACE_S,
    STAGES,
    Container,
    Database,
    External,
    Limits,
    Parameter,
    Service,
    Toggle,
)
from labkit.system._system import System
from labkit.system._table import TomlTable, nearest

__all__ = [
    "GRACE_S",
    "STAGES",
    "Container",
    "Database",
    "External",
    "Limits",
    "Parameter",
    "Recording",
    "Service",
    "System",
    "Toggle",
    "TomlTable",
    "nearest",
    "stub_answers",
]

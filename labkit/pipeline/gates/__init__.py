"""The gates that labkit brings, one file each, and what a gate is made of.

A function with `@gate` is a gate. Every module of this package is imported for that, so a new gate is one
new file here. Another package brings its gates by the entry-point group "labkit.gates".
"""

from importlib import import_module
from pkgutil import iter_modules

from labkit.pipeline._context import GateContext
from labkit.pipeline._registry import Answer, gate

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Answer", "GateContext", "gate"]

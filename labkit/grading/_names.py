"""Which names a cell defines and which it uses: what a lab's cells need of each other."""

import dataclasses
import symtable
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property

LONGEST = 100_000
"""How many characters of a cell are read; a longer one is no Python."""

PLAIN = (bool, int, float, str, bytes, date, timedelta, Decimal, type(None))
IN_THE_SANDBOX = {"labkit.experiment", "labkit.skew", "labkit.model"}
"""Rooms of labkit that the sandbox's image has."""


@dataclass(frozen=True)
class CodeCell:
    """A code cell of a notebook: its id, and its source as it stands there, magics included."""

    id: str
    source: str

    @cached_property
    def _python(self) -> str:
        """The cell as Python; empty for one that is none."""
        from IPython.core.inputtransformer2 import TransformerManager  # noqa: PLC0415 - slow to load

        if len(self.source) > LONGEST:
            return ""
        try:
            python: str = TransformerManager().transform_cell(self.source)  # type: ignore[no-untyped-call]  # IPython has no types here
            symtable.symtable(python, self.id, "exec")
        except Exception:  # noqa: BLE001 - whatever its reader makes of it
            return ""
        return python

    @cached_property
    def _scopes(self) -> list[symtable.SymbolTable]:
        return list(_with_children(symtable.symtable(self._python, self.id, "exec")))

    @cached_property
    def defines(self) -> frozenset[str]:
        """The names that the cell binds for the cells after it."""
        return frozenset(
            one.get_name() for one in self._scopes[0].get_symbols() if one.is_assigned() or one.is_imported()
        )

    @cached_property
    def uses(self) -> frozenset[str]:
        """The names that the cell reads and that belong to the notebook, or to Python."""
        outside, *inside = self._scopes
        names = {one.get_name() for one in outside.get_symbols() if one.is_referenced()}
        names |= {one.get_name() for scope in inside for one in scope.get_symbols() if one.is_global()}
        return frozenset(names)


def needed(cell: CodeCell, before: Sequence[CodeCell]) -> list[CodeCell]:
    """Return the cells before a cell that define what it uses, or what one of them uses, in their order."""
    missing, taken = set(cell.uses), list[CodeCell]()
    for other in reversed(before):
        if other.defines & missing:
            taken.append(other)
            missing |= other.uses
    return taken[::-1]


def is_importable(name: str) -> bool:
    """Return whether a module is Python's own, or a room of labkit that the sandbox has too."""
    return name.partition(".")[0] in sys.stdlib_module_names or name in IN_THE_SANDBOX


def is_data(value: object) -> bool:
    """Return whether a value is plain, or a container or dataclass of such values."""
    if isinstance(value, PLAIN):
        return True
    if isinstance(value, list | tuple | set | frozenset):
        return all(is_data(one) for one in value)
    if isinstance(value, dict):
        return all(is_data(key) and is_data(one) for key, one in value.items())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(is_data(getattr(value, one.name)) for one in dataclasses.fields(value))
    return False


def _with_children(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _with_children(child)

"""Which names a cell defines and which it uses: what a lab's cells need of each other."""

import ast
import builtins
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

BUILTINS = frozenset(vars(builtins))


@dataclass(frozen=True)
class CodeCell:
    """A code cell of a notebook: its id, and its source as it stands there, magics included."""

    id: str
    source: str

    @cached_property
    def _python(self) -> str:
        """The cell as Python; empty for one that is none."""
        from IPython.core.inputtransformer2 import TransformerManager  # noqa: PLC0415 - slow to load

        try:
            python: str = TransformerManager().transform_cell(self.source)  # type: ignore[no-untyped-call]  # IPython has no types here
            symtable.symtable(python, self.id, "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
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

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The attributes and methods that the cell asks for, of whatever object."""
        tree = ast.parse(self._python)
        return frozenset(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))


def needed(cell: CodeCell, before: Sequence[CodeCell]) -> list[CodeCell]:
    """Return the cells before a cell that define what it uses, or what one of them uses, in their order."""
    missing, taken = set(cell.uses), list[CodeCell]()
    for other in reversed(before):
        if other.defines & missing:
            taken.append(other)
            missing |= other.uses
    return taken[::-1]


def _with_children(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _with_children(child)

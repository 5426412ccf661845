"""What labkit changes in a notebook's kernel: how some errors are shown, and which cells run at all."""

import ast
from collections.abc import Callable
from typing import Any

from IPython import get_ipython
from IPython.core.error import InputRejected

from labkit.errors import LabError


class Refused(LabError, InputRejected):
    """A cell was not run; IPython takes an InputRejected for that."""


class _Gate(ast.NodeTransformer):
    """Looks at each cell before it runs, where IPython lets a cell be changed or rejected."""

    def __init__(self, refusal: Callable[[ast.Module], LabError | None]) -> None:
        self._refusal = refusal

    def visit_Module(self, cell: ast.Module) -> ast.Module:
        if reason := self._refusal(cell):
            raise Refused(reason.expected, reason.seen, reason.next_step)
        return cell


def refuse_cells(refusal: Callable[[ast.Module], LabError | None]) -> None:
    """Do not run a cell for which refusal returns an error, and show the error; None lets it run.

    A second call replaces the first. Outside of a notebook nothing is done.
    """
    if (shell := get_ipython()) is not None:
        others = [one for one in shell.ast_transformers if not isinstance(one, _Gate)]
        shell.ast_transformers = [*others, _Gate(refusal)]


def rephrase_errors(
    kinds: tuple[type[Exception], ...], rephrase: Callable[[Exception], Exception | None]
) -> None:
    """Show a notebook's errors of some kinds in other words, wherever rephrase returns an error with these.

    Outside of a notebook there is nothing to show them in, and nothing is done.
    """
    if (shell := get_ipython()) is None:
        return

    def show(shell: Any, _: object, error: Exception, __: object, tb_offset: int | None = None) -> None:  # noqa: ANN401 - IPython's shell has no types
        shown = rephrase(error) or error
        shell.showtraceback((type(shown), shown, shown.__traceback__), tb_offset=tb_offset)

    shell.set_custom_exc(kinds, show)

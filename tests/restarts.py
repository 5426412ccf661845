"""Restarts a lab's kernel before its clean-up: `pytest -p restarts --nbval-lax NOTEBOOKS`.

A learner comes back the next day, runs the set-up cells, and goes on at any later cell. What an error asks
for is done: the cell that it names runs first. No such way may lead through a run of the pipeline again.
"""

import ast
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from nbformat.v4 import new_code_cell
from nbval.plugin import IPyNbCell
from wrong_answers import text_of

LABS = {"one-change-to-production"}
"""Labs whose environment outlives their kernel: what they need is on record. Others begin with a new one."""

LONG = "pipeline.run("
AGAIN = {"observe", "check"}
"""Tags of cells that only look, so that they can run twice."""

NAMED = re.compile(r"'(\w+)' is there, because|the cell that begins with «(.*?)»", re.DOTALL)
MOST = 8
"""So many cells in a row may be asked for."""

ENVIRONMENT = ("LABKIT_WORKSPACE", "LABKIT_UNATTENDED")
"""What the lab's kernel was started with."""


class Later(IPyNbCell):  # type: ignore[misc]  # nbval ships no types
    """A cell that runs first after the set-up cells; is_first is whether a new kernel is started for it."""

    cell: Any

    def __init__(self, *, is_first: bool, **others: Any) -> None:
        options = {"check": False, "check_exception": True, "skip": False}
        super().__init__(options=options, **others)
        self._is_first = is_first

    def runtest(self) -> None:
        """Forget all names, run the set-up cells, then the cell, with what its errors ask for."""
        cell, cells = self.cell, [one for one in self.parent.nb.cells if one.cell_type == "code"]
        if self._is_first:
            self._restart(cells)
        set_up = [one for one in cells if "set-up" in one.metadata.tags]
        self._work([new_code_cell("%reset -f"), *set_up, cell], cells)

    def _restart(self, cells: list[Any]) -> None:
        """Start the kernel anew, with the variables that it had, and tell it the notebook as Jupyter does."""
        variables = {name: self._value(f"import os; os.environ[{name!r}]") for name in ENVIRONMENT}
        variables["JPY_SESSION_NAME"] = os.fspath(self.path)
        self.parent.kernel.restart()
        self.parent.kernel._ensure_iopub_up()
        self._work([new_code_cell(f"import os; os.environ.update({variables!r})")], cells)

    def _value(self, source: str) -> Any:
        """Return the value of a cell's last line."""
        self.cell = new_code_cell(source)
        super().runtest()
        return ast.literal_eval(self.test_outputs[-1].data["text/plain"])

    def _work(self, wanted: list[Any], cells: list[Any], most: int = MOST) -> None:
        """Run cells; before one that lacks a name, the cell that its error asks for."""
        for cell in wanted:
            self.cell = cell
            super().runtest()
            if all(one.output_type != "error" for one in self.test_outputs):
                continue
            seen = "\n".join(map(text_of, self.test_outputs))  # with the rows of a check
            words = {word for pair in NAMED.findall(seen)[:2] for word in pair if word}
            makers = [one for one in cells if words and all(word in one.source for word in words)]
            if not makers or LONG in makers[0].source or not most:
                self.raise_cell_error("A learner cannot go on here with a new kernel", seen)
            self._work([makers[0], cell], cells, most - 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the later cells before the clean-up."""
    items[:] = [new for item in items for new in (*_later(item), item)]


def _later(item: pytest.Item) -> Iterator[pytest.Item]:
    if not isinstance(item, IPyNbCell) or "clean-up" not in item.cell.metadata.get("tags", ()):
        return
    lab = item.parent
    if lab.nb.metadata.get("labkit", {}).get("id") not in LABS:
        return
    later = [cell for cell in lab.nb.cells if AGAIN & set(cell.metadata.tags) and LONG not in cell.source]
    for number, cell in enumerate(one for one in later if one.cell_type == "code"):
        name, is_first = f"Later: {cell.id}", number == 0
        yield Later.from_parent(lab, name=name, cell_num=item.cell_num, cell=cell, is_first=is_first)

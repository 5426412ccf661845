"""Tries each lab's wrong answers while nbval runs it: `pytest -p wrong_answers --nbval-lax NOTEBOOKS`.

The wrong answers to an exercise are tried in the lab's own kernel, right before the cell with the solution.
So one run of a lab shows that its cells work, that its check refuses what is wrong with the right hint, and
that the solution still passes afterwards.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell
from nbval.plugin import IPyNbCell, IPyNbFile

SAYS_NOTHING = re.compile(r"^✓|NameError")
"""A row that holds, or that an earlier row kept from being evaluated: its hint answers nothing."""
TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def answers(lab: Path) -> list[dict[str, Any]]:
    """Return the wrong answers of a lab: cell (that of the solution), code, check, hint."""
    file = lab.parent / "wrong-answers" / f"{lab.stem.partition('-')[2]}.toml"
    return list(tomllib.loads(file.read_text())["answer"]) if file.exists() else []


class WrongAnswer(IPyNbCell):  # type: ignore[misc]  # nbval ships no types
    """A wrong answer, which the lab's own check has to refuse with the hint that belongs to it."""

    cell: Any

    def __init__(self, answer: dict[str, Any], check: str, **others: Any) -> None:
        options = {"check": False, "check_exception": True, "skip": False}
        super().__init__(cell=new_code_cell(check), options=options, **others)
        self._hint, self._code, self._check = answer["hint"], new_code_cell(answer["code"]), self.cell

    def runtest(self) -> None:
        """Give the answer, run the check, and compare what it says with the hint."""
        for cell in (self._code, self._check):
            self.cell = cell  # nbval runs the cell of this name
            super().runtest()
            if cell is self._code and any(one.output_type == "error" for one in self.test_outputs):
                self.raise_cell_error(
                    "The answer raises before any check", "\n".join(map(text_of, self.test_outputs))
                )
        lines = "\n".join(text_of(output) for output in self.test_outputs).splitlines()
        refusal = "\n".join(line for line in lines if not SAYS_NOTHING.search(line))
        if "expected:" not in refusal or self._hint not in refusal:
            self.cell = self._code
            self.raise_cell_error(f"The check does not answer {self._hint!r}", refusal or "it passed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the wrong answers to an exercise before its solution."""
    items[:] = [new for item in items for new in (*_wrong(item), item)]


def _wrong(item: pytest.Item) -> Iterator[pytest.Item]:
    if not isinstance(item, IPyNbCell):
        return
    lab: IPyNbFile = item.parent
    sources = {cell.id: cell.source for cell in lab.nb.cells}
    for number, answer in enumerate(answers(item.path), start=1):
        if answer["cell"] == item.cell.id:
            name = f"Wrong answer {number}"
            check = sources[answer["check"]]
            yield WrongAnswer.from_parent(lab, name=name, cell_num=item.cell_num, answer=answer, check=check)


def text_of(output: Any) -> str:
    """Return what a learner reads of one output."""
    if output.output_type == "error":
        return TERMINAL_COLOURS.sub("", "\n".join(output.traceback))
    return str(output.get("data", {}).get("text/plain", ""))

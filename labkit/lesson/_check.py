"""Checks: plain assert lines, shown row by row as expected, seen and hint, never as a traceback.

The asserts stand in a `with lab.check("name"):` block and run there as they are, so the grader and the tests
of wrong answers run the same cell. When the block is left, each assert is looked at on its own, so that one
that fails does not hide the others.
"""

import ast
import linecache
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import Any

from labkit.errors import LabError

MORE = re.compile(r"# (\d+) more checks? runs? when graded")
LONGEST = 300


@dataclass(frozen=True)
class Row:
    """One assert: whether it held, what was expected, what was seen, and the hint if it did not hold."""

    passed: bool
    expected: str
    seen: str
    hint: str


class CheckFailed(LabError):
    """At least one assert of a check did not hold; rows are those of the whole check."""

    def __init__(self, name: str, rows: Sequence[Row]) -> None:
        failed = [row for row in rows if not row.passed]
        super().__init__(
            f"every row of the check {name!r} holds",
            f"{len(failed)} of {len(rows)} do not",
            failed[0].hint or "mend your answer and run this cell again",
        )
        self.rows = tuple(rows)


class Check:
    """The block of one check; `finish` gets its rows and how many more are run when graded."""

    def __init__(self, name: str, finish: Callable[[str, Sequence[Row], int], None]) -> None:
        self._name, self._finish = name, finish

    def __enter__(self) -> None:
        self._frame: FrameType = sys._getframe(1)  # noqa: SLF001 - the asserts are the caller's own lines
        self._line = self._frame.f_lineno

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False
        source = "".join(linecache.getlines(self._frame.f_code.co_filename))
        scope = {**self._frame.f_globals, **self._frame.f_locals}
        rows = [_row(statement, scope) for statement in _asserts(source, self._line)]
        if error is not None and all(row.passed for row in rows):
            rows.append(Row(passed=False, expected="the cell runs to its end", seen=_words(error), hint=""))
        del self._frame
        more = sum(int(found) for found in MORE.findall(source))
        self._finish(self._name, rows, more)
        if not all(row.passed for row in rows):
            raise CheckFailed(self._name, rows) from None
        return True


def _asserts(source: str, line: int) -> list[ast.Assert]:
    """Return the assert lines of the with block that begins at this line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.With) and node.lineno <= line <= node.body[0].lineno:
            return [statement for statement in node.body if isinstance(statement, ast.Assert)]
    return []


def _row(statement: ast.Assert, scope: dict[str, Any]) -> Row:
    test = statement.test
    expected, seen = ast.unparse(test), ""
    try:
        passed = bool(_value(test, scope))
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            seen = _shown(_value(test.left, scope))
            if isinstance(test.ops[0], ast.Eq):
                expected = _shown(_value(test.comparators[0], scope))
        else:
            seen = "yes" if passed else "no"
    except Exception as fault:  # noqa: BLE001 - an answer may fail in any way; the row says how
        passed, seen = False, _words(fault)
    return Row(passed, expected, seen, _hint(statement.msg, scope))


def _hint(node: ast.expr | None, scope: dict[str, Any]) -> str:
    if node is None:
        return ""
    try:
        return str(_value(node, scope))
    except Exception:  # noqa: BLE001 - a hint that needs what the learner has not made yet
        return "make what this line needs first"


def _value(node: ast.expr, scope: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever the learner made
    code: CodeType = compile(ast.Expression(node), "<check>", "eval")
    return eval(code, scope)  # noqa: S307 - the learner's own cell, in the learner's own kernel


def _words(fault: BaseException) -> str:
    if isinstance(fault, LabError):
        return fault.seen
    return f"{type(fault).__name__}: {fault}"


def _shown(value: object) -> str:
    words = repr(value)
    return words if len(words) <= LONGEST else words[:LONGEST] + " …"

"""Checks: plain assert lines, shown row by row as expected, seen and hint, never as a traceback.

The asserts stand in a `with lab.check("name"):` block and run there as they are, so the grader and the tests
of wrong answers run the same cell. Python leaves the block at the first assert that fails. This module then
evaluates that assert and each one after it by itself, so that one failure does not hide the others. Asserts
before it passed and are not run again: an assert may create an environment, or order something. An error that
comes from no assert, as an answer that is not written yet gives it, is one row, and ends the check.

What the block of a cell binds is gone when it ends: otherwise the next answer could look up what is right.
"""

import ast
import linecache
import operator
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import CodeType, FrameType, TracebackType
from typing import Any

from labkit.errors import LabError
from labkit.lesson._missing import missing_name

MORE = re.compile(r"# (\d+) more checks? runs? when graded")
LONGEST = 300
NOT_WRITTEN = "something is None: write your answer first, and return its result"
NOT_IN_SHAPE = "what your answer returned cannot be used here: see what the exercise asks it to return"
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


@dataclass(frozen=True)
class Row:
    """One assert: whether it passed, what was expected, what was seen, and its message.

    The message says what counts; where an error came in its place, hint is the way on.
    """

    passed: bool
    expected: str
    seen: str
    hint: str


class CheckFailed(LabError):
    """At least one assert of a check failed; rows are those of the whole check."""

    def __init__(self, name: str, rows: Sequence[Row]) -> None:
        failed = [row for row in rows if not row.passed]
        super().__init__(
            f"every row of the check {name!r} holds",
            f"{len(failed)} of {len(rows)} do not",
            failed[0].hint or "correct your answer and run this cell again",
        )
        self.rows = tuple(rows)


class CheckBlock:
    """The `with` block of one check.

    When it ends, finish gets the check's name, its rows, and how many more checks are run when graded.
    """

    def __init__(self, name: str, finish: Callable[[str, Sequence[Row], int], None]) -> None:
        self._name, self._finish = name, finish

    def __enter__(self) -> None:
        self._frame: FrameType = sys._getframe(1)  # noqa: SLF001 - the asserts are the caller's own lines
        self._line = self._frame.f_lineno
        self._before = dict(self._frame.f_globals)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False  # Ctrl-C, or the kernel's end
        source = "".join(linecache.getlines(self._frame.f_code.co_filename))
        scope = {**self._frame.f_globals, **self._frame.f_locals}
        block = _block(source, self._line)
        asserts = [statement for statement in block if isinstance(statement, ast.Assert)]
        rows = list(_rows(asserts, scope, error, trace))
        if self._frame.f_locals is self._frame.f_globals:
            _unbind(block, self._frame.f_globals, self._before)
        del self._frame, self._before  # a frame keeps all of its variables alive
        more = sum(int(count) for count in MORE.findall(source))
        self._finish(self._name, rows, more)
        if not all(row.passed for row in rows):
            raise CheckFailed(self._name, rows) from None
        return True


def _block(source: str, line: int) -> list[ast.stmt]:
    """Return the statements of the with block that begins at this line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.With) and node.lineno <= line <= node.body[0].lineno:
            return node.body
    return []


def _unbind(block: Sequence[ast.stmt], names: dict[str, Any], before: dict[str, Any]) -> None:
    """Take away the names that a block has bound, or give them back what they were."""
    nodes = [node for statement in block for node in ast.walk(statement)]
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for name in bound | {node.name for node in nodes if isinstance(node, ast.FunctionDef)}:
        if name in before:
            names[name] = before[name]
        else:
            names.pop(name, None)


def _rows(
    asserts: Sequence[ast.Assert],
    scope: dict[str, Any],
    error: Exception | None,
    trace: TracebackType | None,
) -> Iterator[Row]:
    """Yield a row for each assert, and one for an error that comes from none of them."""
    left_at = trace.tb_lineno if trace else sys.maxsize
    reported = error is None
    for statement in asserts:
        if (statement.end_lineno or statement.lineno) < left_at:
            yield _passed(statement, scope)
        elif statement.lineno <= left_at:
            reported, row = True, _evaluated(statement, scope)
            # It failed in the block, so it stays failed, even when it passes now.
            seen = row.seen if isinstance(error, AssertionError) else _words(error)
            yield replace(row, passed=False, seen=seen)
        elif reported:
            yield _evaluated(statement, scope)
    if not reported:
        yield _ended(error)


def _passed(statement: ast.Assert, scope: dict[str, Any]) -> Row:
    """Return the row of an assert that passed, without calling anything a second time."""
    test, hint = statement.test, _hint(statement.msg, scope, otherwise="")
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq) and len(test.ops) == 1:
        right = test.comparators[0]
        calls = any(isinstance(node, ast.Call) for node in ast.walk(right))
        expected = ast.unparse(right) if calls else _shown(_value(right, scope))
        return Row(passed=True, expected=expected, seen=expected, hint=hint)
    return Row(passed=True, expected=ast.unparse(test), seen="yes", hint=hint)


def _evaluated(statement: ast.Assert, scope: dict[str, Any]) -> Row:
    """Return the row of an assert after evaluating each side of it once."""
    test, hint = statement.test, _hint(statement.msg, scope)
    expected = ast.unparse(test)
    try:
        if not isinstance(test, ast.Compare) or len(test.ops) > 1:
            passed = bool(_value(test, scope))
            return Row(passed, expected, "yes" if passed else "no", hint)
        seen, right = _value(test.left, scope), _value(test.comparators[0], scope)
        if isinstance(test.ops[0], ast.Eq):
            expected = _shown(right)
        return Row(bool(COMPARISONS[type(test.ops[0])](seen, right)), expected, _shown(seen), hint)
    except NameError as fault:
        return _row_of(_rephrased(fault), Row(passed=False, expected=expected, seen=_words(fault), hint=hint))
    except Exception as fault:  # noqa: BLE001 - an answer may fail in any way; the row says how
        return Row(passed=False, expected=expected, seen=_words(fault), hint=hint)


def _hint(
    node: ast.expr | None, scope: dict[str, Any], otherwise: str = "first make what this line needs"
) -> str:
    """Return an assert's message; otherwise where it cannot be made."""
    if node is None:
        return ""
    try:
        return str(_value(node, scope))
    except Exception:  # noqa: BLE001 - a hint that needs what the learner has not made yet
        return otherwise


def _value(node: ast.expr, scope: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever the learner made
    code: CodeType = compile(ast.Expression(node), "<check>", "eval")
    return eval(code, scope)  # noqa: S307 - the learner's own cell, in the learner's own kernel


def _ended(error: Exception | None) -> Row:
    """Return the row of an error that no assert was about."""
    hint = NOT_WRITTEN if "NoneType" in str(error) or "ellipsis" in str(error) else ""
    hint = str(error) if isinstance(error, AssertionError) else hint or NOT_IN_SHAPE
    otherwise = Row(passed=False, expected="the cell runs to its end", seen=_words(error), hint=hint)
    return _row_of(_rephrased(error), otherwise)


def _rephrased(fault: BaseException | None) -> BaseException | None:
    """Return an error in labkit's words, for a name that another cell makes; any other error as it is."""
    return (missing_name(fault) or fault) if isinstance(fault, NameError) else fault


def _row_of(fault: BaseException | None, otherwise: Row) -> Row:
    """Return the row of an error with three parts; otherwise for any other."""
    if isinstance(fault, LabError):
        return Row(passed=False, expected=fault.expected, seen=fault.seen, hint=fault.next_step)
    return otherwise


def _words(fault: BaseException | None) -> str:
    fault = _rephrased(fault)
    if isinstance(fault, LabError):
        return fault.seen
    return f"{type(fault).__name__}: {fault}"


def _shown(value: object) -> str:
    words = repr(value)
    return words if len(words) <= LONGEST else words[:LONGEST] + " …"

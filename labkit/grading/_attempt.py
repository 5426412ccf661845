"""One answer, tried in the lab's own kernel: the check's lines run as they are, on proxies of the answer."""

import builtins
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from types import ModuleType
from typing import Any

from labkit.artifacts import Kind
from labkit.errors import LabError
from labkit.grading._exercises import Exercise, SolvedLab
from labkit.grading._names import CodeCell, is_data, is_importable, needed
from labkit.grading._sandbox import Child, Ended, Function, Raised, Sandbox, TookTooLong

ANSWER_S = 60.0
"""How long all calls of one answer may take together, in seconds; one more call may begin before that."""
TIME_OUTS = 2
"""After so many calls that took too long, an answer is asked no more: it loops, and others wait."""

SHELL = {"get_ipython", "exit", "quit", "open", "In", "Out", "display"}
"""Names of IPython's shell, of which the sandbox has its own."""

CALL = "_labkit_call"
CALLER = f"""
def {CALL}(name, args, kwargs):
    value = globals()[name](*args, **kwargs)
    return value, args, kwargs
"""
"""Calls an answer's function in the sandbox; returns its arguments too, which it may have changed."""


class Answer:
    """A learner's answer to one exercise, in a sandbox, with data and modules of the lab's notebook.

    cells are the learner's own, in the order in which they run. names are those of the notebook. Of them,
    an answer gets modules, and the data that the lab's own solution uses too. A process that ends, whatever
    ended it, is begun anew without the cell that ended it. unknown are the names that the answer uses in
    vain. fault is what failed on the grader's side, "" when nothing did.
    """

    def __init__(
        self, sandbox: Sandbox, cells: Sequence[CodeCell], exercise: Exercise, names: Mapping[str, object]
    ) -> None:
        self._sandbox, self._cells, self.fault = sandbox, list(cells), ""
        own = {name for cell in cells for name in cell.defines} | exercise.names | SHELL
        wanted = {name for cell in cells for name in cell.uses & names.keys() - own}
        self._modules = {name: one.__name__ for name in wanted if (one := _module(names[name])) is not None}
        shared = wanted & exercise.solution.uses - self._modules.keys()
        self._data = {name: names[name] for name in shared if is_data(names[name])}
        self.unknown = sorted(wanted - self._modules.keys() - self._data.keys() - vars(builtins).keys())
        self._open, self._ends_at = ExitStack(), time.monotonic() + ANSWER_S
        self._child: Child | None = None
        self._time_outs = 0

    def _living(self) -> Child:
        """Return the answer's process, begun anew where there is none."""
        while self._child is None:
            child = self._child = self._open.enter_context(self._sandbox.submission())
            child.hand(self._data)
            imports = [f"import {module} as {name}" for name, module in self._modules.items()]
            child.run("\n".join([*imports, CALLER]))
            for cell in self._cells:
                try:
                    child.run(cell.source)
                except Ended:
                    self._cells = [other for other in self._cells if other is not cell]
                    self.close()
                    break
        return self._child

    def _ask(self, ask: Callable[[Child], Any]) -> Any:  # noqa: ANN401 - data of any kind
        """Ask the process; one that ends raises an AssertionError, so that the row is told why."""
        try:
            if time.monotonic() > self._ends_at:
                raise AssertionError(f"took longer than {ANSWER_S:g} s in all")
            if self._time_outs == TIME_OUTS:
                raise AssertionError("took too long each time, and is asked no more")
            return ask(self._living())
        except Ended as end:
            self._time_outs += isinstance(end, TookTooLong)
            self.close()
            raise AssertionError(str(end)) from None
        except Raised as error:
            raise _as_raised(error) from None
        except LabError as error:
            self.fault = error.seen
            raise

    def value(self, name: str) -> Any:  # noqa: ANN401 - data of any kind, or a function
        """Return what a name stands for: data, or a function that calls the answer's.

        :raises KeyError: when the answer has no such name, or it cannot be had.
        :raises LabError: when the sandbox fails.
        """
        try:
            found = self._ask(lambda child: child.get(name))
        except LabError:
            raise
        except Exception as error:
            raise KeyError(name) from error
        return self._function(name) if isinstance(found, Function) else found

    def _function(self, name: str) -> Callable[..., Any]:
        def function(*args: object, **kwargs: object) -> object:
            given = [name, list(args), kwargs]
            came = self._ask(lambda child: child.call(CALL, given))
            if not (isinstance(came, tuple) and len(came) == 3):  # noqa: PLR2004 - what CALL returns
                return came
            value, *after = came
            restore([*args, *kwargs.values()], after)
            return value

        function.__name__ = name
        return function

    def close(self) -> None:
        """End the answer's process; a container that cannot be removed is the grader's fault."""
        self._child = None
        try:
            self._open.close()
        except LabError as error:
            self.fault = error.seen


def restore(given: Sequence[object], after: Sequence[object]) -> None:
    """Change lists, dicts and sets that were handed to a function as it changed its copies of them."""
    args, kwargs = after
    copies = [*args, *kwargs.values()] if isinstance(args, list) and isinstance(kwargs, dict) else []
    for one, copy in zip(given, copies, strict=False):
        if is_data(one):
            _like(one, copy)


def _like(one: Any, copy: Any) -> Any:  # noqa: ANN401 - data of any kind
    """Return what equals the copy: a list, dict or set of its kind, changed in place, or the copy itself.

    What is inside of it is changed in place too, because a name of the lab may stand for just that.
    """
    if type(one) is not type(copy):
        return copy
    if isinstance(one, list):
        one[:] = [_like(*pair) for pair in zip(one, copy, strict=False)] + copy[len(one) :]
    elif isinstance(one, dict):
        new = {name: _like(one.get(name), value) for name, value in copy.items()}
        one.clear()
        one.update(new)
    elif isinstance(one, set):
        one.clear()
        one.update(copy)
    else:
        return copy
    return one


def attempt(shell: Any, exercise: Exercise, answer: Answer) -> list[dict[str, Any]]:  # noqa: ANN401 - IPython's shell
    """Run a check on an answer and return its rows: passed, expected, seen and hint of each.

    What the answer changes of the lab's own data is changed for its own check alone.
    """
    names = shell.user_ns
    kept = {name: deepcopy(value) for name, value in names.items() if _changes(name, value)}
    for name in exercise.names:
        names.pop(name, None)
    try:
        for name in exercise.names:
            try:
                names[name] = answer.value(name)
            except KeyError:
                continue
        return checked(shell, exercise)
    finally:
        names.update(kept)


def checked(shell: Any, exercise: Exercise) -> list[dict[str, Any]]:  # noqa: ANN401 - as above
    """Run a check's cell in the lab's kernel and return its rows; none when it did not come to a verdict."""
    artifacts = shell.user_ns["lab"].workspace.artifacts
    before = len(artifacts.history(kind=Kind.CHECKED))
    shell.run_cell(exercise.check.source, store_history=False)
    facts = artifacts.history(kind=Kind.CHECKED)[before:]
    return [
        dict(row)
        for fact in facts
        if fact.predicate["check"] == exercise.name
        for row in fact.predicate["rows"]
    ]


def cells_of(lab: SolvedLab, exercise: Exercise, cells: Sequence[CodeCell]) -> list[CodeCell]:
    """Return a submission's cells that make the answer to an exercise.

    They are the exercise's own, and of the answers before it and the cells that the learner added those that
    it needs. The lab's other cells have run already, on the grader's side.
    """
    of_the_lab = {cell.id for cell in lab.cells} - {one.solution.id for one in lab.exercises}
    own = [cell for cell in cells if cell.id not in of_the_lab]
    places = [place for place, cell in enumerate(own) if cell.id == exercise.solution.id]
    return [*needed(own[places[-1]], own[: places[-1]]), own[places[-1]]] if places else []


def _module(value: object) -> ModuleType | None:
    return value if isinstance(value, ModuleType) and is_importable(value.__name__) else None


def _changes(name: str, value: object) -> bool:
    """Return whether a name of the notebook has data that can be changed in place."""
    return not name.startswith("_") and type(value) in (list, dict, set) and is_data(value)


def _as_raised(error: Raised) -> Exception:
    """Return an error of this side with the kind and text of the answer's own; none that ends a process."""
    known = getattr(builtins, error.kind, None)
    try:
        if isinstance(known, type) and issubclass(known, Exception):
            made = known(error.text)
        else:
            made = type(error.kind, (Exception,), {})(error.text)
    except Exception:  # noqa: BLE001 - a name or a text that no error of ours can have
        made = RuntimeError(f"{error.kind}: {error.text}")
    return made

"""One answer, tried in the lab's own kernel: the check's lines run as they are, on proxies of the answer."""

import builtins
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import ModuleType
from typing import Any

from labkit.artifacts import Kind
from labkit.errors import LabError
from labkit.grading._exercises import Exercise, SolvedLab
from labkit.grading._hands import Hands, importable, is_data
from labkit.grading._names import BUILTINS, CodeCell, needed
from labkit.grading._sandbox import Child, Ended, Function, Raised, Sandbox

CALL = "_labkit_call"
CALLER = f"""
def {CALL}(name, args, kwargs):
    value = globals()[name](*args, **kwargs)
    return value, args, kwargs
"""
"""Calls an answer's function in the sandbox; returns its arguments too, which it may have changed."""


class Answer:
    """A learner's answer to one exercise, in a sandbox, with the names of the lab's notebook that it may use.

    cells are the learner's own, in the order in which they run. A process that ends, whatever ended it, is
    begun anew without the cell that ended it, so that it costs only the rows in which it happens. unknown
    are names of the notebook that the lab's own solution does not use and the answer does. fault is what
    failed on the grader's side, "" when nothing did.
    """

    def __init__(
        self, sandbox: Sandbox, cells: Sequence[CodeCell], exercise: Exercise, names: Mapping[str, object]
    ) -> None:
        self._sandbox, self._cells = sandbox, list(cells)
        self.hands, self.fault = Hands(exercise.solution.attributes), ""
        own = {name for cell in cells for name in cell.defines}
        wanted = {name for cell in cells for name in cell.uses} - own
        allowed = exercise.solution.uses
        self.unknown = sorted(wanted & names.keys() - allowed - BUILTINS)
        self._given = {name: names[name] for name in sorted(wanted & names.keys() & allowed)}
        self._open = ExitStack()
        self._child: Child | None = None

    def _living(self) -> Child:
        """Return the answer's process, begun anew where there is none."""
        while self._child is None:
            child = self._open.enter_context(self._sandbox.submission())
            imports, things = _as_modules(self._given)
            child.hand({name: self.hands.lend(thing) for name, thing in things.items()})
            child.run(f"{imports}\n{CALLER}")
            self._child = child
            for cell in self._cells:
                try:
                    child.run(cell.source, answer=self.hands.answer)
                except Ended:
                    self._cells = [other for other in self._cells if other is not cell]
                    self.close()
                    break
        return self._child

    def _guarded(self, ask: Callable[[Child], Any]) -> Any:  # noqa: ANN401 - data of any kind
        """Ask the process; one that ends raises an AssertionError, so that the row is told why."""
        try:
            return self.hands.returned(ask(self._living()))
        except Ended as end:
            self.close()
            raise AssertionError(str(end)) from None
        except Raised as error:
            raise _as_raised(error) from None
        except LabError as error:
            self.fault = error.seen
            raise

    def value(self, name: str) -> Any:  # noqa: ANN401 - data of any kind, or a function
        """Return what a name stands for: data, or a function that calls the answer's.

        :raises KeyError: when the answer has no such name, or its process ends as it is asked.
        """
        try:
            found = self._guarded(lambda child: child.get(name))
        except AssertionError as end:
            raise KeyError(name) from end
        return self._function(name) if isinstance(found, Function) else found

    def _function(self, name: str) -> Callable[..., Any]:
        def function(*args: object, **kwargs: object) -> object:
            given = [name, self.hands.lend(list(args)), self.hands.lend(kwargs)]
            came = self._guarded(lambda child: child.call(CALL, given, answer=self.hands.answer))
            if not (isinstance(came, tuple) and len(came) == 3):  # noqa: PLR2004 - what CALL returns
                return came
            value, *after = came
            restore([*args, *kwargs.values()], after)
            return value

        function.__name__ = name
        return function

    def close(self) -> None:
        """End the answer's process."""
        self._child = None
        self._open.close()


def restore(given: Sequence[object], after: Sequence[object]) -> None:
    """Change lists, dicts and sets that were handed to a function as it changed its copies of them."""
    args, kwargs = after
    copies = [*args, *kwargs.values()] if isinstance(args, list) and isinstance(kwargs, dict) else []
    for one, copy in zip(given, copies, strict=False):
        if type(one) is not type(copy) or not is_data(one) or one == copy:
            continue
        if isinstance(one, list) and isinstance(copy, list):
            one[:] = copy
        elif isinstance(one, dict | set) and isinstance(copy, dict | set):
            one.clear()
            one.update(copy)


def _as_modules(given: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return imports of Python's own modules, and what else is given by name."""
    modules = {
        name: thing.__name__
        for name, thing in given.items()
        if isinstance(thing, ModuleType) and importable(thing.__name__)
    }
    imports = "\n".join(f"import {module} as {name}" for name, module in modules.items())
    return imports, {name: thing for name, thing in given.items() if name not in modules}


def attempt(shell: Any, exercise: Exercise, answer: Answer) -> list[dict[str, Any]]:  # noqa: ANN401 - IPython's shell
    """Run a check on an answer and return its rows: passed, expected, seen and hint of each."""
    names = shell.user_ns
    for name in exercise.names:
        names.pop(name, None)
    for name in exercise.names:
        try:
            names[name] = answer.value(name)
        except KeyError:
            continue
    return checked(shell, exercise)


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


def _as_raised(error: Raised) -> BaseException:
    """Return an error of this side with the kind and text of the answer's own."""
    kind = getattr(builtins, error.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)) or issubclass(
        kind, KeyboardInterrupt
    ):
        kind = type(error.kind, (Exception,), {})
    made: BaseException = kind(error.text)
    return made

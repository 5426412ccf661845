"""One submission's process, seen from the grader.

Ended    the learner's code made its process end, or was ended at a limit; a new submission() goes on
Raised   the learner's code raised an exception
LabError the container or its engine failed, which is nobody's wrong answer
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, NoReturn

from labkit.engine import Locked, StreamEnded
from labkit.errors import LabError
from labkit.grading._codec import MOST_BYTES, Reader, Unreadable, read, refuse, tagged, write
from labkit.grading._limits import MIB, Limits
from labkit.grading._values import Function, Opaque, Reference

OWN_S = 30.0
"""How long the container may take for its own work, in seconds; more is a fault."""

ENVELOPE_BYTES = 4096
LINE_BYTES = MOST_BYTES + ENVELOPE_BYTES
SHOWN = 500

Answer = Callable[[str, str, tuple[Any, ...], dict[str, Any]], object]
"""Answers a question of learners' code: (reference's id, method, args, kwargs) → data or a Reference.

It raises LookupError for what may not be asked, and Raised to raise an exception in learners' code.
"""


class Ended(Exception):
    """The learner's process has ended, or was ended at a limit; the text says why."""


class TookTooLong(Ended):
    """The learner's process was ended because one call took longer than it may."""


class Raised(Exception):
    """The learner's code raised an exception.

    kind is its type's name, text its words, both as the code says, at most 500 characters each.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


def lost(problem: Exception) -> LabError:
    return LabError(
        expected="the grader's container answers",
        seen=str(problem) or "nothing in time",
        next_step="look whether the engine runs (labkit doctor), then grade this submission again",
    )


class Child:
    """One submission's process. Once it ended, or was ended at a limit, each verb raises Ended."""

    def __init__(self, container: Locked, limits: Limits) -> None:
        self._container, self._limits = container, limits
        self._handed = dict[str, Reference]()
        self._number = count(1)
        self._ended = ""

    def run(self, source: str, *, answer: Answer | None = None) -> str:
        """Run a cell; return "", or the error that it ended with, at most 500 characters.

        :raises Ended: when its process ended.
        """
        try:
            error = self._ask({"run": source}, answer)
        except (Raised, Unreadable) as problem:
            return _shown(str(problem))
        return _shown(error) if isinstance(error, str) else "an error without a text"

    def get(self, name: str) -> Any:  # noqa: ANN401 - any data
        """Return the value of a name: data, an Opaque, or a Function.

        :raises KeyError: when there is no such name.
        :raises Raised: when the value raises an exception as it is read.
        :raises Ended: when its process ended.
        """
        try:
            return self._ask({"get": name}, None)
        except Raised as problem:
            if problem.kind == "KeyError":
                raise KeyError(name) from None
            raise

    def call(
        self,
        name: str,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        *,
        answer: Answer | None = None,
    ) -> Any:  # noqa: ANN401 - any data
        """Call a function by its name and return its value, data or an Opaque.

        args and kwargs are data, and References; answer answers what the function asks them. None answers
        nothing: each question raises an AttributeError in the learner's code.

        :raises Raised: when the function raised an exception.
        :raises Ended: when its process ended.
        :raises TypeError: when an argument is no data.
        """
        content = [name, self._tagged([*args]), self._tagged(dict(kwargs or {}))]
        return self._ask({"call": content}, answer)

    def hand(self, values: Mapping[str, object]) -> None:
        """Give names values: data, and References.

        :raises Ended: when its process ended.
        :raises TypeError: when a value is no data.
        """
        self._ask({"hand": self._tagged(dict(values))}, None)

    def _tagged(self, value: object) -> Any:  # noqa: ANN401 - what JSON knows
        return tagged(value, self._reference)

    def _reference(self, value: object) -> Any:  # noqa: ANN401 - what JSON knows
        if not isinstance(value, Reference):
            return refuse(value)
        self._handed[value.id] = value
        attributes = [[name, self._tagged(one)] for name, one in value.attributes.items()]
        return {"reference": [value.id, attributes]}

    def _known(self, identity: str, _: object) -> object:
        """Return the reference that was handed over by this id; any other is a forgery, or a mistake."""
        return self._handed.get(identity, Opaque("Reference"))

    def _ask(self, request: Mapping[str, object], answer: Answer | None) -> Any:  # noqa: ANN401 - any data
        letter = b"q"
        for _ in range(self._limits.questions):
            kind, content = self._exchange(letter, request)
            reader = Reader(self._known, Function)
            if kind == "value":
                return reader.value(content)
            if kind == "raised":
                raise _raised(content)
            request, letter = self._answered(content, reader, answer), b"a"
        raise self._end(f"asked more than {self._limits.questions} questions")

    def _answered(self, content: Any, reader: Reader, answer: Answer | None) -> dict[str, object]:  # noqa: ANN401 - as it came
        identity, method, *tagged_values = _question(content) or self._unreadable()
        args, kwargs = map(reader.value, tagged_values)
        if type(args) is not tuple or type(kwargs) is not dict:
            self._unreadable()
        try:
            if answer is None or identity not in self._handed:
                raise LookupError(method)  # noqa: TRY301 - as the answer does
            return {"answer": self._tagged(answer(identity, method, args, kwargs))}
        except LookupError:
            return {"raise": ["AttributeError", f"nothing here is called {method}"]}
        except Raised as problem:
            return {"raise": [problem.kind, problem.text]}
        except BaseException:
            self._ended = "was left in the middle of a question"
            raise

    def _exchange(self, letter: bytes, request: Mapping[str, object]) -> tuple[str, Any]:
        """Send a line, and return what kind of answer came and its content."""
        if self._ended:
            raise Ended(self._ended)
        number = next(self._number)
        line = b"%b%d %b\n" % (letter, number, write(request))
        try:
            self._container.write(line, OWN_S)
            answer = self._container.line(LINE_BYTES + ENVELOPE_BYTES, self._limits.call_s + OWN_S)
        except (StreamEnded, TimeoutError, ValueError) as problem:
            raise self._lost(problem) from problem
        if answer.startswith(b"x "):
            raise self._end_by(answer[2:].decode())
        try:
            ((kind, content),) = read(answer.removeprefix(b"c ")).items()
        except (Unreadable, AttributeError, ValueError):
            self._unreadable()
        return (kind, content) if kind in {"value", "raised", "ask"} else self._unreadable()

    def _lost(self, problem: Exception) -> Exception:
        """Return the error for a container that is lost: the learner's fault only for want of memory."""
        self._ended = "its container was lost"
        if isinstance(problem, StreamEnded) and self._container.out_of_memory():
            return self._end(f"used more than {self._limits.container_bytes // MIB} MB of memory")
        return lost(problem)

    def _end_by(self, word: str) -> Ended:
        """Return the error for a process that the keeper has ended: the word says at which limit."""
        if word == "time":
            self._ended = f"took longer than {self._limits.call_s:g} s"
            return TookTooLong(self._ended)
        return self._end(f"wrote more than {MOST_BYTES // MIB} MB" if word == "size" else "its process ended")

    def _unreadable(self) -> NoReturn:
        raise self._end("answered what cannot be read")

    def _end(self, reason: str) -> Ended:
        self._ended = reason
        return Ended(reason)


def _question(content: object) -> tuple[str, str, object, object] | None:
    """Return a question's four parts, None when it is none."""
    match content:
        case [str() as identity, str() as method, args, kwargs]:
            return identity, method, args, kwargs
    return None


def _raised(content: object) -> Raised:
    match content:
        case [str() as kind, str() as text]:
            return Raised(_shown(kind), _shown(text))
    return Raised("Exception", "")


def _shown(text: str) -> str:
    """Return at most 500 characters, each of which can be written into a file: half of a pair cannot."""
    return text[:SHOWN].encode(errors="replace").decode()

"""Learners' code, run where it can do no harm: the grader's end of a locked container.

Ended    the learner's code made its process end, or was ended at a limit; a new submission() goes on
Raised   the learner's code raised an exception
LabError the container or its engine failed, which is nobody's wrong answer
"""

import json
import random
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, NoReturn, Self

from labkit.engine import GRADER, Engine, Locked, StreamEnded, build_images
from labkit.errors import LabError
from labkit.grading._codec import (
    MOST_BYTES,
    Function,
    Opaque,
    Reader,
    Record,
    Reference,
    Unreadable,
    read,
    refuse,
    tagged,
    write,
)
from labkit.grading._limits import MIB, Limits
from labkit.system import Limits as ContainerLimits

__all__ = ["Ended", "Function", "Limits", "Opaque", "Raised", "Record", "Reference", "Sandbox"]

ROOT_OF_HOMES = "/tmp"  # noqa: S108 - the container's own
RIGHTS = ("CHOWN", "KILL", "SETGID", "SETUID")
"""What the keeper needs to give a home away, to become another user, and to end that user's processes."""

USERS = range(20_000, 60_000)
"""The numbers of users that submissions get. An engine that maps users has none beyond 65,535."""

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


class Raised(Exception):
    """The learner's code raised an exception.

    kind is its type's name, text its words, both as the code says, at most 500 characters each.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


class Sandbox:
    """A place for submissions, one at a time; see `submission`. Its image is built when it is missing.

    fresh: each submission gets a new container; else all share one, each with a user and a home of its own,
    and nothing left of the one before.

    :raises LabError: when the engine cannot do it.
    """

    def __init__(self, engine: Engine, *, fresh: bool = True, limits: Limits | None = None) -> None:
        self._engine, self._fresh, self._limits = engine, fresh, limits or Limits()
        self._container: Locked | None = None
        self._users = count(random.randrange(len(USERS)))  # noqa: S311 - so that two containers differ, no secret
        self._busy = threading.Lock()

    def __enter__(self) -> Self:
        build_images(engine=self._engine, only=[GRADER])
        return self

    def __exit__(self, *_: object) -> None:
        self._throw_away()

    @contextmanager
    def submission(self) -> Iterator["Child"]:
        """Yield a new process for learners' code, and end it and all that it began.

        :raises LabError: when the container cannot be started; so do the child's verbs when it fails.
        :raises RuntimeError: when a submission is in this sandbox now.
        """
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("one submission at a time: take another Sandbox for another thread")
        try:
            container = self._container = self._container or self._start()
            child = Child(container, self._limits)
            self._begin(container)
            yield child
        finally:
            try:
                self._finish()
            finally:
                self._busy.release()

    def _start(self) -> Locked:
        limits = self._limits
        files = f"size={limits.home_bytes},nr_inodes={limits.home_files},mode=0711"
        return self._engine.locked(
            GRADER,
            limits=ContainerLimits(limits.container_bytes, limits.container_processes, limits.processors),
            capabilities=RIGHTS,
            folder={ROOT_OF_HOMES: files},
        )

    def _begin(self, container: Locked) -> None:
        uid = USERS[next(self._users) % len(USERS)]
        begin = {"uid": uid, "home": secrets.token_hex(8), "limits": _limits_inside(self._limits)}
        try:
            container.write(json.dumps(begin).encode() + b"\n", OWN_S)
        except (StreamEnded, TimeoutError) as problem:
            raise _lost(problem) from problem

    def _finish(self) -> None:
        """End the submission; throw the container away unless it is clean and may be used again."""
        container = self._container
        clean = False
        if container is not None and not self._fresh:
            with suppress(StreamEnded, TimeoutError, ValueError, KeyError):
                container.write(b"e0\n", OWN_S)
                clean = _left(container) == ""
        if not clean:
            self._throw_away()

    def _throw_away(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            container.close()


def _left(container: Locked) -> str:
    """Return what the keeper says is left; answers on the way there are the child's, which nobody awaits."""
    while not (line := container.line(LINE_BYTES, OWN_S)).startswith(b"k "):
        pass
    return str(json.loads(line[2:])["left"])


def _limits_inside(limits: Limits) -> dict[str, Any]:
    resources = {
        "RLIMIT_CPU": limits.processor_s,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    return {"call_s": limits.call_s, "line_bytes": LINE_BYTES, "resources": resources}


def _lost(problem: Exception) -> LabError:
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
        except Raised as problem:
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
        identity, method, args, kwargs = _question(content) or self._unreadable()
        try:
            if answer is None or identity not in self._handed:
                raise LookupError(method)  # noqa: TRY301 - as the answer does
            values = (reader.value(args), reader.value(kwargs))
            if type(values[0]) is not tuple or type(values[1]) is not dict:
                self._unreadable()
            return {"answer": self._tagged(answer(identity, method, *values))}
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
            raise self._end(self._reason(answer[2:].decode()))
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
        return _lost(problem)

    def _reason(self, word: str) -> str:
        words = {
            "time": f"took longer than {self._limits.call_s:g} s",
            "size": f"wrote more than {MOST_BYTES // MIB} MB",
        }
        return words.get(word, "its process ended")

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

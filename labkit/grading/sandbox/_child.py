"""The child: a user of its own, with a shell of IPython for the learner's code."""

import os
import resource
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from labkit.grading._codec import MOST_BYTES, Reader, Unreadable, opaque, read, tagged, write
from labkit.grading._values import type_name

SHOWN = 500
CONNECTION = 3
FIRST_TO_DIE = b"1000"
"""The score by which the kernel chooses whom to end when memory is short; a process may raise its own."""

MOST_DESCRIPTORS = 1024


def make_shell() -> InteractiveShell:
    """Return the shell that every child inherits, with nothing in it that writes files or grows."""
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.cache_size = 0
    config.InteractiveShell.colors = "nocolor"
    with TemporaryDirectory() as folder:  # its profile, which nothing here reads
        os.environ["IPYTHONDIR"] = folder
        shell = InteractiveShell.instance(config=config)
    # IPython copies all that is written into its history, 300,000 lines in 13 s; and it draws each traceback.
    for name, instead in (
        ("_tee", lambda *_, **__: nullcontext()),
        ("showtraceback", lambda *_, **__: None),
        ("showsyntaxerror", lambda *_, **__: None),
    ):
        setattr(shell, name, instead)
    for source in ("None", "1 / 0", "="):  # what IPython imports with the first cell of each kind
        shell.run_cell(source, store_history=False)  # type: ignore[no-untyped-call] # IPython's
    return shell


def serve(
    shell: InteractiveShell, connection: socket.socket, uid: int, home: Path, limits: dict[str, Any]
) -> None:
    """Become the submission's user, and serve the grader's requests until the connection ends."""
    _give_up_rights(connection, uid, home, limits)
    session = Session(shell, socket.socket(fileno=CONNECTION))
    with suppress(EOFError, OSError):
        while True:
            session.answer_one()


def _give_up_rights(connection: socket.socket, uid: int, home: Path, limits: dict[str, Any]) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.dup2(connection.detach(), CONNECTION)
    os.closerange(CONNECTION + 1, MOST_DESCRIPTORS)
    sys.stdin, sys.stdout, sys.stderr = (open(os.devnull, mode) for mode in ("r", "w", "w"))  # noqa: PTH123, SIM115 - they stay open
    Path("/proc/self/oom_score_adj").write_bytes(FIRST_TO_DIE)
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    for name, most in limits["resources"].items():
        resource.setrlimit(getattr(resource, name), (most, most))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.umask(0o077)
    os.chdir(home)
    for name in ("HOME", "TMPDIR", "IPYTHONDIR"):
        os.environ[name] = str(home)
    sys.path.insert(0, str(home))


class Session:
    """The grader's requests, one after the other."""

    def __init__(self, shell: InteractiveShell, connection: socket.socket) -> None:
        self._shell, self._connection = shell, connection
        self._incoming = connection.makefile("rb")
        self._number = b""
        self._asking = threading.RLock()
        self._requests: dict[str, Callable[[Any], Any]] = {
            "run": self._run,
            "get": self._get,
            "call": self._call,
            "hand": self._hand,
        }

    def answer_one(self) -> None:
        """Wait for a request and answer it.

        :raises EOFError: when there will be none.
        """
        request = self._receive()
        try:
            ((verb, content),) = request.items()
            answer = {"value": self._requests[verb](content)}
            line = write(answer)
        except Unreadable:
            line = write({"value": {"opaque": f"more than {MOST_BYTES} bytes"}})
        except BaseException as problem:  # noqa: BLE001 - whatever learners' code raises is an answer
            line = write({"raised": [type_name(problem), _words(problem)]})
        self._send(line)

    def _send(self, line: bytes) -> None:
        self._connection.sendall(self._number + b" " + line + b"\n")

    def _receive(self) -> dict[str, Any]:
        line = self._incoming.readline()
        if not line:
            raise EOFError
        self._number, _, text = line.partition(b" ")
        request: dict[str, Any] = read(text.rstrip(b"\n"))
        return request

    @property
    def _names(self) -> dict[str, Any]:
        names: dict[str, Any] = self._shell.user_ns
        return names

    def _reader(self) -> Reader:
        return Reader(
            lambda identity, attributes: Remote(self.ask, identity, attributes), self._names.__getitem__
        )

    def _run(self, source: str) -> str:
        result = self._shell.run_cell(source, store_history=False)  # type: ignore[no-untyped-call] # IPython's
        problem = result.error_before_exec or result.error_in_exec
        return f"{type_name(problem)}: {_words(problem)}"[:SHOWN] if problem else ""

    def _get(self, name: str) -> Any:  # noqa: ANN401 - tagged JSON
        value = self._names[name]
        return {"function": name} if callable(value) else _tagged(value)

    def _call(self, content: list[Any]) -> Any:  # noqa: ANN401 - tagged JSON
        name, args, kwargs = content
        reader = self._reader()
        return _tagged(self._names[name](*reader.value(args), **reader.value(kwargs)))

    def _hand(self, values: object) -> None:
        self._names.update(self._reader().value(values))

    def ask(self, identity: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - any data
        """Ask the grader what a reference's method answers.

        :raises AttributeError: when this may not be called.
        """
        with self._asking:
            self._send(write({"ask": [identity, method, _tagged(args), _tagged(kwargs)]}))
            ((kind, content),) = self._receive().items()
        if kind == "answer":
            return self._reader().value(content)
        raise _exception(*content)


class Remote:
    """A thing of the grader's. What learners' code does with it is a question; given attributes are here."""

    def __init__(self, ask: Any, identity: str, attributes: Mapping[str, object]) -> None:  # noqa: ANN401 - Session.ask
        self.__dict__.update(attributes, _labkit_ask=ask, _labkit_id=identity)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any data, or another thing
        if name.startswith("_") and name != "__name__":
            raise AttributeError(name)
        return self._labkit_ask(self._labkit_id, "__getattr__", (name,), {})

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        told = (None, None) if kind is None else (type_name(error), _words(error))
        return bool(self._labkit_ask(self._labkit_id, "__exit__", told, {}))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._labkit_ask(self._labkit_id, "__iter__", (), {}))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and self._labkit_id == other.__dict__["_labkit_id"]

    def __hash__(self) -> int:
        return hash(self._labkit_id)


def _question(method: str) -> Any:  # noqa: ANN401 - a method of Remote
    def ask(self: Remote, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any data
        return self.__dict__["_labkit_ask"](self.__dict__["_labkit_id"], method, args, kwargs)

    return ask


for _method in ("__call__", "__contains__", "__enter__", "__getitem__", "__len__"):
    setattr(Remote, _method, _question(_method))


def _tagged(value: object) -> Any:  # noqa: ANN401 - what JSON knows
    return tagged(value, _other)


def _other(value: object) -> Any:  # noqa: ANN401 - what JSON knows
    if isinstance(value, Remote):
        return {"reference": [value.__dict__["_labkit_id"], []]}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        plain = value.item()
        if not isinstance(plain, numpy.generic):
            return tagged(plain, opaque)
    return opaque(value)


def _words(problem: BaseException | None) -> str:
    try:
        return str(problem)[:SHOWN]
    except BaseException:  # noqa: BLE001 - a text that cannot be had is none
        return ""


def _exception(kind: str, text: str) -> BaseException:
    """Return an exception of Python's own of this name; a RuntimeError where there is none."""
    import builtins  # noqa: PLC0415 - asked only here

    known = getattr(builtins, kind, None)
    if isinstance(known, type) and issubclass(known, BaseException):
        with suppress(TypeError):
            return known(text)
    return RuntimeError(f"{kind}: {text}")

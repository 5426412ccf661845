"""The relay: passes lines between the grader and one child, and counts the child's time and bytes."""

import os
import select
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from labkit.grading.sandbox._child import serve

CHUNK_BYTES = 1 << 16
LOOK_S = 0.1
"""How often the relay looks whether the child lives: its socket may stay open in a process that it began."""


class ChildEnded(Exception):
    """The child has ended, or is to be ended: "time", "size" or "process"."""


class GraderGone(Exception):
    """The grader has closed its end, or speaks out of turn."""


def relay(shell: Any, uid: int, home: Path, limits: dict[str, Any]) -> None:  # noqa: ANN401 - IPython's
    """Fork the child, then pass lines until the grader ends it.

    :raises GraderGone: when the grader ends it at any other time than its turn.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            serve(shell, theirs, uid, home, limits)
        finally:
            os._exit(1)
    theirs.close()
    _pass_on(Child(pid, ours, limits["line_bytes"]), limits["call_s"])


def _pass_on(child: "Child", call_s: float) -> None:
    grader = Lines(0)
    left_s = call_s
    while True:
        while (line := grader.line()) is None:
            if not grader.receive():
                return
        if line.startswith(b"e"):
            return
        if line.startswith(b"q"):
            left_s = call_s
        number, _, text = line[1:].partition(b" ")
        started = time.monotonic()
        try:
            child.send(number + b" " + text + b"\n", left_s)
            answer = b"c " + child.answer(number, started + left_s)
        except ChildEnded as reason:
            answer = b"x " + str(reason).encode()
        left_s -= time.monotonic() - started
        _write(answer + b"\n")


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


class Lines:
    """Lines from a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._buffer = bytearray()
        self._searched = 0

    def line(self) -> bytes | None:
        """Return the next whole line that has come, None when there is none."""
        at = self._buffer.find(b"\n", self._searched)
        if at < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 1]
        self._searched = 0
        return line

    def receive(self) -> int:
        """Wait for some bytes, and return how many came: 0 when there will be none."""
        received = os.read(self.descriptor, CHUNK_BYTES)
        self._buffer += received
        return len(received)


class Child:
    """The child, seen from the relay."""

    def __init__(self, pid: int, connection: socket.socket, most_bytes: int) -> None:
        self.pid, self.connection, self.most_bytes = pid, connection, most_bytes
        self._lines = Lines(connection.fileno())
        self._ended = ""

    def send(self, line: bytes, within_s: float) -> None:
        """Send it a line.

        :raises ChildEnded: when it does not read it in time, or cannot.
        """
        if self._ended:
            raise ChildEnded(self._ended)
        try:
            self.connection.settimeout(max(within_s, 0.001))
            self.connection.sendall(line)
        except TimeoutError:
            self._end("time")
        except OSError:
            self._end("process")

    def answer(self, number: bytes, end: float) -> bytes:
        """Return its line with this number, without the number; drop others.

        :raises ChildEnded: when none comes before the time `end`, or too much else.
        """
        begin, received = number + b" ", 0
        while True:
            while (line := self._lines.line()) is not None:
                if line.startswith(begin):
                    return line[len(begin) :]
            if received > self.most_bytes:
                self._end("size")
            received += self._wait(end)

    def _wait(self, end: float) -> int:
        """Wait for some bytes of it, and return how many came: 0 when it is time to look again."""
        left_s = end - time.monotonic()
        if left_s <= 0:
            self._end("time")
        ready, _, _ = select.select([self.connection.fileno(), 0], [], [], min(left_s, LOOK_S))
        if 0 in ready:
            raise GraderGone
        if self.connection.fileno() in ready:
            with suppress(OSError):  # a connection that was broken off has ended, too
                if received := self._lines.receive():
                    return received
            self._end("process")
        if os.waitpid(self.pid, os.WNOHANG)[0]:
            self._end("process")
        return 0

    def _end(self, reason: str) -> NoReturn:
        self._ended = reason
        raise ChildEnded(reason)

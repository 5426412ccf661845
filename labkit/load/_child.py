"""The child process: a `Player` or a `Crowd`, fed and kept alive by the control channel to its parent.

`main` is called with the socket's file descriptor, after gevent has patched the standard library. Locust is
there already when the load has users. The parent's first line is the command, as JSON; the line `stop` ends
the sending. The end of the connection, however the parent ended, kills this process and its group.
"""

import base64
import gc
import json
import os
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent.event import Event

from labkit.errors import LabError
from labkit.load._player import Player
from labkit.load._recorder import Recorder
from labkit.load._users import Users

_FEED_S = 0.1
"""A deployment that is judged ten times a second needs figures as fresh as that."""


class ControlChannel:
    """The socket to the parent: it carries the command, the feed, and the end of the parent."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._lines = self._socket.makefile("rb")

    def command(self) -> dict[str, Any]:
        """Return the parent's first message: what to send, and where."""
        return dict(json.loads(self._lines.readline()))

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; `listen` handles a parent that is gone."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def listen(self, stop: Event) -> None:
        """Set stop when the parent asks for it; when the parent is gone, kill this process and its group.

        The kill stands in `finally`, since a parent that died with unread data shows as ConnectionResetError.
        """
        try:
            for line in self._lines:
                if line == b"stop\n":
                    stop.set()
        finally:
            os.killpg(0, signal.SIGKILL)


def _prepare(command: dict[str, Any], recorder: Recorder, stop: Event) -> Callable[[], None]:
    """Return what runs the commanded load.

    :raises LabError: when its users cannot be loaded.
    """
    # Last, so that no module of the current folder hides one of Python's.
    sys.path += [entry for entry in command["path"] if entry not in sys.path]
    try:
        work = pickle.loads(base64.b64decode(command["work"]))  # noqa: S301 - the parent's own, on its own socket
        if isinstance(work, Users):
            from labkit.load._closed import Crowd, load_users  # noqa: PLC0415 - imports locust

            return Crowd(load_users(work, command["url"]), work, recorder, stop).run
    except LabError:
        raise
    except Exception as error:  # of a module that the users need, or of locust about them
        seen = f"{type(error).__name__}: {error}"
        raise LabError("users that can be loaded in a process of their own", seen, "correct them") from error
    return Player(work, command["url"], recorder, stop).play


def main(descriptor: int) -> None:
    """Send the commanded load, and feed its measurement to the parent ten times a second."""
    # Each connection is an open file: a low limit would make a slow server look like "too many open files".
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    channel = ControlChannel(descriptor)
    command = channel.command()
    recorder, stop = Recorder(), Event()
    gevent.spawn(channel.listen, stop)
    try:
        run = _prepare(command, recorder, stop)
    except LabError as refusal:
        channel.send({"refused": [refusal.expected, refusal.seen, refusal.next_step]})
        os._exit(1)
    gc.freeze()  # the libraries' objects: a full collection over them would delay requests by tens of ms
    work = gevent.spawn(run)
    channel.send({"done": False, **recorder.take()})
    while not gevent.wait([work], timeout=_FEED_S):
        channel.send({"done": False, **recorder.take()})
    channel.send({"done": work.successful(), **recorder.take()})
    # No clean-up is left to do, and locust's own exit waits a second for its greenlets.
    os._exit(not work.successful())

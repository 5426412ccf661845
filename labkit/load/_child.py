"""The child process: locust with one `Player`, fed and kept alive by the control channel to its parent.

Run as `python -P -m labkit.load._child FD`. The parent's first line is the command, as JSON; the line `stop`
ends the sending. The end of the connection, however the parent ended, kills this process and its group.
"""

import gc
import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from time import perf_counter
from typing import Any

# locust patches the standard library when it is imported, so it comes before the patched modules are used.
import gevent
import locust.stats
from gevent.event import Event
from locust.env import Environment

from labkit.load._define import Load
from labkit.load._histogram import lower_edge, middle_ms
from labkit.load._player import Player, record_in
from labkit.load._rate import Rate
from labkit.load._recorder import Recorder
from labkit.load._replay import Replay
from labkit.load._request import Request
from labkit.load._schedule import Schedule
from labkit.load._session import Session

_FEED_S = 0.5


def _finer_bucket(milliseconds: float) -> float:
    """Replace locust's rounding to whole milliseconds, which doubles times under 1 ms."""
    return middle_ms(lower_edge(int(milliseconds * 1e3)))


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


def _feed(channel: ControlChannel, player: type[Player], *, done: bool = False) -> None:
    seconds = 0.0 if player.start_s is None else max(0.0, perf_counter() - player.start_s)
    channel.send({"seconds": seconds, "done": done, **player.recorder.take()})


def _schedule(command: dict[str, Any]) -> Schedule:
    sessions = [
        Session(**fields | {"requests": tuple(map(_request, fields["requests"]))})
        for fields in command["sessions"]
    ]
    if "arrivals" in command:
        requests = tuple(session.requests[0] for session in sessions)
        return Replay(requests, tuple(map(tuple, command["arrivals"])), command["timeout_s"])
    rate = Rate(tuple(map(tuple, command["load"].pop("rate_per_s"))))
    return Load(dict(zip(sessions, command["weights"], strict=True)), rate, **command["load"])


def _request(fields: dict[str, Any]) -> Request:
    return Request(fields["method"], fields["path"], bytes.fromhex(fields["body"]), fields["headers"])


def main(descriptor: int) -> None:
    """Play the commanded load, and feed its measurement to the parent every half second."""
    # Each connection is an open file: a low limit would make a slow server look like "too many open files".
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    channel = ControlChannel(descriptor)
    command = channel.command()
    locust.stats.bucket_response_time = _finer_bucket  # type: ignore[assignment] # keys may be floats
    recorder, stop, finished = Recorder(), Event(), Event()
    gevent.spawn(channel.listen, stop)
    attributes = {
        "schedule": _schedule(command),
        "recorder": recorder,
        "stop_sending": stop,
        "finished": finished,
        "abstract": False,
    }
    player: type[Player] = type("Customers", (Player,), attributes)
    environment = Environment(user_classes=[player], host=command["url"], catch_exceptions=False)
    environment.events.request.add_listener(record_in(recorder))  # type: ignore[no-untyped-call] # locust's
    runner = environment.create_local_runner()
    gc.freeze()  # the libraries' objects: a full collection over them would delay requests by tens of ms
    runner.start(1, spawn_rate=1)
    while not finished.wait(_FEED_S):
        _feed(channel, player)
    _feed(channel, player, done=player.is_complete)
    # No clean-up is left to do, and locust's own exit waits a second for its greenlets.
    os._exit(not player.is_complete)


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The child process: locust with one `Player`, fed and kept alive by the socket to its parent.

Run as `python -P -m labkit.load._child FD`. The parent's first line is the order; `stop` ends the sending;
the end of the connection, however the parent ended, kills this process and its group.
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

# locust patches the standard library when it is imported, so it comes before what it patches is used.
import gevent
import locust.stats
from gevent.event import Event
from locust.env import Environment

from labkit.load._define import Load, Request
from labkit.load._histogram import bucket, middle_ms
from labkit.load._ledger import Ledger
from labkit.load._player import Player, enter
from labkit.load._rate import Rate
from labkit.load._replay import Replay
from labkit.load._session import Session

_FEED_S = 0.5


def _finer_bucket(milliseconds: float) -> float:
    """Replace locust's rounding to whole milliseconds, which doubles times under 1 ms."""
    return middle_ms(bucket(int(milliseconds * 1e3)))


class Line:
    """The socket to the parent: feed out, orders in, and the lifeline."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._lines = self._socket.makefile("rb")

    def order(self) -> dict[str, Any]:
        """Return what the parent asks for."""
        return dict(json.loads(self._lines.readline()))

    def tell(self, message: dict[str, Any]) -> None:
        """Send one line; a parent that is gone is the lifeline's affair."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def live(self, stop: Event) -> None:
        """Obey until the parent is gone; then leave nothing behind.

        The kill stands in `finally`, since a parent that died with unread data shows as ConnectionResetError.
        """
        try:
            for line in self._lines:
                if line == b"stop\n":
                    stop.set()
        finally:
            os.killpg(0, signal.SIGKILL)


def _feed(line: Line, player: type[Player], *, done: bool = False) -> None:
    seconds = 0.0 if player.start_s is None else max(0.0, perf_counter() - player.start_s)
    line.tell({"seconds": seconds, "done": done, **player.ledger.take()})


def _load(order: dict[str, Any]) -> Load | Replay:
    sessions = [
        Session(**it | {"requests": tuple(map(_request, it["requests"]))}) for it in order["sessions"]
    ]
    if "arrivals" in order:
        requests = tuple(session.requests[0] for session in sessions)
        return Replay(requests, tuple(map(tuple, order["arrivals"])), order["timeout_s"])
    rate = Rate(tuple(map(tuple, order["load"].pop("rate_per_s"))))
    return Load(dict(zip(sessions, order["weights"], strict=True)), rate, **order["load"])


def _request(entry: dict[str, Any]) -> Request:
    return Request(entry["method"], entry["path"], bytes.fromhex(entry["body"]), entry["headers"])


def main(descriptor: int) -> None:
    """Play the ordered load and feed what happens to the parent every half second."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (most, most)
    )  # or a slow server looks like "too many open files"
    line = Line(descriptor)
    order = line.order()
    locust.stats.bucket_response_time = _finer_bucket  # type: ignore[assignment] # keys may be floats
    ledger, stop, finished = Ledger(), Event(), Event()
    gevent.spawn(line.live, stop)
    attributes = {
        "load": _load(order),
        "ledger": ledger,
        "stop_sending": stop,
        "finished": finished,
        "abstract": False,
    }
    player: type[Player] = type("Customers", (Player,), attributes)
    environment = Environment(user_classes=[player], host=order["url"], catch_exceptions=False)
    environment.events.request.add_listener(enter(ledger))  # type: ignore[no-untyped-call]
    runner = environment.create_local_runner()
    gc.freeze()  # the libraries' objects: a full collection over them would delay requests by tens of ms
    runner.start(1, spawn_rate=1)
    while not finished.wait(_FEED_S):
        _feed(line, player)
    _feed(line, player, done=player.is_complete)
    os._exit(
        not player.is_complete
    )  # nothing is left to tidy; locust's own way out waits a second for its greenlets


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""Applies a load: a child process that cannot outlive this one, and a thread that reads what it feeds."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self

from labkit.errors import LabError
from labkit.load._define import Load
from labkit.load._histogram import Histogram
from labkit.load._measurement import Failure, Key, Measurement, Recent, Tally
from labkit.load._schedule import Schedule
from labkit.load._target import check_target
from labkit.load._users import Users, has_users, pack

_LAST_OUTPUT_BYTES = 2000
_GRACE_S = 5.0  # beyond the load's own time-out
# Before anything else the standard library is patched for gevent, which locust does when it is imported. That
# takes three times as long as the rest of the child's start, so it is left out where no locust user is.
_CHILD = "import sys; {}; from labkit.load._child import main; main(int(sys.argv[1]))"
_WITH_USERS, _REQUESTS = "import locust", "from gevent import monkey; monkey.patch_all()"


Target = Load | type | Sequence[type] | str | Path
"""What can be applied."""


def apply(
    target: Target,
    url: str,
    *,
    users: int | None = None,
    spawn_rate: float | None = None,
    duration_s: float | None = None,
    hosts: Collection[str] = (),
) -> "RunningLoad":
    """Start to send a load to the server at a URL ("http://127.0.0.1:8080") and return at once.

    target is a `Load`, or locust users: a User class, several classes, of which one may be a LoadTestShape,
    or a locustfile's path. users and spawn_rate mean what they mean to locust, and None is locust's 1. The
    users leave after duration_s seconds; None lets them stay until they are stopped or their shape ends. A
    `Load` has its own rate and duration.

    The URL is the users' host, as with `locust --host`. It has to be on this machine, or on one of hosts,
    such as the container engine's host. A wrong URL must not put load on somebody else's server. What users
    print is lost: they run in a process of their own.

    :raises LabError: for any other target; for users that are not found, that cannot be loaded, or whose
        tasks hold something that cannot leave this process; for users, spawn_rate or duration_s with a Load.
    """
    check_target(url, hosts)
    how = {"users": users, "spawn_rate": spawn_rate, "duration_s": duration_s}
    given = {name: value for name, value in how.items() if value is not None}
    if not isinstance(target, Load):
        return RunningLoad(Users.of(target, hosts, **given), url).await_start()
    if given:
        seen = ", ".join(f"{name} = {value}" for name, value in given.items())
        raise LabError("a Load alone, which has its own rate and duration", seen, "give these to the Load")
    return RunningLoad(target, url)


class RunningLoad:
    """A load that is being applied. The end of its `with` block stops it, an exception there kills it.

    A daemon thread reads the child's feed. So a snapshot is up to date also while the caller waits, and after
    its cell ended. The child leads a process group, and kills the group when this process ends in any way.
    """

    def __init__(self, work: Schedule | Users, url: str) -> None:
        self.work, self.url = work, url
        # The users' own modules are found where this process finds them.
        command = {"path": [entry or str(Path.cwd()) for entry in sys.path], "url": url, "work": pack(work)}
        self._measurement, self._done, self._killed = Measurement(), False, False
        self._refused: list[str] = []
        self._lock, self._started = Lock(), Event()
        self._socket, theirs = socket.socketpair()
        # A file, not a pipe: nobody has to read it for the child to go on.
        self._last_output: list[str] = []
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        first = _WITH_USERS if has_users(work) else _REQUESTS
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CHILD.format(first), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._output,
                env=_environment(),
            )
        with suppress(OSError):  # the reader finds out that the child is gone
            self._socket.sendall(json.dumps(command).encode() + b"\n")
        self._reader = Thread(target=self._read, name=f"load on {url}", daemon=True)
        self._reader.start()

    def await_start(self) -> Self:
        """Wait until the child has loaded its users, and return this load.

        :raises LabError: when it could not.
        """
        try:
            self._started.wait()
        except KeyboardInterrupt:
            self.kill()
            raise
        if self._refused:  # first, because a child that refused has also ended by itself
            self.kill()
            raise LabError(*self._refused)
        if not self._done and not self._reader.is_alive():
            self.wait()
        return self

    def snapshot(self) -> Measurement:
        """Return the measurement so far; it is at most a tenth of a second old."""
        with self._lock:
            return self._measurement

    @property
    def is_running(self) -> bool:
        """Whether requests are still sent or awaited."""
        return self._reader.is_alive()

    def wait(self, timeout_s: float | None = None) -> Measurement:
        """Wait until the load has ended and every answer is in, and return the measurement.

        timeout_s limits the wait in seconds; None waits for ever.

        :raises TimeoutError: when the load still runs after timeout_s.
        :raises LabError: when the child process ended before its load.
        """
        self._reader.join(timeout_s)
        if self._reader.is_alive():
            message = f"the load still runs after {timeout_s} s"
            raise TimeoutError(message)
        if not self._done and not self._killed:
            seen = f"it ended by itself (exit code {self._process.returncode}) {''.join(self._last_output)}"
            raise LabError(
                expected="a load that runs to its end", seen=seen, next_step="apply the load again"
            )
        return self.snapshot()

    def stop(self) -> Measurement:
        """Send nothing more, wait for the requests in flight, and return the measurement.

        Users who are under way have the load's timeout_s seconds left, those of no `Load` one second. A
        second call returns the same measurement.
        """
        with suppress(OSError):
            self._socket.sendall(b"stop\n")
        try:
            return self.wait(self.work.timeout_s + _GRACE_S)
        except TimeoutError:
            self.kill()
            return self.snapshot()

    def kill(self) -> None:
        """End the child at once; the answers to requests in flight are lost."""
        self._killed = True
        with suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()  # also when it has ended: a crash of the child must not look like an idle server
        else:
            self.kill()

    def __repr__(self) -> str:
        return f"{'running' if self.is_running else 'ended'}: {self.snapshot()!r}"

    def _read(self) -> None:
        """Merge every message of the feed until the child is gone, then wait for its exit code."""
        with self._socket, suppress(OSError), self._socket.makefile("rb") as feed:
            for line in feed:
                if not line.endswith(b"\n"):
                    break  # cut off by the child's death
                self._take(json.loads(line))
        self._process.wait()
        with self._output as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - _LAST_OUTPUT_BYTES))
            self._last_output = output.read().decode(errors="replace").strip().splitlines()[-1:]
        self._started.set()

    def _take(self, message: dict[str, Any]) -> None:
        """Take one message of the child: why it refuses its users, or what it recorded."""
        if "refused" in message:
            self._refused = message["refused"]
        else:
            self._done = message["done"]
            merged = _merge(self._measurement, message)
            with self._lock:
                self._measurement = merged
        self._started.set()


def _environment() -> dict[str, str]:
    """Return this process's environment variables without those that configure locust."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}


def _merge(before: Measurement, message: dict[str, Any]) -> Measurement:
    """Return a measurement with what the child recorded since its last message."""
    tallies = dict(before.tallies)
    for second, version, request, requests, failed, latency in message["tallies"]:
        key = Key(second, version, request)
        tallies[key] = tallies.get(key, Tally()) + Tally(requests, failed, Histogram(map(tuple, latency)))
    errors = dict(before.errors)
    for cause, count in message["errors"].items():
        errors[cause] = errors.get(cause, 0) + count
    outcomes = Counter(before.outcomes)
    outcomes.update(message["outcomes"])
    return Measurement(
        seconds=message["seconds"],
        began=before.began or message["began"],
        sent=message["sent"],
        errors=errors,
        examples=before.examples + tuple(Failure(**example) for example in message["examples"]),
        scheduling_lag=before.scheduling_lag + Histogram(map(tuple, message["scheduling_lag"])),
        tallies=tallies,
        outcomes=outcomes,
        last_failure=message["last_failure"],
        recent=tuple(Recent(*answer) for answer in message["recent"]),
    )

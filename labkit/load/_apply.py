"""Applies a load: a child process that cannot outlive this one, and a thread that reads what it feeds."""

import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from labkit.errors import LabError
from labkit.load._define import Load
from labkit.load._histogram import Histogram
from labkit.load._measurement import Failure, Key, Measurement, Recent, Tally
from labkit.load._request import Request
from labkit.load._schedule import Schedule
from labkit.load._session import Session

_LAST_OUTPUT_BYTES = 2000
_GRACE_S = 5.0  # beyond the requests' own time-out


def apply(load: Load, url: str, *, hosts: Collection[str] = ()) -> "RunningLoad":
    """Start to send a load to the server at a URL ("http://127.0.0.1:8080") and return at once.

    The target has to be on this machine, or on one of hosts, such as the container engine's host. A wrong URL
    must not put load on somebody else's server.

    :raises LabError: for any other target.
    """
    check_target(url, hosts)
    return RunningLoad(load, url)


def check_target(url: str, hosts: Collection[str]) -> None:
    """Check that a URL names a server on this machine or on one of hosts.

    :raises LabError: when it does not.
    """
    parts = urlsplit(url)
    try:
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        port, host = None, ""
    plain = parts.scheme == "http" and parts.path in {"", "/"} and not parts.query and "@" not in parts.netloc
    if not plain or not host or port == 0:
        raise LabError(
            expected="a target like http://127.0.0.1:8080",
            seen=repr(url),
            next_step="put paths into the mix, not into the URL",
        )
    if host in hosts or host == "localhost" or _is_loopback(host):
        return
    raise LabError(
        expected="a load on this machine or on the container engine's host",
        seen=f"the host {host}",
        next_step="give the environment's url, or name the host in hosts=[…] when the server is yours",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class RunningLoad:
    """A load that is being applied. The end of its `with` block stops it, an exception there kills it.

    A daemon thread reads the child's feed. So a snapshot is up to date also while the caller waits, and after
    its cell ended. The child leads a process group, and kills the group when this process ends in any way.
    """

    def __init__(self, schedule: Schedule, url: str) -> None:
        self.schedule, self.url = schedule, url
        self._measurement, self._done, self._killed = Measurement(), False, False
        self._lock = Lock()
        self._socket, theirs = socket.socketpair()
        # A file, not a pipe: nobody has to read it for the child to go on.
        self._last_output: list[str] = []
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "labkit.load._child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._output,
                env=_environment(),
            )
        with suppress(OSError):  # the reader finds out that the child is gone
            self._socket.sendall(json.dumps(_command(schedule, url)).encode() + b"\n")
        self._reader = Thread(target=self._read, name=f"load on {url}", daemon=True)
        self._reader.start()

    def snapshot(self) -> Measurement:
        """Return the measurement so far; it is at most half a second old."""
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

        A second call returns the same measurement.
        """
        with suppress(OSError):
            self._socket.sendall(b"stop\n")
        try:
            return self.wait(max(map(self._longest_s, self.schedule.requests)) + _GRACE_S)
        except TimeoutError:
            self.kill()
            return self.snapshot()

    def _longest_s(self, entry: Request | Session) -> float:
        """Return the seconds after which a request is answered, or a session is over, at the latest."""
        if isinstance(entry, Request):
            return self.schedule.timeout_s
        return len(entry.requests) * (entry.pause_s + self.schedule.timeout_s)

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
                message = json.loads(line)
                self._done = message["done"]
                merged = _merge(self._measurement, message)
                with self._lock:
                    self._measurement = merged
        self._process.wait()
        with self._output as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - _LAST_OUTPUT_BYTES))
            self._last_output = output.read().decode(errors="replace").strip().splitlines()[-1:]


def _environment() -> dict[str, str]:
    """Return this process's environment variables without those that configure locust."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}


def _command(schedule: Schedule, url: str) -> dict[str, Any]:
    """Return the first message to the child: what it has to send, and where."""
    sessions = [entry if isinstance(entry, Session) else Session((entry,)) for entry in schedule.requests]
    return {"url": url, "sessions": list(map(_session_json, sessions)), **schedule.to_json()}


def _session_json(session: Session) -> dict[str, Any]:
    return {**vars(session), "requests": list(map(_request_json, session.requests))}


def _request_json(request: Request) -> dict[str, Any]:
    body = request.body if isinstance(request.body, bytes) else b""
    parts = {"method": request.method, "path": request.path, "headers": dict(request.headers)}
    return {**parts, "body": body.hex()}


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
        sent=message["sent"],
        errors=errors,
        examples=before.examples + tuple(Failure(**example) for example in message["examples"]),
        scheduling_lag=before.scheduling_lag + Histogram(map(tuple, message["scheduling_lag"])),
        tallies=tallies,
        outcomes=outcomes,
        last_failure=message["last_failure"],
        recent=tuple(Recent(*answer) for answer in message["recent"]),
    )

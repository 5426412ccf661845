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
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from labkit.errors import LabError
from labkit.load._define import Load, Request
from labkit.load._histogram import Histogram
from labkit.load._measurement import Failure, Key, Measurement, Recent, Tally
from labkit.load._session import Session

if TYPE_CHECKING:
    from labkit.load._replay import Replay

_LAST_WORDS_BYTES = 2000
_GRACE_S = 5.0  # beyond the requests' own time-out


def apply(load: Load, url: str, *, hosts: Collection[str] = ()) -> "Running":
    """Start to send a load to the server at a URL ("http://127.0.0.1:8080") and return at once.

    Only this machine may be the target, and hosts that the caller names, the container engine's for one: a
    slip in a URL must not put load on somebody else's server. Raises LabError for any other target.
    """
    check_target(url, hosts)
    return Running(load, url)


def check_target(url: str, hosts: Collection[str]) -> None:
    """Raise LabError unless a URL is a server's on this machine or on a host that the caller names."""
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


class Running:
    """A load under way. Leaving its `with` block stops it; an exception there kills it at once.

    A daemon thread reads the child's feed, so snapshots are new also while the caller waits, and after its
    cell ended. The child leads its own process group and kills that when this process ends in any way.
    """

    def __init__(self, load: "Load | Replay", url: str) -> None:
        self.load, self.url = load, url
        self._measurement, self._done, self._killed = Measurement(), False, False
        self._lock = Lock()
        self._socket, theirs = socket.socketpair()
        # A file, not a pipe: nobody has to read it for the child to go on.
        self._last_words: list[str] = []
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "labkit.load._child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._words,
                env=_environment(),
            )
        with suppress(OSError):  # a child that is already gone is told by the reader
            self._socket.sendall(json.dumps(_order(load, url)).encode() + b"\n")
        self._reader = Thread(target=self._read, name=f"load on {url}", daemon=True)
        self._reader.start()

    def snapshot(self) -> Measurement:
        """Return what was measured so far; at most half a second old."""
        with self._lock:
            return self._measurement

    @property
    def is_running(self) -> bool:
        """Whether requests are still sent or awaited."""
        return self._reader.is_alive()

    def wait(self, timeout_s: float | None = None) -> Measurement:
        """Wait until the load has ended and every answer is in, and return the measurement.

        Raises TimeoutError after timeout_s (None: never), and LabError when the child ended before its load.
        """
        self._reader.join(timeout_s)
        if self._reader.is_alive():
            message = f"the load still runs after {timeout_s} s"
            raise TimeoutError(message)
        if not self._done and not self._killed:
            seen = f"it ended by itself (exit code {self._process.returncode}) {''.join(self._last_words)}"
            raise LabError(expected="a load that runs to its end", seen=seen, next_step="apply it again")
        return self.snapshot()

    def stop(self) -> Measurement:
        """Send nothing more, wait for the answers under way, and return the measurement; again: the same."""
        with suppress(OSError):
            self._socket.sendall(b"stop\n")
        try:
            return self.wait(max(map(self._lasts_s, self.load.requests)) + _GRACE_S)
        except TimeoutError:
            self.kill()
            return self.snapshot()

    def _lasts_s(self, asked: Request | Session) -> float:
        """Return the seconds after which a request is answered, or a session over, at the latest."""
        if isinstance(asked, Request):
            return self.load.timeout_s
        return len(asked.requests) * (asked.pause_s + self.load.timeout_s)

    def kill(self) -> None:
        """End the child at once; answers under way are lost."""
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
            self.stop()  # also when it has ended: a child that broke off must not pass for a quiet server
        else:
            self.kill()

    def __repr__(self) -> str:
        return f"{'running' if self.is_running else 'ended'}: {self.snapshot()!r}"

    def _read(self) -> None:
        """Merge every message of the feed until the child is gone, then reap it."""
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
        with self._words as words:
            words.seek(max(0, words.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
            self._last_words = words.read().decode(errors="replace").strip().splitlines()[-1:]


def _environment() -> dict[str, str]:
    """Return this process's environment without what would change how locust is loaded."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}


def _order(load: "Load | Replay", url: str) -> dict[str, Any]:
    asked = [it if isinstance(it, Session) else Session((it,)) for it in load.requests]
    sessions = [{**vars(it), "requests": [_entry(request) for request in it.requests]} for it in asked]
    return {"url": url, "sessions": sessions, **load.told()}


def _entry(request: Request) -> dict[str, Any]:
    body = request.body if isinstance(request.body, bytes) else b""
    parts = {"method": request.method, "path": request.path, "headers": dict(request.headers)}
    return {**parts, "body": body.hex()}


def _merge(before: Measurement, message: dict[str, Any]) -> Measurement:
    cells = dict(before.cells)
    for second, version, request, requests, failed, latency in message["cells"]:
        key = Key(second, version, request)
        cells[key] = cells.get(key, Tally()) + Tally(requests, failed, Histogram(map(tuple, latency)))
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
        late=before.late + Histogram(map(tuple, message["late"])),
        cells=cells,
        outcomes=outcomes,
        last_failure=message["last_failure"],
        recent=tuple(Recent(*it) for it in message["recent"]),
    )

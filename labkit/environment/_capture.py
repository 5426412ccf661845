"""Captures what comes in: a door of its own before the balancer, which writes each request down.

nginx passes every request on to the load balancer and logs it with its time and body when it was answered.
The log stays in the door's container until it is read, so that nothing is sampled and nothing is lost.

Source: nginx, "Module ngx_http_log_module": log_format with escape=json, $msec, $request_time, $request_body.
"""

import http.client
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

import requests.exceptions
from docker.errors import APIError, NotFound

from labkit.engine import SERVERS
from labkit.environment._part import NameTaken, Part, Scope, Wanted, refusals
from labkit.environment._plan import PlannedService
from labkit.environment._readiness import Watcher
from labkit.environment._run import read_file
from labkit.errors import LabError

READY_S = 30.0
GRACE_S = 5.0
"""How long a door that closes waits for the answers under way, in seconds."""

LOG = "/capture.jsonl"
MOST_BODY = "1m"
OPEN = "/__capture__"

CONFIGURATION = """\
daemon off;
error_log stderr warn;
events { worker_connections 4096; }
http {
    log_format capture escape=json '{"ended_s":$msec,"took_s":$request_time,"method":"$request_method",'
        '"path":"$request_uri","content_type":"$content_type","body":"$request_body","status":$status}';
    access_log %(log)s capture;
    client_max_body_size %(most)s;
    client_body_buffer_size %(most)s;
    client_body_in_single_buffer on;
    server {
        listen %(port)d;
        location = %(open)s { access_log off; return 204; }
        location / {
            resolver 127.0.0.11 valid=1s;
            set $entry http://%(service)s:%(port)d;
            proxy_pass $entry;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
        }
    }
}
"""
COMMAND = 'printf "%s" "$CONFIGURATION" > /tmp/nginx.conf && exec nginx -c /tmp/nginx.conf'


@dataclass(frozen=True)
class Captured:
    """A request as it came in, at_s seconds after the first one.

    path has its query. body is text, "" for none; bytes that are no UTF-8 are replaced. status is what was
    answered, after ms milliseconds. Of the headers only the content type is kept: no cookie, no password.
    """

    at_s: float
    method: str
    path: str
    content_type: str
    body: str
    status: int
    ms: float


class Capture:
    """An open door at `url`; what comes through it reaches the system and is written down.

    Leaving its `with` block closes it. It is gone with its environment too.
    """

    def __init__(self, scope: Scope, part: Part, url: str, used: Callable[..., None]) -> None:
        self._scope, self._part, self._used = scope, part, used
        self._kept: list[Captured] | None = None
        self.url = url

    @classmethod
    def start(cls, scope: Scope, entry: PlannedService, used: Callable[..., None], stop: Event) -> Self:
        """Open the door to the entry service and return it when it lets requests through.

        :raises LabError: when one is open already, or this one does not open.
        """
        try:
            part = scope.start(_door(entry))
        except NameTaken as taken:
            mend = "close the other: leave its with block, or call its stop()"
            raise LabError(f"one capture of {scope.environment} at a time", "one is open", mend) from taken
        made = cls(scope, part, f"http://{scope.engine.host}:{part.ports[entry.port]}", used)
        try:
            Watcher(scope.engine, stop).until(part, "opens", made.is_open, READY_S)
        except BaseException:
            scope.remove(part.id)
            raise
        return made

    def is_open(self) -> bool:
        """Tell whether requests come through."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        line = http.client.HTTPConnection(host, int(port), timeout=READY_S)
        try:
            line.request("GET", OPEN)
            return line.getresponse().status == http.client.NO_CONTENT
        except http.client.HTTPException as problem:
            raise ConnectionError(str(problem) or "no answer") from problem
        finally:
            line.close()

    def requests(self) -> list[Captured]:
        """Return what came through so far, the oldest first; a request is there once it was answered.

        :raises LabError: when the environment was cleaned up before the capture was stopped.
        """
        return self._read() if self._kept is None else self._kept

    def stop(self) -> list[Captured]:
        """Close the door when the answers under way are given; return what came through it."""
        if self._kept is None:
            api = self._scope.engine.client.api
            with suppress(APIError, requests.exceptions.RequestException):  # it ended by itself, or is slow
                api.kill(self._part.id, "QUIT")
                api.wait(self._part.id, timeout=GRACE_S)
            self._kept = self._read()
            self._scope.remove(self._part.id)
            self._used("capture", requests=len(self._kept))
        return self._kept

    def save(self, path: Path) -> None:
        """Write what came through into a file, one JSON object a line."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps(asdict(it))}\n" for it in self.requests()), encoding="utf-8")

    def _read(self) -> list[Captured]:
        try:
            with refusals(self._scope.engine, f"the capture of {self._scope.environment} is read"):
                return _read(read_file(self._scope.engine, self._part.id, LOG))
        except LabError as problem:
            if not isinstance(problem.__cause__, NotFound):
                raise
            mend = "stop or save a capture before its environment is cleaned up"
            raise LabError(f"the capture of {self._scope.environment}", "its door is gone", mend) from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def read_capture(path: Path) -> list[Captured]:
    """Return the requests that `Capture.save` wrote.

    :raises LabError: for a file that is none of these.
    """
    try:
        return [Captured(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as problem:
        mend = "give a file that capture.save(path) wrote"
        raise LabError(f"a saved capture in {path.name}", str(problem), mend) from problem


def _door(entry: PlannedService) -> Wanted:
    words = {"log": LOG, "most": MOST_BODY, "port": entry.port, "open": OPEN, "service": entry.name}
    return Wanted(
        name="capture",
        role="capture",
        image=SERVERS,
        command=["sh", "-c", COMMAND],
        variables={"CONFIGURATION": CONFIGURATION % words},
        ports=[entry.port],
    )


def _read(log: bytes) -> list[Captured]:
    """Return the requests of nginx's log by the time at which they came; what was no HTTP is left out."""
    lines = (json.loads(line) for line in log.decode(errors="replace").split("\n") if line)
    told = sorted((line for line in lines if line["method"]), key=_came_s)
    first_s = _came_s(told[0]) if told else 0.0
    return list(_captured(told, first_s))


def _captured(told: Iterable[dict[str, Any]], first_s: float) -> Iterable[Captured]:
    for it in told:
        yield Captured(
            at_s=round(_came_s(it) - first_s, 3),
            method=it["method"],
            path=it["path"],
            content_type=it["content_type"],
            body=it["body"],
            status=it["status"],
            ms=round(it["took_s"] * 1000, 1),
        )


def _came_s(line: dict[str, Any]) -> float:
    return float(line["ended_s"] - line["took_s"])

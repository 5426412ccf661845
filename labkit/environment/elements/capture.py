"""Captures what comes in: a recording proxy in front of the balancer records each request.

nginx passes every request on to the load balancer, and logs it with its time and body once it is answered.
The log stays in the proxy's container until it is read, so that every request is in it.

Source: nginx, "Module ngx_http_log_module": log_format with escape=json, $msec, $request_time, $request_body.
"""

import json
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from labkit import _http
from labkit.containers import Answers, Element, Namespace, NameTaken
from labkit.engine import SERVER, SERVERS
from labkit.errors import LabError

READY_S = 30.0
GRACE_S = 5.0
"""How long a proxy that ends waits for the open requests to be answered, in seconds."""

LOG = "/capture.jsonl"
MOST_BODY = "1m"
IS_OPEN = "/__capture__"

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
        location = %(is_open)s { access_log off; return 204; }
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
WRITE_AND_RUN = 'printf "%s" "$CONFIGURATION" > /tmp/nginx.conf && exec nginx -c /tmp/nginx.conf'


@dataclass(frozen=True)
class Captured:
    """A request as it came in, at_s seconds after the first one.

    path includes the query. body is text, "" for none; bytes that are no UTF-8 are replaced. status is that
    of the answer, which came after ms milliseconds. Of the headers only the content type is kept, so that no
    cookie or password is recorded.
    """

    at_s: float
    method: str
    path: str
    content_type: str
    body: str
    status: int
    ms: float


class RecordingProxy(Element):
    """nginx in front of the balancer; one at a time in an environment."""

    limits = SERVER

    role = "capture"

    def __init__(self, namespace: Namespace, entry: str, port: int) -> None:
        """Describe a proxy to the entry service, which the balancer has at a port."""
        words = {"log": LOG, "most": MOST_BODY, "port": port, "is_open": IS_OPEN, "service": entry}
        super().__init__(
            namespace,
            "capture",
            SERVERS,
            command=["sh", "-c", WRITE_AND_RUN],
            variables={"CONFIGURATION": CONFIGURATION % words},
            ports=[port],
        )
        self.with_kwargs(stop_signal="SIGQUIT")  # to nginx: answer the open requests, then end
        self._port = port
        self.waiting_for(Answers("opens", lambda _: self._is_open(), READY_S))

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://{self.namespace.engine.host}:{self.get_exposed_port(self._port)}"

    def start(self) -> Self:
        """Start it and return it when it passes requests on.

        :raises LabError: when the environment has one already.
        """
        try:
            return super().start()
        except NameTaken as taken:
            expected = f"one capture of {self.namespace.name} at a time"
            raise LabError(
                expected, "one is open", "close the other: leave its with block, or call its stop()"
            ) from taken

    def log(self) -> bytes:
        """Return what it has logged.

        :raises LabError: when it was removed with its environment.
        """
        try:
            return self.read(LOG)
        except LabError as problem:
            self.reload()
            if self.container:
                raise
            next_step = "stop or save a capture before its environment is cleaned up"
            raise LabError(
                f"the capture of {self.namespace.name}", "its proxy is gone", next_step
            ) from problem

    def _is_open(self) -> bool:
        host = self.namespace.engine.host
        response = _http.request(host, self.get_exposed_port(self._port), "GET", IS_OPEN, timeout_s=READY_S)
        return response.status == HTTPStatus.NO_CONTENT


class Capture:
    """A recording proxy at `url`: each request that it gets reaches the system and is recorded.

    Leaving its `with` block stops it, and so does the clean-up of its environment.
    """

    def __init__(self, proxy: RecordingProxy) -> None:
        """Capture the requests to a proxy that was started."""
        self._proxy = proxy
        self._captured: list[Captured] | None = None
        self.url = proxy.url

    def requests(self) -> list[Captured]:
        """Return the requests so far, the oldest first; a request counts once it is answered.

        :raises LabError: when the environment was cleaned up before the capture was stopped.
        """
        return read_log(self._proxy.log()) if self._captured is None else self._captured

    def stop(self) -> list[Captured]:
        """Stop the proxy once its open requests are answered; return all requests. Again, return the same."""
        if self._captured is None:
            self._proxy.finish(GRACE_S)
            self._captured = self.requests()
            self._proxy.stop()
            self._proxy.namespace.on_use("capture", requests=len(self._captured))
        return self._captured

    def save(self, path: Path) -> None:
        """Write the requests into a file, one JSON object a line."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (f"{json.dumps(asdict(captured))}\n" for captured in self.requests())
        path.write_text("".join(lines), encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def read_capture(path: Path) -> list[Captured]:
    """Return the requests that `Capture.save` wrote.

    :raises LabError: when the file is missing or no such file.
    """
    try:
        return [Captured(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as problem:
        next_step = "give a file that capture.save(path) wrote"
        raise LabError(f"a saved capture in {path.name}", str(problem), next_step) from problem


def read_log(log: bytes) -> list[Captured]:
    """Return the requests in nginx's log by the time at which they came, without those that were no HTTP."""
    entries = (json.loads(line) for line in log.decode(errors="replace").split("\n") if line)
    requests = sorted((entry for entry in entries if entry["method"]), key=_came_s)
    return [
        Captured(
            at_s=round(_came_s(request) - _came_s(requests[0]), 3),
            method=request["method"],
            path=request["path"],
            content_type=request["content_type"],
            body=request["body"],
            status=request["status"],
            ms=round(request["took_s"] * 1000, 1),
        )
        for request in requests
    ]


def _came_s(entry: dict[str, Any]) -> float:
    return float(entry["ended_s"] - entry["took_s"])

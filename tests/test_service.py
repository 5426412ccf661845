"""labkit.service: what every service answers, logs and does when it is told to end; and the stub."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.service import Unavailable, application, client, json_object
from labkit.service.stub import stub

SLOW = """
import asyncio, os
from starlette.responses import JSONResponse
from starlette.routing import Route
from labkit.service import application, client

other = client("other")

async def slow(request):
    await asyncio.sleep(0.8)
    return JSONResponse({"done": True})

async def ask(request):
    return JSONResponse(await other.get("/echo"))

async def broken(request):
    raise RuntimeError("as planned")

app = application([Route("/slow", slow), Route("/ask", ask), Route("/broken", broken)], clients=[other])
"""


def ask(app: Starlette, method: str, path: str, **words: Any) -> httpx.Response:
    """Send one request to an application in this process."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as sender:
            return await sender.request(method, path, **words)

    return asyncio.run(send())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(folder: Path, application: str, **variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run an application as in its container; give its address and its process, ended in any case."""
    port = str(free_port())
    command = [sys.executable, "-m", "labkit.service", application]
    environment = os.environ | {"LABKIT_PORT": port} | variables
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()


def wait_until_ready(url: str) -> None:
    """Return when the service answers that it is ready."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    pytest.fail(f"{url} is not ready after 30 s")


def end(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """Tell a process to end, and return its log lines."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stdout is not None
    return [json.loads(line) for line in process.stdout]


# What every service answers


def test_a_service_tells_who_it_is_and_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """/version says what the environment named it."""
    monkeypatch.setenv("LABKIT_SERVICE", "cart")
    monkeypatch.setenv("LABKIT_VERSION", "1.2.3")
    monkeypatch.setenv("LABKIT_INSTANCE", "cart-1")
    app = application([])
    assert ask(app, "GET", "/healthz").status_code == 200
    version = ask(app, "GET", "/version").json()
    assert (version["service"], version["version"], version["instance"]) == (
        "cart",
        "1.2.3",
        "cart-1",
    )
    nothing = ask(app, "GET", "/nothing")
    assert (nothing.status_code, list(nothing.json())) == (404, ["error"])


def test_the_contract_is_served_when_there_is_one(tmp_path: Path) -> None:
    """/openapi.json is the service's own file; without it the answer is 404."""
    contract = tmp_path / "openapi.json"
    contract.write_text('{"openapi": "3.1.0"}')
    assert ask(application([], openapi=contract), "GET", "/openapi.json").json() == {"openapi": "3.1.0"}
    assert ask(application([]), "GET", "/openapi.json").status_code == 404


def test_a_service_is_ready_when_its_checks_pass_and_it_does_not_drain() -> None:
    """/readyz names every reason why it is not."""
    missing = ["the database"]

    async def database() -> None:
        if missing:
            raise ConnectionError(missing[0])

    app = application([], checks=[database])
    waiting = ask(app, "GET", "/readyz")
    assert (waiting.status_code, waiting.json()["reasons"]) == (
        503,
        ["database: ConnectionError the database"],
    )
    missing.clear()
    assert ask(app, "GET", "/readyz").json() == {"ready": True, "reasons": []}
    app.state.draining = True
    assert ask(app, "GET", "/readyz").json() == {"ready": False, "reasons": ["draining"]}
    assert ask(app, "GET", "/healthz").status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123", True), ("x" * 65, False), ('a"b', False), ("", False)]
)
def test_a_request_id_is_kept_when_it_is_safe_to_log_else_made(given: str, *, kept: bool) -> None:
    """Every answer carries the request's id."""
    answer = ask(application([]), "GET", "/healthz", headers={"x-request-id": given})
    assert (answer.headers["x-request-id"] == given) is kept
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("content", "status"),
    [(b'{"a": 1}', 200), (b"[]", 400), (b"", 400), (b"{", 400), (b"\xff", 400), (b'"' + b"x" * 300_000, 413)],
)
def test_a_body_is_one_json_object_within_limits(content: bytes, status: int) -> None:
    """Anything else is refused with a reason, before the service's own code sees it."""

    async def echo(request: Request) -> Response:
        return JSONResponse(await json_object(request))

    answer = ask(application([Route("/", echo, methods=["POST"])]), "POST", "/", content=content)
    assert (answer.status_code, "error" in answer.json()) == (status, status != 200)


def test_errors_are_json_with_a_reason() -> None:
    """What is refused, what is not available and what broke are told apart by their status."""

    async def fail(request: Request) -> Response:
        raise {
            "refused": HTTPException(409, "sold out"),
            "away": Unavailable("catalog does not answer"),
            "broken": RuntimeError("secret detail"),
        }[request.path_params["how"]]

    app = application([Route("/{how}", fail)])
    answers = {how: ask(app, "GET", f"/{how}") for how in ("refused", "away", "broken")}
    assert {how: answer.status_code for how, answer in answers.items()} == {
        "refused": 409,
        "away": 503,
        "broken": 500,
    }
    assert answers["refused"].json() == {"error": "sold out"}
    assert "secret" not in answers["broken"].text


# As a process


def test_logs_are_json_lines_and_the_request_id_is_passed_on(tmp_path: Path) -> None:
    """One line a request with its id, on both sides of a call; probes are not logged."""
    tmp_path.joinpath("slow.py").write_text(SLOW)
    answers = json.dumps({"GET /echo": {"body": {"heard": True}}})
    with (
        served(tmp_path, "labkit.service.stub:app", STUB=answers, LABKIT_SERVICE="other") as (
            other,
            other_process,
        ),
        served(tmp_path, "slow:app", OTHER_URL=other, LABKIT_SERVICE="first", LABKIT_VERSION="7") as (
            first,
            process,
        ),
    ):
        assert httpx.get(f"{first}/ask", headers={"x-request-id": "followed"}).json() == {"heard": True}
        assert httpx.get(f"{first}/broken").status_code == 500
        calls = httpx.get(f"{other}/__calls__").json()
        lines, other_lines = end(process), end(other_process)
    assert [(call["path"], call["request_id"]) for call in calls] == [("/echo", "followed")]
    asked = next(line for line in lines if line.get("path") == "/ask")
    assert {key: asked[key] for key in ("level", "service", "version", "request_id", "method", "status")} == {
        "level": "info",
        "service": "first",
        "version": "7",
        "request_id": "followed",
        "method": "GET",
        "status": 200,
    }
    assert asked["ms"] > 0
    assert "followed" in {line["request_id"] for line in other_lines if line.get("path") == "/echo"}
    assert any("as planned" in line.get("exception", "") for line in lines)
    assert not [line for line in lines if line.get("path") == "/readyz"]


def test_on_sigterm_a_service_is_not_ready_first_and_answers_what_is_in_flight(tmp_path: Path) -> None:
    """The request that was begun gets its answer, then the process ends with code 0."""
    tmp_path.joinpath("slow.py").write_text(SLOW)
    with (
        served(tmp_path, "slow:app") as (url, process),
        httpx.Client() as probe,
        socket.socket() as in_flight,
    ):
        probe.get(f"{url}/readyz")
        in_flight.connect(("127.0.0.1", httpx.URL(url).port or 0))
        in_flight.sendall(b"GET /slow HTTP/1.1\r\nHost: slow\r\n\r\n")
        while probe.get(f"{url}/readyz").status_code == 200:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
            break
        draining = probe.get(f"{url}/readyz")
        assert (draining.status_code, draining.json()["reasons"]) == (503, ["draining"])
        assert probe.get(f"{url}/healthz").status_code == 200
        assert b"200 OK" in in_flight.recv(65536)
        assert process.wait(20) == 0
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/healthz")


def test_without_a_port_or_a_name_the_way_to_start_is_told(tmp_path: Path) -> None:
    """No traceback: three lines and exit code 2."""
    environment = {name: value for name, value in os.environ.items() if name != "LABKIT_PORT"}
    command = [sys.executable, "-m", "labkit.service", "service:app"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "LABKIT_PORT=8002" in done.stderr, "Traceback" in done.stderr) == (
        2,
        True,
        False,
    )


def test_a_service_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that gets no answer raises Unavailable with the name of who is away."""
    monkeypatch.setenv("CATALOG_URL", f"http://127.0.0.1:{free_port()}")

    async def call() -> None:
        catalog = client("catalog")
        try:
            await catalog.get("/products")
        finally:
            await catalog.close()

    with pytest.raises(Unavailable, match="catalog does not answer"):
        asyncio.run(call())


def test_importing_the_room_loads_neither_httpx_nor_the_engine() -> None:
    """A service starts without what it does not need yet, and never with what it must not know."""
    code = "import labkit.service, labkit.service._server, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"httpx", "docker", "ipywidgets", "labkit.engine", "labkit.system", "labkit.workspace"} & set(
        loaded
    )


# The stub


def test_a_stub_answers_as_it_was_told_and_records_every_call() -> None:
    """Answers are found by method and path, a part in braces is anything, calls can be forgotten."""
    app = stub(
        {"POST /payments": {"status": 201, "body": {"state": "accepted"}}, "GET /rates/{base}": {"body": {}}}
    )
    paid = ask(app, "POST", "/payments?retry=1", json={"amount_cents": 700}, headers={"x-request-id": "r1"})
    assert (paid.status_code, paid.json()) == (201, {"state": "accepted"})
    assert ask(app, "GET", "/rates/EUR").status_code == 200
    assert ask(app, "GET", "/rates/EUR/more").status_code == 404
    first, *others = ask(app, "GET", "/__calls__").json()
    assert first == {
        "time": first["time"],
        "method": "POST",
        "path": "/payments",
        "query": {"retry": "1"},
        "body": {"amount_cents": 700},
        "status": 201,
        "request_id": "r1",
    }
    assert [call["status"] for call in others] == [200, 404]
    assert ask(app, "DELETE", "/__calls__").status_code == 204
    assert ask(app, "GET", "/__calls__").json() == []


def test_a_call_that_a_stub_has_no_answer_to_names_those_it_has() -> None:
    """So a forgotten answer is found at once."""
    answer = ask(stub({"GET /a": {}}), "POST", "/b", content=b"no json")
    assert (answer.status_code, "POST /b" in answer.json()["error"], "GET /a" in answer.json()["error"]) == (
        404,
        True,
        True,
    )


def test_a_stub_goes_from_state_to_state() -> None:
    """Of several answers the one for the stub's state is given; reset brings back the first state."""
    paid = {"when": "start", "status": 201, "then": "paid"}
    app = stub({"POST /pay": [paid, {"when": "paid", "status": 409}], "GET /pay": {"when": "paid"}})
    assert [ask(app, "GET", "/pay").status_code, *(ask(app, "POST", "/pay").status_code for _ in "123")] == [
        404,
        201,
        409,
        409,
    ]
    assert (ask(app, "GET", "/pay").status_code, ask(app, "GET", "/__stub__").json()["state"]) == (
        200,
        "paid",
    )
    ask(app, "DELETE", "/__stub__")
    assert (ask(app, "GET", "/__calls__").json(), ask(app, "POST", "/pay").status_code) == ([], 201)


def test_a_stub_can_be_told_other_answers_until_it_is_reset() -> None:
    """What is set answers from then on, beside what was told at first; reset forgets it."""
    app = stub({"GET /a": {"body": 1}, "GET /b": {"body": 2}})
    ask(app, "PATCH", "/__stub__", json={"GET /a": {"status": 503}})
    assert [ask(app, "GET", path).status_code for path in ("/a", "/b")] == [503, 200]
    ask(app, "DELETE", "/__stub__")
    assert ask(app, "GET", "/a").json() == 1


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wörd"}, {"authorization": "Bearer "}])
def test_a_stub_with_a_secret_is_controlled_by_whoever_has_it(header: dict[str, str]) -> None:
    """Its calls and answers are for who has the secret; what it stands for answers everybody."""
    app = stub({"GET /a": {"body": 1}}, "word")
    headers = {name: value.encode() for name, value in header.items()}
    for method, path in [("GET", "/__calls__"), ("DELETE", "/__calls__"), ("PATCH", "/__stub__")]:
        refused = ask(app, method, path, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert ask(app, "GET", "/a").json() == 1
    known = ask(app, "GET", "/__calls__", headers={"authorization": "Bearer word"})
    assert [call["path"] for call in known.json()] == ["/a"]


def test_the_narrower_key_answers_wherever_it_stands() -> None:
    """A key without braces goes before one with them, a key with the query before one without."""
    app = stub(
        {"GET /rates/{base}": {"body": 1}, "GET /rates/EUR": {"body": 2}, "GET /rates/EUR?d=1": {"body": 3}}
    )
    answers = [ask(app, "GET", f"/rates/{what}").json() for what in ("USD", "EUR", "EUR?d=1", "EUR?d=2")]
    assert answers == [1, 2, 3, 2]


def test_a_late_or_cut_answer_has_had_its_effect(tmp_path: Path) -> None:
    """The caller gives up or is cut off; the stub has recorded both calls and is in its next state."""
    late = {"when": "start", "delay_s": 5, "then": "second"}
    answers = json.dumps(
        {"POST /pay": [late, {"when": "second", "cut": True, "body": {"state": "accepted"}}]}
    )
    with served(tmp_path, "labkit.service.stub:app", STUB=answers) as (url, _):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/pay", timeout=0.3)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            httpx.post(f"{url}/pay")
        assert [call["status"] for call in httpx.get(f"{url}/__calls__").json()] == [200, 200]

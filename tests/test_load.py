"""Tests of the load room. This module is also the server under load: uvicorn runs `app` from it."""

import asyncio
import json
import random
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # it ships no types
import pytest

from labkit.errors import LabError
from labkit.load import (
    Histogram,
    Load,
    Measurement,
    Rate,
    Request,
    RunningLoad,
    Session,
    apply,
    burst,
    ramp,
    steps,
)
from labkit.load._histogram import lower_edge, middle_ms

seen: dict[str, Any] = {"clients": set(), "bodies": set(), "sessions": []}


turns = count(1)


def status_of(kind: str, rest: list[str]) -> int:
    """Return the status that a path asks for: /status/N always, /all-but-third/N two times of three."""
    status = int(rest[0]) if kind in {"status", "all-but-third"} else 200
    return 200 if kind == "all-but-third" and next(turns) % 3 == 0 else status


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer by path: /v1, /v2, those of status_of, /stall (holds up all), /echo, /session, /seen."""
    if scope["type"] != "http":
        return
    _, kind, *rest = scope["path"].split("/")
    status, body = status_of(kind, rest), b"ok"
    if kind == "stall":
        time.sleep(float(rest[0]))  # noqa: ASYNC251 - that nobody else is served meanwhile is the point
    elif kind == "slow":
        await asyncio.sleep(float(rest[0]))
    elif kind == "echo":
        body = json.dumps({"echo": json.loads((await receive())["body"])}).encode()
    elif kind == "session":
        seen["sessions"].append(dict(scope["headers"])[b"x-session"].decode())
    elif kind == "seen":
        body = json.dumps({name: sorted(seen[name]) for name in ("clients", "bodies", "sessions")}).encode()
    else:
        seen["clients"].add(scope["client"][1])
        seen["bodies"].add((await receive())["body"].decode())
    version = b"2" if kind == "v2" else b"1"
    headers = [(b"x-labkit-version", version), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run the application above in a child process."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(Path(__file__).parent), "test_load:app"]
        command += ["--fd", str(listener.fileno()), "--log-level", "warning"]
        server = subprocess.Popen(command, pass_fds=[listener.fileno()])
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ask(address, "/seen")
    yield address
    server.kill()
    server.wait()


def ask(url: str, path: str) -> Any:
    """Return the JSON of a path."""
    with urllib.request.urlopen(url + path) as answer:  # noqa: S310 - the server above
        return json.load(answer)


ODD = {
    "/closed": b"",
    "/cut-off": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
    "/gibberish": b"SSH-2.0-OpenSSH_9.2\r\n",
    "/until-closed": b"HTTP/1.0 200 OK\r\nX-Labkit-Version: 7\r\n\r\nthe end shows by closing",
    "/early": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
}


class Odd(socketserver.BaseRequestHandler):
    """Answers with the bytes of ODD, then closes; /silent is not answered."""

    def handle(self) -> None:
        """Serve one request."""
        path = self.request.recv(65536).decode().split()[1]
        if path == "/silent":
            self.request.recv(1)
        self.request.sendall(ODD.get(path, b""))


@pytest.fixture(scope="module")
def odd_url() -> Iterator[str]:
    """Run a server that does what no sound server does."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Odd) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    """A load can be repeated arrival by arrival."""
    plans = [list(Load({"/a": 1, "/b": 2}, 200, 5, seed=seed).plan()) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_arrivals_keep_rate_spacing_and_weights() -> None:
    """Even arrivals are evenly spaced, Poisson gaps vary as much as their mean, and weights are shares."""
    even = list(Load({"/": 1}, 50, 2, arrivals="even").plan())
    assert [at_s for at_s, _ in even] == pytest.approx([n / 50 for n in range(100)])
    plan = list(Load({"/a": 3, "/b": 1, "/never": 0}, 100, 100).plan())
    gaps = [b - a for (a, _), (b, _) in pairwise(plan)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.01, rel=0.05)
    assert spread == pytest.approx(mean, rel=0.1)
    shares = [sum(index == request for _, index in plan) / len(plan) for request in range(3)]
    assert shares == pytest.approx([0.75, 0.25, 0], abs=0.02)


def test_buckets_are_at_most_0_8_percent_wrong_and_merge_by_adding() -> None:
    """Any quantile differs from the exact one by less than 0.8 %, also after a merge and a difference."""
    rng = random.Random(1)  # noqa: S311 - a test's values
    values = sorted(int(rng.lognormvariate(8, 2)) + 1 for _ in range(20_000))
    halves = [Histogram(), Histogram()]
    for place, value in enumerate(values):
        halves[place % 2] += Histogram({lower_edge(value): 1})
    both = halves[0] + halves[1]
    for share in (0.01, 0.5, 0.9, 0.99, 0.999, 1):
        exact = values[max(0, -(-int(share * 1000) * len(values) // 1000) - 1)] / 1000
        assert both.quantile(share) == pytest.approx(exact, rel=0.008)
    assert both - halves[1] == halves[0]
    assert len(both) == len(values)


def test_every_time_lies_in_its_bucket() -> None:
    """The middle of a time's bucket is the time itself below 128 µs and within 1/128 of it above."""
    for microseconds in [*range(5000), *(3**n for n in range(8, 20))]:
        assert middle_ms(lower_edge(microseconds)) == pytest.approx(microseconds / 1000, rel=1 / 127)


@pytest.mark.parametrize(
    ("arguments", "seen_part"),
    [
        (({"/": 1}, 0, 1), "rate_per_s = 0"),
        (({"/": 1}, float("nan"), 1), "rate_per_s = nan"),
        (({"/": 1}, 1, -1), "duration_s = -1"),
        (({}, 1, 1), "{}"),
        (({"/": -1}, 1, 1), "-1"),
        (({"/": 0}, 1, 1), "0"),
        (({"FETCH /": 1}, 1, 1), "FETCH"),
        (({"no slash": 1}, 1, 1), "no"),
        (({"/naïve": 1}, 1, 1), "naïve"),
    ],
)
def test_what_makes_no_load_is_refused(arguments: tuple[Any, ...], seen_part: str) -> None:
    """A wrong rate, duration, mix or request is a LabError that shows what was given."""
    with pytest.raises(LabError) as refusal:
        Load(*arguments)
    assert seen_part in refusal.value.seen


def test_a_header_cannot_smuggle_a_second_request() -> None:
    """A line break in a header is refused."""
    with pytest.raises(LabError, match="headers"):
        Request("GET", "/", headers={"X": "1\r\n\r\nGET /other HTTP/1.1"})


@pytest.mark.parametrize(
    "target",
    [
        "http://example.org",
        "http://10.1.2.3:80",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org",
        "https://127.0.0.1",
        "http://127.0.0.1/path",
        "http://127.0.0.1:99999",
        "127.0.0.1:80",
        "",
    ],
)
def test_a_load_on_another_machine_is_refused(target: str) -> None:
    """Nothing is sent to a host that is neither this machine nor named by the caller."""
    with pytest.raises(LabError):
        apply(Load({"/": 1}, 1, 1), target)


def test_a_host_that_the_caller_names_is_allowed(url: str) -> None:
    """The container engine's host is a target when the caller says so."""
    name = socket.gethostname()
    with apply(Load({"/": 1}, 1, 0.1), url.replace("127.0.0.1", name), hosts=[name]) as running:
        assert running.wait().requests == running.wait().sent


def test_a_load_sends_its_plan_and_tells_the_versions_apart(url: str) -> None:
    """Every planned request is answered once and counted under its second, its version and its name."""
    mix: dict[Request | Session | str, float] = {
        "GET /v1?id=7": 1,
        Request("POST", "/v2", {"sku": "aspirin"}): 1,
    }
    load = Load(mix, 100, 2.5)
    with apply(load, url) as running:
        result = running.wait()
    planned = list(load.plan())
    assert (result.requests, result.failed, result.sent) == (len(planned), 0, len(planned))
    assert {name: tally.requests for name, tally in result.by_version.items()} == {
        str(place + 1): sum(at == place for _, at in planned) for place in range(2)
    }
    assert [tally.requests for tally in result.by_second] == [
        sum(int(at_s) == second for at_s, _ in planned) for second in range(3)
    ]
    assert set(result.by_request) == {"GET /v1", "POST /v2"}
    assert 0 < result.p50_ms <= result.p90_ms <= result.p99_ms <= result.max_ms
    assert '{"sku": "aspirin"}' in ask(url, "/seen")["bodies"]


def test_connections_are_kept(url: str) -> None:
    """Requests one after the other share a connection, as those of a browser do."""
    before = set(ask(url, "/seen")["clients"])
    apply(Load({"/v1": 1}, 50, 1, arrivals="even"), url).wait()
    assert len(set(ask(url, "/seen")["clients"]) - before) < 25


def test_a_measurement_is_plain_json(url: str) -> None:
    """Figures without a value are null, so that every reader of JSON can read them."""
    result = apply(Load({"/v1": 1}, 50, 0.5), url).wait()
    for measurement in (Measurement(), result):
        fields = json.loads(json.dumps(measurement.to_json(), allow_nan=False))
        assert fields["requests"] == measurement.requests
    assert fields["by_version"]["1"]["requests"] == result.requests


def test_the_difference_of_two_snapshots_is_what_happened_between_them(url: str) -> None:
    """`since` takes away what an earlier snapshot held."""
    with apply(Load({"/v1": 1, "/status/500": 1}, 100, 3), url) as running:
        while not running.snapshot().requests:
            time.sleep(0.05)
        early = running.snapshot()
        result = running.wait()
    later = result.since(early)
    assert later.requests == result.requests - early.requests > 0
    assert later.failed == result.failed - early.failed
    assert later.errors["status 500"] == later.failed
    assert len(later.scheduling_lag) == len(result.scheduling_lag) - len(early.scheduling_lag)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("/closed", "connection: closed before the answer"),
        ("/cut-off", "connection: cut off in the answer"),
        ("/gibberish", "no valid HTTP in the answer"),
        ("/silent", "no answer in 0.3 s"),
    ],
)
def test_a_failure_is_counted_by_its_cause(odd_url: str, path: str, cause: str) -> None:
    """Each way in which a request fails has its own count and a few examples."""
    result = apply(Load({path: 1}, 20, 0.5, arrivals="even", timeout_s=0.3), odd_url).wait()
    assert result.errors == {cause: 10}
    assert (result.requests, result.failed) == (10, 10)
    assert 0 < len(result.examples) <= 3
    assert {example.cause for example in result.examples} == {cause}


@pytest.mark.parametrize("path", ["/until-closed", "/early", "/chunked"])
def test_every_way_to_end_an_answer_is_understood(odd_url: str, path: str) -> None:
    """A body may end by its length, its last chunk or the connection's end; early hints are no answer."""
    result = apply(Load({path: 1}, 20, 0.5, arrivals="even", timeout_s=2), odd_url).wait()
    assert (result.requests, dict(result.errors)) == (10, {})


def test_a_status_of_400_or_more_is_a_failure_with_its_version(url: str) -> None:
    """A failed answer still tells which version gave it."""
    result = apply(Load({"/status/503": 1, "/status/302": 1}, 40, 1), url).wait()
    assert result.failed == result.errors["status 503"] == result.by_request["GET /status/503"].requests
    assert result.by_request["GET /status/302"].failed == 0
    assert result.examples[0].version == "1"


def test_a_port_that_nobody_listens_on_is_a_measured_failure() -> None:
    """A server that is down gives failures, not an error of the generator."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = apply(Load({"/": 1}, 20, 0.5, arrivals="even"), f"http://127.0.0.1:{port}").wait()
    assert result.errors == {"connection: connection refused": 10}


def test_a_stall_shows_in_every_request_that_was_due_meanwhile(url: str) -> None:
    """Latency counts from the plan: a stall of a second at 100/s delays a hundred requests."""
    with apply(Load({"/v1": 1}, 100, 3, arrivals="even"), url) as running:
        while not running.snapshot().requests:
            time.sleep(0.05)
        urllib.request.urlopen(url + "/stall/1").close()  # noqa: S310 - the server above
        result = running.wait()
    delayed = sum(count for edge, count in result.tally.latency.counts.items() if edge > 100_000)
    assert (result.requests, result.failed) == (300, 0)
    assert delayed > 80


def test_a_load_without_end_runs_until_it_is_stopped(url: str) -> None:
    """`stop` sends nothing more, waits for the requests in flight and can be called again."""
    with apply(Load({"/slow/0.5": 1}, 50, None), url) as running:
        while not running.snapshot().requests:
            time.sleep(0.05)
        was_running = running.is_running
        result = running.stop()
    assert (was_running, running.is_running) == (True, False)
    assert result.requests == result.sent > 0
    assert running.stop() is result
    assert not psutil.pid_exists(running._process.pid)


def test_stop_does_not_wait_for_the_next_arrival(url: str) -> None:
    """A load of one request an hour ends when it is told to."""
    running = apply(Load({"/v1": 1}, 1 / 3600, None), url)
    while not running.snapshot().seconds:
        time.sleep(0.05)
    assert running.stop().requests == 0


def test_an_exception_in_the_block_ends_the_load_at_once(url: str) -> None:
    """A load never goes on after the work that it accompanied has failed."""

    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError), apply(Load({"/v1": 1}, 50, 60), url) as running:
        fail()
    assert not running.is_running
    assert not psutil.pid_exists(running._process.pid)


def test_wait_gives_up_after_its_time(url: str) -> None:
    """A wait with a time-out leaves the load running."""
    with apply(Load({"/v1": 1}, 10, 60), url) as running:
        with pytest.raises(TimeoutError):
            running.wait(0.1)
        assert running.is_running


def test_a_generator_that_breaks_off_does_not_pass_for_a_quiet_server(url: str) -> None:
    """When the child dies before its load has ended, both `wait` and the end of the block say so."""
    with pytest.raises(LabError, match="ended by itself"), apply(Load({"/v1": 1}, 10, 60), url) as running:
        running._process.kill()
    with pytest.raises(LabError, match="ended by itself"):
        running.wait()


PARENT = """
import sys, time
from labkit.load import Load, apply
running = apply(Load({"/v1": 1}, 200, 600), sys.argv[1])
while not running.snapshot().requests:
    time.sleep(0.05)
print(running._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("unread", [False, True], ids=["read", "unread"])
def test_nothing_is_left_when_the_parent_is_killed(url: str, *, unread: bool) -> None:
    """The child goes when its parent dies of SIGKILL, also with feed lines that the parent never read."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, url], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
    if unread:
        parent.send_signal(signal.SIGSTOP)
        time.sleep(1.2)
    parent.kill()
    parent.wait()
    gone_or_zombie = {psutil.STATUS_ZOMBIE}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not child.is_running() or child.status() in gone_or_zombie:
            return
        time.sleep(0.02)
    child.kill()
    pytest.fail("the generator outlived its parent")


def test_a_running_load_tells_its_state(url: str) -> None:
    """The representation is the line that a learner reads."""
    running: RunningLoad = apply(Load({"/v1": 1}, 20, 0.5, arrivals="even"), url)
    running.wait()
    assert repr(running).startswith("ended: 10 requests, 0 failed, p50 ")


def test_importing_load_loads_neither_gevent_nor_locust() -> None:
    """A notebook's process is never patched by gevent."""
    code = "import labkit.load, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"gevent", "locust", "httptools"} & set(loaded.split())


def test_a_rate_grows_jumps_and_falls_as_drawn() -> None:
    """Arrivals follow a ramp, steps and a burst; a rate that ends at 0 ends the plan."""
    for rate in (ramp(10, 50, 20), steps((10, 10), (40, 10), (5, 10)), burst(10, 80, 5, 5)):
        counted = Counter(int(at_s) for at_s, _ in Load({"/": 1}, rate, 30, arrivals="even").plan())
        due = {second: (rate.at(second) + rate.at(second + 0.999)) / 2 for second in range(30)}
        assert all(abs(counted[second] - due[second]) <= 1 for second in range(30))
    drawn = sum(1 for _ in Load({"/": 1}, ramp(10, 50, 20), 20).plan())
    assert drawn == pytest.approx(600, abs=100)
    assert len(list(Load({"/": 1}, steps((10, 1), (0, 1)), None).plan())) == pytest.approx(10, abs=9)


@pytest.mark.parametrize(
    "points", [(), ((1.0, 5.0),), ((0.0, -1.0),), ((0.0, 0.0),), ((0.0, 1.0), (-1.0, 1.0))]
)
def test_points_that_make_no_rate_are_refused(points: tuple[tuple[float, float], ...]) -> None:
    """The error says what a rate is."""
    with pytest.raises(LabError, match="rate_per_s"):
        Rate(points)


def test_a_session_hands_each_answer_on(url: str) -> None:
    """The answer's JSON comes back in the next body; what the last answer tells is counted."""
    first = Request("POST", "/echo", {"answer": {"lines": [1]}})
    customer = Session((first, Request("POST", "/echo", {"answer": "same"})), carry="cart", outcome="echo")
    result = apply(Load({customer: 1}, 20, 1, arrivals="even"), url).wait()
    assert (result.requests, result.failed) == (40, 0)
    assert result.outcomes == {str({"answer": "same", "cart": {"echo": {"answer": {"lines": [1]}}}}): 20}
    assert result.to_json()["outcomes"] == result.outcomes


def test_a_session_ends_with_a_request_that_fails(url: str) -> None:
    """No further request is sent, and the session is counted as broken off."""
    began = time.time()
    customer = Session((Request.parse("/status/500"), Request.parse("/v1")), outcome="echo")
    result = apply(Load({customer: 1}, 20, 0.5, arrivals="even"), url).wait()
    assert (result.requests, dict(result.outcomes)) == (10, {"broken off": 10})
    assert result.last_failure
    assert began < result.last_failure < time.time()
    odd = Session((Request.parse("/v1"), Request("POST", "/v1", {})), carry="cart", outcome="echo")
    assert apply(Load({odd: 1}, 20, 0.2), url).wait().outcomes.keys() == {"broken off"}


def test_a_sticky_session_names_itself_in_each_request(url: str) -> None:
    """Its requests carry one X-Session header, other sessions' another one; pauses are kept."""
    customer = Session((Request.parse("/session"),) * 3, sticky=True, pause_s=0.3)
    running = apply(Load({customer: 1}, 10, 0.5, arrivals="even"), url)
    assert running.wait().requests == 15
    sessions = Counter(ask(url, "/seen")["sessions"])
    assert sorted(sessions.values()) == [3] * 5


def test_an_answer_of_another_version_than_before_is_mixed(url: str) -> None:
    """The mark is a session's: the second answer has it when the first came from another version."""
    both = Session((Request.parse("/v1"), Request.parse("/v2")))
    recent = apply(Load({both: 1}, 1, 0.9, arrivals="even"), url).wait().recent
    assert [(answer.failed, answer.mixed) for answer in recent] == [(False, False), (False, True)]
    same = apply(Load({Session((Request.parse("/v1"),) * 2): 1}, 20, 0.5), url).wait().recent
    assert not any(answer.mixed for answer in same)


def test_a_session_repeats_what_is_refused_for_now(url: str) -> None:
    """The request is sent again while it is answered with the status, and given up at last."""
    patient = Session((Request.parse("/all-but-third/415"), Request.parse("/v1")), outcome="x", retry_on=415)
    result = apply(Load({patient: 1}, 10, 0.45, arrivals="even"), url).wait()
    assert (result.errors, result.outcomes) == ({"status 415": 10}, {"no JSON object": 5})
    hopeless = Session((Request.parse("/status/415"),), outcome="x", retry_on=415)
    result = apply(Load({hopeless: 1}, 10, 0.05, arrivals="even"), url).wait()
    assert (result.errors, result.outcomes) == ({"status 415": 21}, {"broken off": 1})


def test_a_session_that_cannot_carry_is_refused() -> None:
    """A body that is to take the answer has to be a JSON object."""
    with pytest.raises(LabError, match="cart"):
        Session((Request.parse("/"), Request.parse("/")), carry="cart")
    with pytest.raises(LabError, match="1 request"):
        Session(())

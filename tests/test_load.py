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
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # it ships no types
import pytest

from labkit.errors import LabError
from labkit.load import (
    Arrival,
    Histogram,
    Load,
    Measurement,
    Rate,
    Request,
    RunningLoad,
    Tally,
    apply,
    burst,
    outcome,
    ramp,
    steps,
)
from labkit.load._histogram import lower_edge, middle_ms
from labkit.load._measurement import Key
from labkit.load._replay import Replay
from labkit.load._users import Users, has_users

# isort: split
# After labkit.load, which keeps locust from patching this process.
import shoppers
from locust import FastHttpUser, HttpUser, LoadTestShape, constant, task
from shoppers import Hasty, Shopper

seen: dict[str, Any] = {"clients": set(), "bodies": set(), "sessions": []}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer by path: /v1, /v2, /status/N, /stall (holds up all), /echo, /session, /seen."""
    if scope["type"] != "http":
        return
    _, kind, *rest = scope["path"].split("/")
    status, body = int(rest[0]) if kind == "status" else 200, b"ok"
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


def test_failures_are_told_by_cause_and_request() -> None:
    """The most frequent requests are named, the others counted; without failures there are no words."""
    failed = {"GET /a": 1, "GET /b": 4, "POST /c": 2, "GET /d": 1, "GET /e": 0}
    cells = {Key(0, "1", name): Tally(5, count) for name, count in failed.items()}
    measured = Measurement(errors={"status 503": 7, "no answer in time": 1}, tallies=cells)
    told = "status 503 (7), no answer in time (1); of GET /b (4), POST /c (2), GET /a (1) and 1 more"
    assert measured.failures == told
    assert Measurement(tallies={Key(0, "1", "GET /e"): Tally(5)}).failures == ""


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
    mix: dict[Arrival, float] = {
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
target = sys.argv[2] if sys.argv[2:] else Load({"/v1": 1}, 200, 600)
running = apply(target, sys.argv[1])
while not running.snapshot().requests:
    time.sleep(0.05)
print(running._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("unread", "target"),
    [(False, []), (True, []), (False, [shoppers.__file__])],
    ids=["read", "unread", "users"],
)
def test_nothing_is_left_when_the_parent_is_killed(url: str, target: list[str], *, unread: bool) -> None:
    """The child goes when its parent dies of SIGKILL, also with feed lines that the parent never read."""
    command = [sys.executable, "-c", PARENT, url, *target]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
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
    assert not {"gevent", "locust", "httptools", "cloudpickle"} & set(loaded.split())


def test_only_users_have_locust_loaded() -> None:
    """The child of a load of requests starts without it; who stays and who arrives needs it."""
    code = (
        "from gevent import monkey; monkey.patch_all(); import labkit.load._child, sys; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "locust" not in loaded.split()
    replayed = Replay((Request.parse("GET /v1"),), ((0.0, 0),))
    assert not any(has_users(work) for work in (Load({"/v1": 1}, 1, 1), replayed))
    mixed: dict[Arrival, float] = {"/v1": 1, Shopper: 1}
    assert all(has_users(work) for work in (Users.of(Shopper, ()), Load(mixed, 1, 1)))


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


# ---- locust users ----


def running_as_written(url: str, target: Any, **how: Any) -> Measurement:
    """Apply locust users to their end, at a rate that has them all there at once."""
    return apply(target, url, spawn_rate=100, duration_s=0.6, **how).wait()


@pytest.mark.parametrize("target", [Shopper, Path(shoppers.__file__)], ids=["class", "path"])
def test_users_are_a_load_as_a_class_and_as_a_locustfile(url: str, target: Any) -> None:
    """Both give the same kinds of figures: by second, version and request, with outcomes and latencies."""
    result = running_as_written(url, target, users=2)
    assert result.sent == result.requests > 4
    assert {"GET /v1", "POST /buy"} <= set(result.by_request)
    assert result.by_version["1"].requests > 1 < result.by_version["2"].requests
    assert 1 < result.outcomes["happy"] <= result.by_request["POST /buy"].requests
    assert sum(tally.requests for tally in result.by_second) == len(result.tally.latency) == result.requests
    assert 0 < result.p50_ms <= result.max_ms
    assert result.scheduling_lag_p99_ms >= 0
    assert '{"sku": "aspirin"}' in ask(url, "/seen")["bodies"]


def test_a_failed_answer_of_a_user_is_counted_by_its_cause(url: str, odd_url: str) -> None:
    """The status, the broken connection and what a task calls a failure each have their count and example."""

    class Critic(HttpUser):
        wait_time = constant(0.1)

        @task
        def look(self) -> None:
            self.client.get("/status/503")
            self.client.get(f"{odd_url}/silent", timeout=0.05, name="/silent")
            with self.client.get("/v1", catch_response=True) as answer:
                answer.failure("too dull")
            with self.client.get("/status/404", catch_response=True) as answer:
                answer.success()

    result = running_as_written(url, Critic)
    assert set(result.errors) == {"status 503", "no answer in time", "too dull"}
    assert result.by_request["GET /status/404"].failed == 0
    example = next(one for one in result.examples if one.cause == "status 503")
    assert (example.request, example.version, example.detail) == ("GET /status/503", "1", "ok")


@pytest.mark.parametrize("base", [HttpUser, FastHttpUser])
def test_a_server_that_is_down_is_a_measured_failure_of_users(base: Any) -> None:
    """Each of locust's clients tells a refused connection in the same words."""

    class Knocker(base):  # type: ignore[misc] # one of the two classes
        wait_time = constant(0.1)

        @task
        def knock(self) -> None:
            self.client.get("/v1").raise_for_status()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = running_as_written(f"http://127.0.0.1:{port}", Knocker)
    assert set(result.errors) == {"connection: connection refused"}
    assert result.failed == result.requests > 1


def test_an_exception_in_a_task_is_a_failure_with_its_cause(url: str) -> None:
    """It is counted once, without a latency, and the user goes on; one that repeats a bad answer is not."""

    class Clumsy(HttpUser):
        wait_time = constant(0.1)

        @task
        def look(self) -> None:
            self.client.get("/v1").json()

        @task
        def ask(self) -> None:
            self.client.get("/status/500").raise_for_status()

    result = running_as_written(url, Clumsy, users=4)
    clumsy = result.by_request["TASK Clumsy"]
    assert (clumsy.requests, len(clumsy.latency)) == (clumsy.failed, 0)
    assert clumsy.failed == result.by_request["GET /v1"].requests > 1
    assert result.errors["status 500"] == result.by_request["GET /status/500"].requests
    cause = next(cause for cause in result.errors if cause != "status 500")
    assert cause.startswith("JSONDecodeError: Expecting value")
    assert next(one for one in result.examples if one.cause == cause).detail.startswith("in look, line ")


def test_a_shape_moves_the_users_and_ends_the_load(url: str) -> None:
    """A LoadTestShape stands beside its users in the list; the load ends when it returns None."""

    class Once(LoadTestShape):
        def tick(self) -> tuple[int, float] | None:
            return (3, 100) if self.get_run_time() < 0.5 else None  # type: ignore[no-untyped-call] # locust's

    result = apply([Shopper, Once], url).wait()
    assert result.requests > 3
    assert 0.5 < result.seconds < 10


NOTEBOOK = """
import sys
from labkit import LabError, load
from locust import HttpUser, constant, task
from gevent.monkey import is_module_patched
import threading
PAGES = ["/v1", "/v2"]
def page():
    return PAGES.pop(0)
class Guest(HttpUser):
    wait_time = constant(0.1)
    def on_start(self):
        self.page = page()
    @task
    def look(self):
        self.client.get(self.page)
assert not is_module_patched("threading")
result = load.apply(Guest, sys.argv[1], users=2, spawn_rate=100, duration_s=1).wait()
assert result.failed == 0 and set(result.by_request) == {"GET /v1", "GET /v2"}, result
lock = threading.Lock()
class Locked(Guest):
    @task
    def look(self):
        with lock:
            self.client.get("/v1")
try:
    load.apply(Locked, sys.argv[1])
except LabError as refusal:
    print(refusal.seen)
"""


def test_a_class_of_a_notebook_goes_to_the_child_with_what_it_uses(url: str) -> None:
    """Its names of `__main__` go with it, locust patches nothing there, and a lock is refused in words."""
    ran = subprocess.run(
        [sys.executable, "-", url], input=NOTEBOOK, capture_output=True, text=True, check=False
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert "cannot pickle '_thread.lock' object" in ran.stdout


FILES = {
    "no-such-file.py": None,
    "broken.py": "from locust import HttpUser\nraise ValueError('half done')\n",
    "nobody.py": "from locust import HttpUser\n",
    "elsewhere.py": "from locust import HttpUser, task\n"
    "class Far(HttpUser):\n    host = 'http://example.org'\n    tasks = [print]\n",
}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-such-file.py", "there is no file"),
        ("broken.py", "ValueError: half done"),
        ("nobody.py", "a locust User class"),
        ("elsewhere.py", r"Far\.host = 'http://example\.org'"),
    ],
)
def test_a_locustfile_without_users_for_this_host_is_refused(
    url: str, tmp_path: Path, name: str, words: str
) -> None:
    """`apply` itself says what is wrong with the file, and leaves no process."""
    if text := FILES[name]:
        (tmp_path / name).write_text(text)
    before = set(psutil.Process().children())
    with pytest.raises(LabError, match=words):
        apply(tmp_path / name, url)
    assert set(psutil.Process().children()) <= before


def test_a_refusal_is_told_also_when_the_child_is_gone_by_then(url: str, tmp_path: Path) -> None:
    """A parent that is slow to ask hears why the users were refused, not that their process ended."""
    file = tmp_path / "broken.py"
    file.write_text(str(FILES["broken.py"]))
    running = RunningLoad(Users.of(file, ()), url)
    running._reader.join()
    with pytest.raises(LabError, match="ValueError: half done"):
        running.await_start()


class Far(HttpUser):
    """A user of somebody else's server."""

    host = "http://example.org"
    tasks = [print]  # noqa: RUF012 - as locust has it


@pytest.mark.parametrize(
    ("target", "how", "words"),
    [
        (Far, {}, r"Far\.host"),
        (int, {}, "<class 'int'>"),
        ([], {}, "a locust User class"),
        ([Shopper, Shopper], {}, "Shopper"),
        (Shopper, {"users": 0}, "users = 0"),
        (Shopper, {"duration_s": -1}, "duration_s = -1"),
        (Load({"/": 1}, 1, 1), {"users": 3}, "users = 3"),
    ],
)
def test_what_makes_no_users_is_refused(url: str, target: Any, how: dict[str, Any], words: str) -> None:
    """The error shows what was given."""
    with pytest.raises(LabError, match=words):
        apply(target, url, **how)


def test_a_class_that_is_no_user_is_refused_in_a_mix() -> None:
    """A mix holds requests and User classes."""
    with pytest.raises(LabError, match="User classes"):
        Load({int: 1}, 1, 1)


def test_a_task_cannot_put_load_on_another_machine(url: str) -> None:
    """A whole URL in a task does not lead away: nothing is sent there, and the failure says so."""

    class Stray(FastHttpUser):
        wait_time = constant(0.2)

        @task
        def look(self) -> None:
            self.client.get("http://192.0.2.1/", name="far")

    result = running_as_written(url, Stray)
    assert set(result.errors) == {"connection: a load on 192.0.2.1, which is not this machine"}


def test_users_stay_until_they_are_stopped(url: str) -> None:
    """Without a duration they go on; what is in flight when they are stopped still counts."""

    class Patient(HttpUser):
        @task
        def look(self) -> None:
            self.client.get("/slow/0.3")

    with apply(Patient, url, users=3, spawn_rate=100) as running:
        while not running.snapshot().requests:
            time.sleep(0.05)
        assert running.is_running
        result = running.stop()
    assert result.failed == 0
    assert result.requests % 3 == 0
    assert not psutil.pid_exists(running._process.pid)


def test_plain_locust_runs_the_very_file(url: str) -> None:
    """What labkit.load offers to a task does nothing there."""
    command = [sys.executable, "-m", "locust", "-f", shoppers.__file__, "--headless", "--host", url]
    command += ["--users", "1", "--only-summary", "Shopper", "--run-time"]
    for seconds in ("1", "10"):  # a busy machine may need more than one for a whole visit
        ran = subprocess.run([*command, seconds], capture_output=True, text=True, check=False)
        if "/buy" in ran.stderr:
            break
    assert ran.returncode == 0, ran.stderr
    assert "/buy" in ran.stderr


def test_a_user_who_arrives_does_one_task_and_leaves(url: str) -> None:
    """A sequence is run through once, each visit tells its outcome, and versions that differ are mixed."""
    mix: dict[Arrival, float] = {Hasty: 1, "/v1": 1}
    result = apply(Load(mix, 20, 1, arrivals="even"), url).wait()
    visits = result.outcomes["refused"]
    assert dict(result.outcomes) == {"refused": visits}
    assert result.by_request["GET /v2"].requests == result.by_request["GET /status/503"].failed == visits
    assert result.by_request["GET /v1"].requests == 20
    assert result.sent == result.requests == 20 + 2 * visits
    assert sum(answer.mixed for answer in result.recent) == 2 * visits
    assert result.to_json()["outcomes"] == {"refused": visits}


def test_a_visit_that_fails_or_does_not_end_is_broken_off(url: str) -> None:
    """An exception ends a visit; at the end of the load, a visit has timeout_s seconds left."""

    class Lost(HttpUser):
        @task
        def fail(self) -> None:
            self.client.get("/status/500").raise_for_status()

    class Endless(HttpUser):
        @task
        def wait_long(self) -> None:
            self.client.get("/slow/60")

    began = time.time()
    result = apply(Load({Lost: 1, Endless: 1}, 20, 0.5, arrivals="even", timeout_s=0.3), url).wait()
    assert dict(result.outcomes) == {"broken off": 10}
    assert dict(result.errors) == {"status 500": result.by_request["GET /status/500"].requests}
    assert result.last_failure
    assert began < result.last_failure < time.time()


def test_a_user_who_arrives_carries_data_from_answer_to_answer(url: str) -> None:
    """Each visit has its own user, so that what it carries and the session that it names are its own."""

    class Customer(FastHttpUser):
        @task
        def shop(self) -> None:
            cart: Any = {"lines": [1]}
            for _ in range(2):
                cart = self.client.post("/echo", json=cart).json()
            outcome(self, cart)
            self.client.get("/session", headers={"X-Session": str(id(self))})
            self.client.get("/session", headers={"X-Session": str(id(self))})

    result = apply(Load({Customer: 1}, 20, 0.5, arrivals="even"), url).wait()
    assert (result.requests, result.failed) == (40, 0)
    assert result.outcomes == {str({"echo": {"echo": {"lines": [1]}}}): 10}
    assert set(Counter(ask(url, "/seen")["sessions"]).values()) <= {2, 4, 6}

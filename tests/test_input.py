"""What enters an environment: users' requests are captured before the balancer, and replayed elsewhere."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser
from playwright.sync_api import expect

from labkit import load
from labkit.artifacts import Kind
from labkit.engine import Engine, Label
from labkit.environment import Captured, Environment, read_capture
from labkit.environment.elements.capture import read_log
from labkit.errors import LabError
from labkit.load._replay import Replay
from labkit.workspace import Workspace

ITEM = {"sku": "A100", "quantity": 2}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace of its own."""
    made = Workspace.create(tmp_path_factory.mktemp("input") / "workspace")
    yield made
    made.artifacts.close()


@pytest.fixture(scope="module")
def environment(workspace: Workspace) -> Iterator[Environment]:
    """Give one integration environment to all tests."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        yield made


def send(url: str, body: object = None) -> int:
    """Send one request as a browser does, and return the status of the answer."""
    data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json", "Cookie": "secret=1"})  # noqa: S310 - an address of our own
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - an address of our own
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def captured(at_s: float, path: str, method: str = "GET", body: str = "") -> Captured:
    """Return a captured request."""
    return Captured(at_s, method, path, "application/json" if body else "", body, 200, 1.0)


# ---- what needs no engine ----


def test_a_log_is_read_in_the_order_in_which_requests_came() -> None:
    """A slow request that came first and was answered last stands first; what was no HTTP is left out."""
    line: dict[str, Any] = {"method": "GET", "content_type": "", "body": "", "status": 200}
    entries = [
        line | {"path": "/quick", "ended_s": 100.5, "took_s": 0.1},
        line | {"path": "", "method": "", "ended_s": 100.6, "took_s": 0.0},
        line | {"path": "/slow", "ended_s": 101.0, "took_s": 0.9},
    ]
    requests = read_log("".join(f"{json.dumps(entry)}\n" for entry in entries).encode())
    assert [(request.path, request.at_s, request.ms) for request in requests] == [
        ("/slow", 0.0, 900.0),
        ("/quick", 0.3, 100.0),
    ]
    assert read_log(b"") == []


def test_a_replay_keeps_times_order_and_bodies() -> None:
    """Equal requests are one, in every place where they came; speed divides the times."""
    requests = [captured(0, "/a"), captured(1, "/b", "POST", "{}"), captured(3, "/a")]
    made = Replay.of(requests, speed=2)
    assert [(at_s, made.requests[place].name) for at_s, place in made.plan()] == [
        (0, "GET /a"),
        (0.5, "POST /b"),
        (1.5, "GET /a"),
    ]
    assert made.requests[1].body == b"{}"
    assert made.requests[1].headers == {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("requests", "url", "speed", "words"),
    [
        ([], "http://127.0.0.1:1", 1, "at least one captured request"),
        ([captured(0, "/")], "http://127.0.0.1:1", 0, "a speed above 0"),
        ([captured(0, "/")], "http://example.org", 1, "a load on this machine"),
        ([captured(0, "/", "PROPFIND")], "http://127.0.0.1:1", 1, "a method out of"),
        (Path("no-such-file"), "http://127.0.0.1:1", 1, "a saved capture"),
    ],
)
def test_an_impossible_replay_is_refused_with_words(
    requests: Any, url: str, speed: float, words: str
) -> None:
    """Nothing is sent when there is nothing to send, no time to keep, or the target is somebody else's."""
    with pytest.raises(LabError, match=words):
        load.replay(requests, url, speed=speed)


def test_a_file_that_is_no_capture_is_refused(tmp_path: Path) -> None:
    """The error names the file and says what writes one."""
    for text in ("no json\n", '{"path": "/"}\n'):
        (tmp_path / "odd.jsonl").write_text(text)
        with pytest.raises(LabError, match=r"a saved capture in odd\.jsonl"):
            read_capture(tmp_path / "odd.jsonl")


# ---- what needs the engine ----


@pytest.mark.engine
def test_what_users_send_is_captured_whole_and_answered_by_the_system(environment: Environment) -> None:
    """Method, path with query, body to the letter, status and time are recorded; no cookie is."""
    odd = {"note": 'Ünïcode, "quotes", \\ and a\nnewline'}
    with environment.capture() as capture:
        assert send(f"{capture.url}/products?currency=EUR") == 200
        assert send(f"{capture.url}/cart/items", ITEM) == 200
        time.sleep(0.2)
        assert send(f"{capture.url}/cart/items", odd) == 422
    first, second, third = capture.requests()
    assert (first.method, first.path, first.body, first.status) == ("GET", "/products?currency=EUR", "", 200)
    assert (second.method, json.loads(second.body), second.content_type) == ("POST", ITEM, "application/json")
    assert (json.loads(third.body), third.status) == (odd, 422)
    assert first.at_s == 0
    assert third.at_s - second.at_s >= 0.2
    assert "secret" not in repr(capture.requests())


@pytest.mark.engine
def test_a_capture_leaves_no_proxy_and_is_recorded(environment: Environment, workspace: Workspace) -> None:
    """After the block its container is gone and the use is recorded; a second one at a time is refused."""
    engine = Engine.find()
    proxies: dict[str, str | None] = {Label.ENVIRONMENT: environment.name, Label.ROLE: "capture"}
    with environment.capture() as capture:
        assert len(engine.owned(proxies)) == 1
        with pytest.raises(LabError, match="one capture of"):
            environment.capture()
        send(capture.url)
    assert engine.owned(proxies) == []
    used = workspace.artifacts.history(kind=Kind.ENVIRONMENT_USED, environment=environment.name)[-1]
    assert (used.predicate["use"], used.predicate["requests"]) == ("capture", 1)
    engine.client.close()


@pytest.mark.engine
def test_a_saved_capture_replayed_gives_the_same_requests_again(
    environment: Environment, tmp_path: Path
) -> None:
    """The capture of a replay holds what the first held: same requests, same order, same statuses."""
    with environment.capture() as first:
        for body in (None, ITEM, {"sku": "Z999"}, ITEM):
            send(f"{first.url}/cart/items" if body else f"{first.url}/products", body)
            time.sleep(0.1)
    file = tmp_path / "saved" / "monday.jsonl"
    first.save(file)
    assert read_capture(file) == first.requests()
    with environment.capture() as second:
        measured = load.replay(file, second.url, speed=2).wait()
    sent = [
        [(request.method, request.path, request.body, request.status) for request in capture.requests()]
        for capture in (first, second)
    ]
    assert sent[0] == sent[1]
    assert (measured.requests, measured.failed) == (4, 1)
    assert measured.errors == {"status 404": 1}


@pytest.mark.engine
@pytest.mark.browser
def test_a_live_user_in_a_browser_is_captured_and_replayed_elsewhere(
    environment: Environment, workspace: Workspace
) -> None:
    """Somebody shops in a real browser; what they did, replayed elsewhere, is an order there too."""
    with environment.capture() as capture, browser() as chromium:
        page = chromium.new_page()
        page.goto(capture.url)
        page.get_by_label("Add Nasal spray to cart").click()
        page.get_by_label("Your name").fill("Zoë")
        page.get_by_role("button", name="Buy").click()
        expect(page.get_by_role("status")).to_contain_text("Thank you")
    bought = [json.loads(request.body) for request in capture.requests() if request.path == "/orders"]
    assert [order["customer"] for order in bought] == ["Zoë"]
    with Environment.create(workspace.system, "integration", workspace=workspace) as other:
        assert load.replay(capture.requests(), other.url, speed=4).wait().failed == 0
        assert other.database is not None
        with other.database.connect() as connection:
            rows = connection.execute("SELECT customer, state FROM orders").fetchall()
    assert rows == [("Zoë", "placed")]


@pytest.mark.engine
def test_a_capture_whose_environment_was_cleaned_up_says_so(workspace: Workspace) -> None:
    """Nothing is left of the proxy, and the error names the step that was forgotten."""
    made = Environment.create(workspace.system, "integration", workspace=workspace)
    capture = made.capture()
    made.clean_up()
    with pytest.raises(LabError, match="its proxy is gone") as caught:
        capture.requests()
    assert "before its environment is cleaned up" in caught.value.next_step

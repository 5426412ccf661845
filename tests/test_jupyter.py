import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest
import websocket
from browser import TOKEN, Lab, lab

from labkit.artifacts import Kind, Subject
from labkit.engine import BASE, Engine, Label, Owner
from labkit.jupyter import CHANGED
from labkit.workspace import Workspace

pytestmark = pytest.mark.engine
COMMIT = "ab" * 20
STAGES = ["development", "integration", "staging", "production"]


@contextmanager
def environment(workspace: Workspace, stage: str, *, containers: int = 1, owner: str = "") -> Iterator[str]:
    """Put idle containers with an environment's labels into the engine; remove what is left in the end."""
    engine, name = Engine.find(), f"{stage}-{uuid.uuid4().hex[:6]}"
    labels = {
        Label.WORKSPACE: workspace.id,
        Label.ENVIRONMENT: name,
        Label.STAGE: stage,
        Label.OWNER: owner or str(Owner.workspace(workspace.id)),
        Label.ROLE: "service",
        Label.SERVICE: "cart",
    }
    plain = {str(label): value for label, value in labels.items()}
    try:
        for _ in range(containers):
            engine.client.containers.run(
                BASE, ["sleep", "600"], labels=plain, network_mode="none", detach=True
            )
        yield name
    finally:
        engine.remove({Label.ENVIRONMENT: name})


def record(workspace: Workspace, run: str, kind: Kind, stage: str | None = None, **predicate: Any) -> None:
    """Record a fact of a run as the pipeline does."""
    subject = Subject("shop", "gitCommit:" + COMMIT)
    workspace.artifacts.record(kind, subject, stage=stage, run=run, by="ada", **predicate)


def begin_run(workspace: Workspace, run: str, *, state: str = "running") -> None:
    """Record a run that has passed development and is now in the state, in integration."""
    owner = str(Owner.workspace(workspace.id))
    line = "Discount the whole purchase"
    record(workspace, run, Kind.RUN_STARTED, commit=COMMIT, subject_line=line, stages=STAGES, owner=owner)
    record(workspace, run, Kind.STAGE_STARTED, "development", state="running", trigger="commit")
    record(workspace, run, Kind.STAGE_FINISHED, "development", state="passed", seconds=1.5, reason="")
    record(workspace, run, Kind.STAGE_STARTED, "integration", state=state, trigger="development.cleaned-up")


@contextmanager
def listener(server: Lab) -> Iterator[websocket.WebSocket]:
    """Listen on Jupyter's event bus."""
    address = server.url.replace("http", "ws") + "/api/events/subscribe"
    bus = websocket.create_connection(address, timeout=30, header=[f"Authorization: token {TOKEN}"])
    try:
        yield bus
    finally:
        bus.close()


def await_change(bus: websocket.WebSocket) -> None:
    """Wait for the event that something of the workspace changed."""
    while f'"{CHANGED}"' not in str(bus.recv()):
        pass


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Return a new workspace; its database is closed in the end."""
    made = Workspace.create(tmp_path_factory.mktemp("workspace"))
    yield made
    made.artifacts.close()


@pytest.fixture(scope="module")
def server(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Run a server on the workspace."""
    with lab(workspace.root, tmp_path_factory.mktemp("server")) as running:
        yield running


def state(server: Lab) -> dict[str, Any]:
    """Return the state that the server answers."""
    status, answer = server.request("GET", "labkit/state")
    assert status == 200
    return dict(answer)


def test_an_environment_is_found_by_its_labels(workspace: Workspace, server: Lab) -> None:
    """Whoever made its containers, an environment shows with stage, containers, age and owner."""
    with environment(workspace, "integration", containers=2) as name:
        (seen,) = state(server)["environments"]
    assert (seen["name"], seen["stage"], seen["containers"]) == (name, "integration", 2)
    assert seen["owner"] == {"kind": "workspace", "notebook": None, "alive": True}
    assert 0 <= seen["age_s"] < 60


def test_environments_of_other_workspaces_are_not_shown(server: Lab, tmp_path: Path) -> None:
    """A server shows only its own workspace."""
    with environment(Workspace.create(tmp_path / "other"), "integration"):
        assert state(server)["environments"] == []


def test_an_environment_whose_process_has_ended_is_shown_as_such(workspace: Workspace, server: Lab) -> None:
    """An owner that is gone is not alive."""
    gone = subprocess.Popen(["true"])
    owner = str(Owner.process()).split(":")
    gone.wait()
    owner[3] = str(gone.pid)
    with environment(workspace, "integration", owner=":".join(owner)):
        (seen,) = state(server)["environments"]
    assert seen["owner"] == {"kind": "process", "notebook": None, "alive": False}


def test_cleaning_up_leaves_nothing(workspace: Workspace, server: Lab) -> None:
    """DELETE removes everything of an environment and answers when it is done."""
    with environment(workspace, "integration", containers=2) as name:
        assert server.request("DELETE", f"labkit/environments/{name}") == (204, None)
        assert Engine.find().owned({Label.ENVIRONMENT: name}) == []


def test_cleaning_up_what_is_not_there_is_answered_with_a_next_step(server: Lab) -> None:
    """An unknown environment is a conflict with the three parts of an error."""
    status, answer = server.request("DELETE", "labkit/environments/no-such")
    assert status == 409
    assert all(answer[part] for part in ("expected", "seen", "next_step"))


def test_a_run_is_shown_stage_by_stage(workspace: Workspace, server: Lab) -> None:
    """A run shows its commit, who started it, and each stage with state and seconds, the newest run first."""
    begin_run(workspace, "run-older")
    begin_run(workspace, "run-newer")
    newest, older = state(server)["runs"][:2]
    assert (newest["id"], older["id"]) == ("run-newer", "run-older")
    assert (newest["commit"], newest["by"], newest["state"]) == (COMMIT, "ada", "running")
    stages = [(stage["name"], stage["state"], stage["seconds"]) for stage in newest["stages"]]
    assert stages[:2] == [("development", "passed", 1.5), ("integration", "running", None)]
    assert [state for _, state, _ in stages[2:]] == ["not started", "not started"]


def test_a_waiting_run_is_approved_once(workspace: Workspace, server: Lab) -> None:
    """Approval is recorded with who gave it; a run that does not wait cannot be approved."""
    begin_run(workspace, "run-waiting", state="waiting")
    assert server.request("POST", "labkit/runs/run-waiting/approve") == (204, None)
    (fact,) = workspace.artifacts.history(kind=Kind.APPROVED, run="run-waiting")
    assert fact.by
    begin_run(workspace, "run-going-on")
    status, answer = server.request("POST", "labkit/runs/run-going-on/approve")
    assert (status, "running" in answer["seen"]) == (409, True)


REQUESTS = [("GET", "state"), ("DELETE", "environments/x"), ("POST", "runs/x/approve")]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_stranger_is_refused(server: Lab, method: str, path: str) -> None:
    """Without the right token nothing is answered and nothing is done."""
    assert server.request(method, f"labkit/{path}", token="wrong")[0] == 403  # noqa: S106 - wrong on purpose


@pytest.mark.parametrize(("method", "path"), REQUESTS[1:])
def test_a_foreign_page_is_refused(server: Lab, method: str, path: str) -> None:
    """The user's cookies do nothing without the XSRF token, which only JupyterLab's own page can read."""
    cookies = CookieJar()
    visitor = build_opener(HTTPCookieProcessor(cookies))
    visitor.open(f"{server.url}/lab?token={TOKEN}").close()
    token = next(str(cookie.value) for cookie in cookies if cookie.name == "_xsrf")
    refusals: list[tuple[dict[str, str], int]] = [({}, 403), ({"X-XSRFToken": token}, 409)]
    for headers, expected in refusals:
        with pytest.raises(HTTPError) as refused:
            visitor.open(Request(f"{server.url}/labkit/{path}", method=method, headers=headers))  # noqa: S310 - our own server
        with refused.value as answer:
            assert answer.code == expected


def test_a_server_elsewhere_says_where_the_panel_works(tmp_path: Path) -> None:
    """In a folder that is no workspace the state is empty and has the next step."""
    root = tmp_path / "elsewhere"
    root.mkdir()
    with lab(root, tmp_path) as server:
        answer = state(server)
    assert (answer["environments"], answer["runs"]) == ([], [])
    assert "labkit start" in answer["problems"]["workspace"]["next_step"]


def test_without_an_engine_the_runs_are_still_shown(workspace: Workspace, tmp_path: Path) -> None:
    """A missing engine is a problem in place of the environments; a clean-up is answered with 503."""
    begin_run(workspace, "run-before")
    with lab(workspace.root, tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"}) as server:
        answer = state(server)
        status, problem = server.request("DELETE", "labkit/environments/any")
    assert answer["problems"]["environments"]["next_step"]
    assert answer["runs"][0]["id"] == "run-before"
    assert (status, bool(problem["next_step"])) == (503, True)


def test_an_engine_that_hangs_does_not_stop_the_server(workspace: Workspace, tmp_path: Path) -> None:
    """While a request waits for the engine, the server answers other requests, and it ends on SIGTERM."""
    answers: list[int] = []

    def ask(server: Lab) -> None:
        with suppress(ConnectionError):  # the server ends first
            answers.append(server.request("GET", "labkit/state")[0])

    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with lab(workspace.root, tmp_path, {"DOCKER_HOST": engine}) as server:
            waiting = threading.Thread(target=ask, args=(server,))
            waiting.start()
            for _ in range(3):
                assert server.request("GET", "api")[0] == 200
        waiting.join()
    assert answers == []


def test_changes_are_events_on_the_bus(workspace: Workspace, server: Lab) -> None:
    """A new container and a new fact each lead to one event, so that a panel need not ask all the time."""
    with listener(server) as bus:
        begin_run(workspace, "run-told")
        await_change(bus)
        with environment(workspace, "integration"):
            await_change(bus)


def test_a_burst_of_facts_leads_to_few_events(workspace: Workspace, server: Lab) -> None:
    """There are at most a few events a second, however much happens."""
    with listener(server) as bus:
        for number in range(40):
            begin_run(workspace, f"run-burst-{number}")
        await_change(bus)
        bus.settimeout(2)
        more = 0
        try:
            while bus.recv():
                more += 1
        except websocket.WebSocketTimeoutException:
            pass
    assert more < 40

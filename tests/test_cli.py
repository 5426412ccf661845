"""The command line as a shell sees it: words, JSON and exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import labkit
from labkit.cli import main
from labkit.cli._show import duration
from labkit.engine import NoEngine, NoPermission
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.workspace import Workspace

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `labkit …` as a child process."""
    command = [sys.executable, "-m", "labkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a fresh workspace, made by the command line."""
    folder = tmp_path_factory.mktemp("cli") / "workspace"
    made = call("start", folder)
    assert made.returncode == 0, made.stderr
    return folder


def test_version_and_help_are_there() -> None:
    """`--version` names the version, `--help` every command."""
    assert labkit.__version__ in call("--version").stdout
    listing = call("--help").stdout
    for command in (
        "start",
        "lab",
        "reset",
        "doctor",
        "images",
        "release",
        "pipeline",
        "environment",
        "artifacts",
        "data",
        "load",
    ):
        assert command in listing


def test_wrong_usage_leaves_with_2() -> None:
    """An unknown command, a missing argument and a forbidden combination are usage errors."""
    assert call("deploy").returncode == 2
    assert call("artifacts", "what-runs").returncode == 2
    assert call("environment", "create", "--stage", "moon").returncode == 2
    assert call("environment", "clean-up").returncode == 2


def test_outside_a_workspace_the_next_step_is_named(tmp_path: Path) -> None:
    """A command that needs a workspace says how to make one, without a traceback."""
    done = call("artifacts", "history", "--workspace", tmp_path)
    assert done.returncode == 1
    assert "labkit start" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_engine_leaves_with_3(root: Path) -> None:
    """Where no engine answers, doctor and everything that needs one leave with 3 and name the next step."""
    listed = call("environment", "list", "--workspace", root, **NO_ENGINE)
    assert listed.returncode == 3, listed.stderr
    assert "DOCKER_HOST" in listed.stderr
    assert call("doctor", **NO_ENGINE).returncode == 3


def call_here(*arguments: str | Path) -> int:
    """Run `labkit …` in this process and return its exit code; 0 when it just returns."""
    try:
        main([*map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


class EngineAsleep(NoEngine):
    """A kind of NoEngine that the command line has never heard of."""


@pytest.mark.parametrize(
    ("kind", "code"), [(NoEngine, 3), (NoPermission, 3), (EngineAsleep, 3), (LabError, 1)]
)
def test_every_kind_of_missing_engine_leaves_with_3(
    kind: type[LabError], code: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subclasses of NoEngine count as NoEngine; any other error of the user's leaves with 1."""

    def fail(_workspace: Workspace) -> None:
        raise kind("an engine", "none", "start it")

    monkeypatch.setattr(Environment, "list", fail)
    assert call_here("environment", "list", "--workspace", root) == code


def test_ctrl_c_prints_stopped_and_leaves_with_130(root: Path, tmp_path: Path) -> None:
    """A command that waits for a silent engine ends at once by Ctrl-C, with one word and no traceback."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "engine.sock"))
        silent.listen()
        silent.settimeout(60)
        command = [sys.executable, "-m", "labkit", "environment", "list", "--workspace", str(root)]
        environment = os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/engine.sock"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            connection, _ = silent.accept()  # the command has reached the engine and waits
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
            connection.close()
    assert process.returncode == 130
    assert errors.split() == ["stopped"]


def test_what_a_creation_waits_for_is_on_the_terminal_at_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Progress is printed while the creation goes on, each sentence whole and once, and not as a result."""
    sentence = (
        "waiting for another process to finish building images [or to end], which may take a few minutes"
    )
    while_created: list[str] = []

    def create(*_arguments: object, progress: Callable[[str], None], **_others: object) -> SimpleNamespace:
        for _time in range(2):
            progress(sentence)
        while_created.append(capsys.readouterr().err)
        return SimpleNamespace(name="shop-integration", url="http://127.0.0.1:1")

    monkeypatch.setattr(Environment, "create", create)
    arguments = ("--stage", "integration", "--workspace", root, "--json")
    assert call_here("environment", "create", *arguments) == 0
    assert while_created == [f"{sentence}\n"]
    assert json.loads(capsys.readouterr().out)["name"] == "shop-integration"


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(seconds=0), "0 s"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(minutes=12, seconds=5), "12 min 5 s"),
        (timedelta(hours=1, seconds=5), "1 h"),
        (timedelta(hours=25), "1 d 1 h"),
        (timedelta(days=400, hours=23), "400 d 23 h"),
        (timedelta(seconds=-3), "0 s"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(time: timedelta, words: str) -> None:
    """A person reads days, hours, minutes or seconds; clocks that differ make no negative duration."""
    assert duration(time) == words


def test_an_environment_of_yesterday_is_listed_with_its_days(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The age of a production of 25 hours is a day and an hour."""
    created_at = datetime.now(UTC) - timedelta(hours=25)
    status = SimpleNamespace(name="shop", stage="production", created_at=created_at, containers=9, owner="me")
    monkeypatch.setattr(Environment, "list", lambda _workspace: [status])
    assert call_here("environment", "list", "--workspace", root) == 0
    assert "1 d 1 h" in capsys.readouterr().out


def test_start_again_keeps_what_the_learner_wrote(root: Path) -> None:
    """`labkit start` on a workspace changes nothing in it."""
    notebook = next(root.rglob("one-change-to-production.ipynb"))
    notebook.write_text("mine")
    assert call("start", root).returncode == 0
    assert notebook.read_text() == "mine"


def test_reset_puts_a_lab_back_and_keeps_the_old_copy(root: Path) -> None:
    """`labkit reset LAB` gives the notebook as new and keeps the learner's beside it."""
    notebook = next(root.rglob("create-use-clean-up.ipynb"))
    notebook.write_text("mine")
    assert call("reset", "create-use-clean-up", "--workspace", root).returncode == 0
    assert json.loads(notebook.read_text())["nbformat"] == 4
    assert any(path.read_text() == "mine" for path in notebook.parent.rglob("*create-use-clean-up*"))
    assert call("reset", "no-such-lab", "--workspace", root).returncode == 1


def test_release_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    """Learner copies hold no solution and are byte-identical on rebuild."""
    for name in ("once", "twice"):
        assert call("release", "--to", tmp_path / name).returncode == 0
    once = {path.name: path.read_bytes() for path in (tmp_path / "once").rglob("*.ipynb")}
    twice = {path.name: path.read_bytes() for path in (tmp_path / "twice").rglob("*.ipynb")}
    assert len(once) >= 2
    assert once == twice
    assert all(
        b"BEGIN SOLUTION" not in content and b"HIDDEN TESTS" not in content for content in once.values()
    )


def test_an_empty_record_verifies(root: Path) -> None:
    """`labkit artifacts verify --json` tells the number of facts."""
    done = call("artifacts", "verify", "--workspace", root, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True


def test_a_run_of_an_unknown_commit_fails_with_1(root: Path) -> None:
    """A commit that does not exist is answered with the commits that do."""
    done = call("pipeline", "run", "--commit", "no-such", "--workspace", root)
    assert done.returncode == 1
    assert "no-such" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_runs_before_the_first_run(root: Path) -> None:
    """`what-runs` of a service that was never deployed fails and says what to do."""
    done = call("artifacts", "what-runs", "cart", "--workspace", root, "--json")
    assert done.returncode == 1
    assert "labkit pipeline run" in done.stderr


LOCUSTFILE = """\
from locust import HttpUser, constant, task
class Shopper(HttpUser):
    wait_time = constant(0.1)
    @task
    def look(self):
        self.client.get("/products")
"""


def loads_from_a_locustfile(root: Path, name: str) -> None:
    """Run a locustfile for a second, then another load until Ctrl-C; both print and leave a fact."""
    file = root / "shoppers.py"
    file.write_text(LOCUSTFILE)
    how: list[str | Path] = ["load", "run", file, "--environment", name, "--workspace", root, "--users", "2"]
    measured = call(*how, "--spawn-rate", "9", "--duration", "1", "--json")
    assert measured.returncode == 0, measured.stderr
    assert set(json.loads(measured.stdout)["by_request"]) == {"GET /products"}
    command = [sys.executable, "-m", "labkit", *map(str, how)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert "Ctrl-C ends it" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        table, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    assert "p99 ms" in table
    assert "all" in table
    with Workspace.open(root).artifacts as artifacts:
        facts = [
            fact.predicate for fact in artifacts.history(environment=name) if "locustfile" in fact.predicate
        ]
    assert [fact["locustfile"] for fact in facts] == ["shoppers.py"] * 2
    assert facts[0]["measurement"]["by_request"]["GET /products"]["requests"] > 1


def test_a_load_without_a_file_or_an_environment_is_refused(root: Path) -> None:
    """An option that is left out is wrong usage; no engine leaves with 3."""
    assert call("load", "run", "shoppers.py", "--workspace", root).returncode == 2
    nowhere = call("load", "run", "x.py", "--environment", "x", "--workspace", root, **NO_ENGINE)
    assert nowhere.returncode == 3


@pytest.mark.engine
def test_an_environment_outlives_its_command_and_is_cleaned_up_by_name(root: Path) -> None:
    """`environment create` leaves an environment of the workspace, `list` shows it, `clean-up` removes it.

    Between them, `load run` lets the users of a locustfile work in it.
    """
    made = call("environment", "create", "--stage", "integration", "--workspace", root, "--json")
    assert made.returncode == 0, made.stderr
    name = json.loads(made.stdout)["name"]
    listed = json.loads(call("environment", "list", "--workspace", root, "--json").stdout)
    assert [row["name"] for row in listed] == [name]
    loads_from_a_locustfile(root, name)
    assert call("environment", "clean-up", name, "--workspace", root).returncode == 0
    assert json.loads(call("environment", "list", "--workspace", root, "--json").stdout) == []
    left = ["docker", "ps", "-aq", "--filter", f"label=labkit.workspace={Workspace.open(root).id}"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""


SLOW_TO_LOAD = """\
import sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "labkit.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from labkit.__main__ import main
main()
"""


def test_ctrl_c_while_the_command_line_loads_shows_no_traceback() -> None:
    """Somebody who changes their mind in the first second reads "stopped" too."""
    done = subprocess.run([sys.executable, "-c", SLOW_TO_LOAD], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "stopped\n")

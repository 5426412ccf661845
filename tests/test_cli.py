"""The command line as a shell sees it: words, JSON and exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import labkit
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
    words = call("--help").stdout
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
    ):
        assert command in words


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
    """Where no engine answers, doctor and everything that needs one leave with 3 and name a mend."""
    listed = call("environment", "list", "--workspace", root, **NO_ENGINE)
    assert listed.returncode == 3, listed.stderr
    assert "DOCKER_HOST" in listed.stderr
    assert call("doctor", **NO_ENGINE).returncode == 3


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


@pytest.mark.engine
def test_an_environment_outlives_its_command_and_is_cleaned_up_by_name(root: Path) -> None:
    """`environment create` leaves an environment of the workspace, `list` shows it, `clean-up` removes it."""
    made = call("environment", "create", "--stage", "integration", "--workspace", root, "--json")
    assert made.returncode == 0, made.stderr
    name = json.loads(made.stdout)["name"]
    listed = json.loads(call("environment", "list", "--workspace", root, "--json").stdout)
    assert [row["name"] for row in listed] == [name]
    assert call("environment", "clean-up", name, "--workspace", root).returncode == 0
    assert json.loads(call("environment", "list", "--workspace", root, "--json").stdout) == []
    left = ["docker", "ps", "-aq", "--filter", f"label=labkit.workspace={Workspace.open(root).id}"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""

"""The command line as a shell sees it: words, JSON and exit codes."""

import errno
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import httpx
import pytest

import labkit
from labkit.artifacts import Kind, Reference, Subject
from labkit.checks import CheckOutcome, Finding, Report
from labkit.cli import labkit as commands
from labkit.cli import main
from labkit.cli._environment import _may_go, _state
from labkit.cli._show import duration
from labkit.engine import NoEngine, NoPermission, Owner
from labkit.environment import Environment, EnvironmentStatus, read_capture
from labkit.errors import LabError
from labkit.pipeline import Run, Stage, runs
from labkit.pipeline._recorder import FactSubject, OnEvent, RunRecorder
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
    for command in commands.commands:
        assert command in listing


def every_command(group: click.Group = commands, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, *path, name)
        else:
            yield " ".join([*path, name]), command


COMMANDS = dict(every_command())


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_is_in_the_readme_and_has_help_with_an_example_that_can_be_typed(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README names the command; its help explains each option, and click takes its example as it stands."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    group, _, name = words.rpartition(" ")
    rows = [line for line in readme.splitlines() if f"`labkit {group or name}" in line]
    assert any(f"`{name}`" in row or f"labkit {words}" in row for row in rows)

    command = COMMANDS[words]
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []
    example = re.search(r"^ +Example: labkit (.+)$", command.get_help(click.Context(command)), re.MULTILINE)
    assert example, "the help ends with one line: Example: labkit …"
    monkeypatch.chdir(tmp_path)
    Path("images.tar").touch()  # the example of a command that reads a file finds one
    typed = shlex.split(example[1].partition(" > ")[0])
    assert typed[: len(words.split())] == words.split()
    command.make_context(name, typed[len(words.split()) :])


LISTS_NOTHING = {"start", "lab", "reset", "images build", "images save", "images load", "grades new-key"}
"""What these do is not a listing, and their result is one sentence."""


def test_each_command_that_lists_or_has_a_result_takes_json() -> None:
    """`--json` is there everywhere, but where nobody would read it."""
    without = {
        words
        for words, command in COMMANDS.items()
        if not any(option.name == "as_json" for option in command.params)
    }
    assert without == LISTS_NOTHING


def test_the_help_loads_no_heavy_library() -> None:
    """`labkit --help` stays quick: no database, no engine, no load and no notebook is loaded for it."""
    code = "import labkit.cli, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"sqlalchemy", "docker", "psycopg", "locust", "polars", "nbformat"} & {*loaded.split()}


ON_PATH = f"""\
#!/bin/sh
exec "{sys.executable}" -m labkit "$@"
"""
TAB = """\
eval "$(_LABKIT_COMPLETE=bash_source labkit)"
while read -r typed; do
    COMP_WORDS=(labkit $typed); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    _labkit_completion labkit
    echo "${COMPREPLY[@]}"
done
"""
OFFERED = {
    "deployment roll": ["roll-back", "rolling"],
    "deployment rolling c": ["cart", "catalog"],
    "deployment rolling cart tagg": ["tagged-1", "tagged-2"],
    "deployment status --environment shop-": ["shop-2"],
    "toggle switch b": ["basket_discount"],
}
"""What Tab offers for words that were typed."""


@pytest.fixture(scope="module")
def shell(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables of a shell that finds `labkit`, and whose workspace has had two environments."""
    place = tmp_path_factory.mktemp("bin") / "labkit"
    place.write_text(ON_PATH)
    place.chmod(0o755)
    artifacts = Workspace.open(root).artifacts
    for kind, name in (
        (Kind.ENVIRONMENT_CREATED, "shop-1"),
        (Kind.ENVIRONMENT_CREATED, "shop-2"),
        (Kind.ENVIRONMENT_DELETED, "shop-1"),
    ):
        artifacts.record(kind, Subject(name, ""), environment=name)
    path = f"{place.parent}:{os.environ['PATH']}"
    return os.environ | NO_ENGINE | {"PATH": path, "LABKIT_WORKSPACE": str(root)}


def test_bash_completes_commands_and_names_without_an_engine(shell: dict[str, str]) -> None:
    """What Tab offers in a real bash, after the line that README gives for it."""
    done = subprocess.run(
        ["bash", "--norc", "-c", TAB],
        input="".join(f"{typed}\n" for typed in OFFERED),
        capture_output=True,
        text=True,
        check=True,
        env=shell,
    )
    offered = [sorted(line.split()) for line in done.stdout.splitlines()]
    assert (dict(zip(OFFERED, offered, strict=True)), done.stderr) == (OFFERED, "")


def test_zsh_is_told_the_same(shell: dict[str, str]) -> None:
    """By click's protocol for zsh, the words so far and the place of the cursor give what fits there."""
    words = {
        "_LABKIT_COMPLETE": "zsh_complete",
        "COMP_WORDS": "labkit deployment rolling c",
        "COMP_CWORD": "3",
    }
    done = call("--", **shell, **words)
    assert done.stdout.split() == ["plain", "cart", "_", "plain", "catalog", "_"]
    source = call(**shell, _LABKIT_COMPLETE="zsh_source")
    assert "#compdef labkit" in source.stdout


def test_completion_outside_of_a_workspace_is_empty_and_silent(tmp_path: Path) -> None:
    """Where there is nothing to offer, Tab prints no error over the line that is being typed."""
    words = {"_LABKIT_COMPLETE": "bash_complete", "COMP_WORDS": "labkit toggle set b", "COMP_CWORD": "3"}
    done = call(**words, LABKIT_WORKSPACE=str(tmp_path))
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_wrong_usage_leaves_with_2() -> None:
    """An unknown command, a missing argument and a forbidden combination are usage errors."""
    assert call("deploy").returncode == 2
    assert call("artifacts", "what-runs").returncode == 2
    assert call("environment", "create", "--stage", "moon").returncode == 2
    assert call("environment", "clean-up").returncode == 2


@pytest.mark.parametrize(
    "line",
    [
        "environment create --stage development",
        "deployment canary cart v2 --share 0.1 --user ada",
        "deployment canary cart v2 --share 0.5 --share 0.1",
        "deployment rolling cart",
        "deployment rolling cart v2 --surge 0",
        "toggle set basket_discount",
        "toggle set basket_discount on --share 0.5",
        "toggle switch basket_discount on",
        "pipeline reject 1f0c9a3e",
        "pipeline list --limit 0",
        "artifacts history --limit -1",
        "artifacts what-runs cart --stage stagin",
    ],
)
def test_what_does_not_fit_together_is_wrong_usage_too(
    line: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A half command, two answers to one question and a number out of its range start nothing."""
    assert call_here(*shlex.split(line), "--workspace", root) == 2
    assert "Usage: labkit" in capsys.readouterr().err


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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_print_stopped_and_leave_with_their_code(
    root: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """A command that waits for a silent engine ends at once by either, with one word and no traceback."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "engine.sock"))
        silent.listen()
        silent.settimeout(60)
        command = [sys.executable, "-m", "labkit", "environment", "list", "--workspace", str(root)]
        environment = os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/engine.sock"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            connection, _ = silent.accept()  # the command has reached the engine and waits
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
            connection.close()
    assert process.returncode == code
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
    """The age of a production of 25 hours is a day and an hour; its name stays one word, to type again."""
    created_at = datetime.now(UTC) - timedelta(hours=25)
    name, owner = "shop-production-09bc57", "workspace:60dc1b3ea98e"
    status = EnvironmentStatus(name, "production", owner, created_at, containers=10)
    monkeypatch.setattr(Environment, "list", lambda _workspace: [status])
    monkeypatch.setenv("COLUMNS", "72")
    assert call_here("environment", "list", "--workspace", root) == 0
    printed = capsys.readouterr().out
    assert "1 d 1 h" in printed
    assert name in printed


def test_start_again_keeps_what_the_learner_wrote(root: Path) -> None:
    """`labkit start` on a workspace changes nothing in it."""
    notebook = next(root.rglob("*-one-change-to-production.ipynb"))
    notebook.write_text("mine")
    assert call("start", root).returncode == 0
    assert notebook.read_text() == "mine"


def test_reset_puts_a_lab_back_and_keeps_the_old_copy(root: Path) -> None:
    """`labkit reset LAB` gives the notebook as new and keeps the learner's beside it."""
    notebook = next(root.rglob("*-create-use-clean-up.ipynb"))
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


@pytest.fixture
def running(root: Path) -> Iterator[None]:
    """Have one service in production while a test runs."""
    with Workspace.open(root).artifacts as artifacts:
        image = Subject("cart", "a" * 64)
        place: dict[str, Any] = {"stage": "production", "environment": "shop-production"}
        inside = [Reference("dependency", "pkg:pypi/starlette@1.10.0")]
        artifacts.record(Kind.SERVICE_DEPLOYED, image, service="cart", references=inside, **place)
        yield
        artifacts.record(Kind.SERVICE_REMOVED, image, service="cart", **place)


@pytest.mark.usefixtures("running")
def test_where_is_answers_found_not_found_and_wrong_usage(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package that runs leaves with 0, one that does not with 1 and the nearest, what is none with 2."""
    (place,) = answer(capsys, root, "artifacts", "where-is", "pkg:pypi/Starlette")
    assert (place["service"], place["references"][0]["uri"]) == ("cart", "pkg:pypi/starlette@1.10.0")
    assert answer(capsys, root, "artifacts", "where-is", "starlete", code=1) == []
    assert call_here("artifacts", "where-is", "starlete", "--workspace", root) == 1
    assert "labkit artifacts where-is pkg:pypi/starlette" in capsys.readouterr().err
    for text in ("", "pkg:pypi", "two words"):
        assert call_here("artifacts", "where-is", text, "--workspace", root) == 2
        assert "a package URL such as" in " ".join(capsys.readouterr().err.split())


def answer(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str | Path, code: int = 0) -> Any:
    """Run `labkit … --json` in this process, and return what it printed as JSON."""
    capsys.readouterr()
    assert call_here(*arguments, "--workspace", root, "--json") == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def waiting(root: Path) -> str:
    """Record a run that waits for approval, after one red and one green gate; return its id."""
    commit, run = "a" * 40, f"run-{datetime.now(UTC):%H%M%S%f}"
    recorder = RunRecorder(Workspace.open(root).artifacts, run, Subject("shop", f"gitCommit:{commit}"))
    stages = [
        Stage("development", "development", "commit", ("unit", "squawk")),
        Stage("production", "production", "development.cleaned-up", ("watch",)),
    ]
    recorder.run_started(
        commit=commit, subject_line="Sell [plasters]", stages=[one.name for one in stages], owner="a friend"
    )
    recorder.stage_started(stages[0], "commit")
    findings = tuple(Finding(f"test_{letter}", "is red") for letter in "abcd")
    for report in (Report("unit", CheckOutcome.FAIL, findings), Report("squawk", CheckOutcome.PASS)):
        recorder.gate_answered(stages[0], report, [FactSubject(Subject("cart", "gitTree:1"))])
    recorder.stage_finished(stages[0], "passed")
    recorder.stage_started(stages[1], "approval", state="waiting")
    return run


def test_runs_are_listed_and_shown_with_every_finding(
    root: Path, waiting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest run comes first; `show` has its stages, its gates' answers and all that they found."""
    assert answer(capsys, root, "pipeline", "list", "--limit", "1")[0]["id"] == waiting
    assert call_here("pipeline", "list", "--workspace", root) == 0
    assert "Sell [plasters]" in capsys.readouterr().out
    shown = answer(capsys, root, "pipeline", "show", waiting)
    assert [(stage["name"], stage["state"]) for stage in shown["stages"]] == [
        ("development", "passed"),
        ("production", "waiting"),
    ]
    assert call_here("pipeline", "show", waiting, "--workspace", root) == 0
    printed = capsys.readouterr().out
    assert re.search(r"unit +fail", printed)
    assert re.search(r"squawk +pass", printed)
    assert [f"test_{letter}: is red" in printed for letter in "abcd"] == [True] * 4


@pytest.mark.parametrize(
    ("command", "decision"),
    [(["approve"], "approved"), (["reject", "--reason", "not on a Friday"], "rejected")],
)
def test_a_waiting_run_is_approved_or_rejected_with_name_and_reason(
    command: list[str], decision: str, root: Path, waiting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The decision is a fact of the run, by the user of the command."""
    given = answer(capsys, root, "pipeline", command[0], waiting, *command[1:])
    (fact,) = Workspace.open(root).artifacts.history(kind=Kind.APPROVED, run=waiting)
    assert given == {"run": waiting, **fact.predicate, "by": fact.by}
    assert (given["decision"], given["reason"]) == (decision, "".join(command[2:]))


@pytest.mark.parametrize("command", [["show"], ["approve"], ["reject", "--reason", "no"]])
def test_an_unknown_run_is_refused_with_those_that_are_known(
    command: list[str], root: Path, waiting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and the next step names runs that can be typed."""
    assert call_here("pipeline", *command, "no-such", "--workspace", root) == 1
    assert waiting in capsys.readouterr().err


def red_run(workspace: Workspace, on_event: OnEvent) -> Run:
    """Record a run that two modules' red tests stopped, telling each event, and return it."""
    commit, run = "b" * 40, f"run-{datetime.now(UTC):%H%M%S%f}"
    recorder = RunRecorder(workspace.artifacts, run, Subject("shop", f"gitCommit:{commit}"), on_event)
    stages = [
        Stage("development", "development", "commit", ("unit",)),
        Stage("production", "production", "development.cleaned-up", ("watch",)),
    ]
    recorder.run_started(commit=commit, stages=[one.name for one in stages], owner="a friend")
    recorder.stage_started(stages[0], "commit")
    recorder.notify("development", "running", "", gate="unit", service="cart")
    for module in ("cart", "catalog"):
        findings = (Finding(f"{module}/tests/test_it.py::test_it", "assert 3 == 4, said [it]"),)
        report = Report("unit", CheckOutcome.FAIL, findings, seconds=1.5, evidence={"module": module})
        recorder.gate_answered(stages[0], report, [FactSubject(Subject(module, ""), module)])
    noted = Report("squawk", CheckOutcome.PASS, (Finding("habit", "a long story", "note"),))
    recorder.gate_answered(stages[0], noted, [FactSubject(recorder.subject)])
    test = "cart/tests/test_it.py::test_it: assert 3 == 4, said [it]"
    reason = f"development: gate unit (cart) failed: {test}"
    recorder.stage_finished(stages[0], "failed", reason)
    recorder.run_finished("failed", reason)
    return Run.read(workspace.artifacts, run)


def test_a_red_run_is_told_once_in_the_width_of_the_terminal(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each gate's line has its module under the others; a failure comes once, in three parts, at the end."""
    monkeypatch.setattr("labkit.pipeline.run", lambda workspace, _, on_event: red_run(workspace, on_event))
    monkeypatch.setenv("COLUMNS", "72")
    assert call_here("pipeline", "run", "--workspace", root) == 1
    printed = capsys.readouterr()
    run = runs(Workspace.open(root).artifacts, 1)[0]
    assert printed.out == f"run {run.id} failed\n"
    lines = printed.err.splitlines()
    assert max(map(len, lines)) <= 72
    gates = [line for line in lines if "unit  " in line or "squawk" in line]
    assert [(line.split()[0], line.index("development")) for line in gates] == [
        ("..", 8),
        ("FAIL", 8),
        ("FAIL", 8),
        ("pass", 8),
    ]
    assert {line.index("cart") for line in gates if "cart" in line} == {40}
    assert [len(re.findall(rf"{module}/tests", printed.err)) for module in ("cart", "catalog")] == [1, 1]
    assert printed.err.count("said [it]") == 2
    assert "a long story" not in printed.err
    assert [line[:10] for line in lines if line.startswith(("exp", "seen", "next"))] == [
        "expected: ",
        "seen:     ",
        "next:     ",
    ] * 2
    next_step = next(line for line in lines if line.startswith("next:"))[10:]
    assert call_here(*shlex.split(next_step)[1:], "--workspace", root) == 0


def test_nothing_in_a_table_commands_the_terminal_or_is_markup(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets stand as they are; control characters are escaped, so that no name writes elsewhere."""
    Workspace.open(root).artifacts.record(
        Kind.ENVIRONMENT_USED, Subject("[/b]evil[red]", ""), by="x\x1b]0;title\x07"
    )
    assert call_here("artifacts", "history", "--limit", "1", "--workspace", root) == 0
    printed = capsys.readouterr().out
    assert "[/b]evil[red]" in printed
    assert "x\\x1b]0;title\\x07" in printed


def test_the_facts_of_an_unknown_run_are_a_failure(
    root: Path, waiting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing found is not exit code 0, and the next step names runs that there are."""
    assert call_here("artifacts", "history", "--run", "zzz", "--workspace", root) == 1
    assert waiting in capsys.readouterr().err


def test_a_full_disk_is_an_error_with_the_place(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system refuses is told with the file, and no traceback."""

    def full(_: Workspace) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(root / "shop"))

    monkeypatch.setattr(Environment, "list", full)
    assert call_here("environment", "list", "--workspace", root) == 1
    assert f"next:     df -h {root / 'shop'}" in capsys.readouterr().err


class Answering(io.StringIO):
    """Somebody at a terminal, who answers what is asked."""

    def isatty(self) -> bool:
        """Return what a terminal returns."""
        return True


@pytest.mark.parametrize(
    ("stage", "owner", "answers", "may_go"),
    [
        ("staging", "workspace:1", "", True),
        ("production", "workspace:1", "", False),
        ("production", "workspace:1", "y\n", True),
        ("production", "workspace:1", "n\n", False),
        ("staging", "this process", "", False),
        ("staging", "this process", "y\n", True),
        ("staging", "process:0:0:1:1", "", False),
    ],
)
def test_production_and_what_is_in_use_go_only_when_somebody_says_so(
    stage: str, owner: str, answers: str, monkeypatch: pytest.MonkeyPatch, *, may_go: bool
) -> None:
    """Of all environments these are asked about; where nobody can answer, they stay and are named."""
    monkeypatch.setattr(sys, "stdin", Answering(answers) if answers else io.StringIO())
    owner = str(Owner.process()) if owner == "this process" else owner
    kept: list[str] = []
    assert _may_go(EnvironmentStatus("shop-1", stage, owner, datetime.now(UTC), 1), kept) is may_go
    assert kept == ([] if may_go else ["shop-1"])


@pytest.mark.parametrize(
    ("owner", "state", "may_go"),
    [
        ("process:0:0:1:1", "being created or removed", False),  # of another machine: nobody can tell
        ("dead", "incomplete: the next create removes it", True),
    ],
)
def test_a_half_made_production_is_told_from_a_whole_one(owner: str, state: str, *, may_go: bool) -> None:
    """The list says in which state it is; what a dead process has left goes without a question."""
    fields = str(Owner.process()).split(":")
    owner = ":".join([*fields[:-1], "1"]) if owner == "dead" else owner  # another process had the number
    status = EnvironmentStatus("shop-1", "production", owner, datetime.now(UTC), 1, complete=False)
    assert _state(status) == state
    assert _state(replace(status, complete=True)) == (
        "left over: the next create removes it" if may_go else "whole"
    )
    assert _may_go(status, []) is may_go


def test_a_key_file_that_is_not_there_is_an_error_with_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next step, typed, makes the file."""
    policy, key = tmp_path / "policy.toml", tmp_path / "no key"
    policy.touch()
    databases = ("postgresql:///a", "postgresql:///b")
    assert call_here("data", "obscure", *databases, "--policy", policy, "--key", key) == 1
    command = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("next:"))[10:]
    subprocess.run(["sh", "-c", command], check=True)
    assert len(key.read_bytes()) == 32


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://app:p%ss@127.0.0.1:1/db", "%25"),
        ("postgresql+psycopg://app:hunter2@127.0.0.1:1/db", "without +DRIVER"),
        ("hunter2 x", "%25"),
        ("postgresql://app:hun@hunter2@127.0.0.1:1/db", "%40"),
        ("postgresql://app:hun/hunter2@127.0.0.1:1/db", "%2F"),
        ("postgresql://app:12/hunter2@127.0.0.1:1/db", "%2F"),
        ("postgresql://app:hunter2@127.0.0.1:1/db", "start the server"),
    ],
)
def test_no_error_about_a_url_tells_its_password(
    url: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake has a next step; the URL's own words are not in it."""
    assert call_here("data", "survey", url) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("expected: a database")
    assert words in printed
    assert not [piece for piece in ("hunter2", "p%ss", "12/") if piece in printed]


@pytest.fixture(scope="module")
def staging(root: Path) -> Iterator[str]:
    """Create staging by the command line, and return its name; it is cleaned up by the command line too."""
    made = call("environment", "create", "--stage", "staging", "--workspace", root, "--json")
    assert made.returncode == 0, made.stderr
    name = json.loads(made.stdout)["name"]
    yield name
    assert call("environment", "clean-up", name, "--workspace", root).returncode == 0


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Start `labkit …` as a child process, which is killed if it is still there in the end."""
    command = [sys.executable, "-m", "labkit", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str], words: str) -> str:
    """Return the first line of a child's progress that has these words in it."""
    assert process.stderr
    return next(line for line in process.stderr if words in line)


def versions(capsys: pytest.CaptureFixture[str], root: Path) -> dict[str, int]:
    """Return how many carts of each version `deployment status` tells of."""
    (state,) = answer(capsys, root, "deployment", "status", "cart")
    return dict(state["versions"])


LOCUSTFILE = """\
from locust import HttpUser, constant, task
class Shopper(HttpUser):
    wait_time = constant(0.1)
    @task
    def look(self):
        self.client.get("/products")
"""


@pytest.mark.engine
def test_the_users_of_a_locustfile_work_until_the_end_or_ctrl_c(root: Path, staging: str) -> None:
    """Both ways the measurement is printed, and is a fact of the environment."""
    file = root / "shoppers.py"
    file.write_text(LOCUSTFILE)
    how: list[str | Path] = ["load", "run", file, "--workspace", root, "--users", "2"]
    measured = call(*how, "--spawn-rate", "9", "--duration", "1", "--json")
    assert measured.returncode == 0, measured.stderr
    assert set(json.loads(measured.stdout)["by_request"]) == {"GET /products"}
    with started(*how) as process:
        line_of(process, "Ctrl-C ends it")
        process.send_signal(signal.SIGINT)
        table, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    assert "p99 ms" in table
    with Workspace.open(root).artifacts as artifacts:
        facts = [fact.predicate for fact in artifacts.history(environment=staging)]
    loads = [fact for fact in facts if "locustfile" in fact]
    assert [fact["locustfile"] for fact in loads] == ["shoppers.py"] * 2
    assert loads[0]["measurement"]["by_request"]["GET /products"]["requests"] > 1


@pytest.mark.engine
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("staging")
def test_a_version_is_deployed_withdrawn_and_rolled_back(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rolling, a red health command and roll-back: progress on one stream, the result on the other."""
    (before,) = answer(capsys, root, "deployment", "status", "cart")
    assert (before["status"], before["traffic"]["requests"], before["deployment"]) == ("no evidence", 0, None)
    assert sum(one["share"] for one in before["instances"]) == pytest.approx(1, abs=0.001)

    done = answer(capsys, root, "deployment", "rolling", "cart", "v2", "--surge", "3")
    assert (done["service"], done["result"], versions(capsys, root)) == ("cart", "deployed", {"v2": 3})
    red = ("deployment", "blue-green", "cart", "toggled", "--health", "echo $LABKIT_URL is red; false")
    assert call_here(*red, "--workspace", root) == 1
    printed = capsys.readouterr()
    assert re.search(r"rolled back .*the health command failed: http://.* is red", printed.out)
    assert "starting" in printed.err
    (after,) = answer(capsys, root, "deployment", "status", "cart")
    assert (after["status"], after["deployment"]["state"], after["versions"]) == (
        "rolled back",
        "rolled back",
        {"v2": 3},
    )
    answer(capsys, root, "deployment", "roll-back", "cart")
    assert versions(capsys, root) == before["versions"]


@pytest.mark.engine
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("staging")
def test_ctrl_c_ends_a_deployment_between_two_steps_and_the_same_command_goes_on(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It leaves with 130 and as many instances as before; the next call brings the rest."""
    arguments = ("deployment", "rolling", "cart", "v2", "--workspace", root)
    with started(*arguments) as process:
        line_of(process, "in balancer")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.split()[-1]) == (130, "stopped")
    assert "the same command goes on from there" in errors
    both = versions(capsys, root)
    assert (sum(both.values()), len(both)) == (3, 2)
    answer(capsys, root, *arguments[:4])
    assert versions(capsys, root) == {"v2": 3}


@pytest.mark.engine
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("staging")
def test_a_canarys_share_is_told_while_it_is_watched(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """During the watch `status` says that one instance has the canary's share, and others the rest."""
    seen = tmp_path / "status.json"
    status = f"{sys.executable} -m labkit deployment status cart --json --workspace {root}"
    look = f"[ -e {seen} ] || {status} > {seen}"
    canary = ("deployment", "canary", "cart", "pinned", "--share", "0.4", "--watch-s", "0.1")
    assert call_here(*canary, "--workspace", root) == 1
    assert "no evidence: 0 requests reached the canary" in capsys.readouterr().out
    answer(capsys, root, *canary, "--least-requests", "0", "--health", look)
    (state,) = json.loads(seen.read_text())
    assert state["status"] == "progressing"
    shares = {one["version"]: one["share"] for one in state["instances"]}
    assert shares["pinned"] == 0.4
    assert sum(one["share"] for one in state["instances"]) == pytest.approx(1, abs=0.001)
    assert versions(capsys, root) == {"pinned": 3}


@pytest.mark.engine
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("staging")
def test_a_toggle_is_listed_set_and_switched(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A share is set at once; a switch needs carts that know the toggle, and changes nothing without them."""
    (listed,) = answer(capsys, root, "toggle", "list")
    assert (listed["name"], listed["value"], listed["owner"]) == ("basket_discount", "off", "cart team")
    assert (listed["remove_by"], listed["stale"], listed["places"]) == ("2027-06-30", False, [])
    assert answer(capsys, root, "toggle", "set", "basket_discount", "--share", "0.1")["value"] == "10 %"
    switch = ("toggle", "switch", "basket_discount", "on", "catalog", "--deadline-s", "0.2")
    assert call_here(*switch, "--workspace", root) == 1  # the catalog's code does not ask for it
    assert "0/1 ready" in capsys.readouterr().err
    assert answer(capsys, root, "toggle", "list")[0]["value"] == "10 %"

    answer(capsys, root, "deployment", "blue-green", "cart", "toggled")
    assert answer(capsys, root, "toggle", "switch", "basket_discount", "on", "cart")["value"] == "on"
    assert answer(capsys, root, "toggle", "set", "basket_discount", "off")["value"] == "off"
    for unknown in (("set", "basket_discout", "on"), ("switch", "basket_discount", "on", "card")):
        assert call_here("toggle", *unknown, "--workspace", root) == 1
        assert re.search("basket_discount|catalog", capsys.readouterr().err)


@pytest.mark.engine
def test_a_snapshot_is_restored_by_another_process(
    root: Path, staging: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one process kept under a name, another one restores; a name that was never kept is refused."""
    kept = call("database", "snapshot", "full", "--workspace", root, "--json")
    assert json.loads(kept.stdout) == {"environment": staging, "snapshot": "full"}
    database = Environment.attach(staging, Workspace.open(root)).database
    assert database
    before = database.fingerprint()
    with database.connect() as connection:
        connection.execute("CREATE TABLE more (id integer)")
    assert database.fingerprint() != before
    answer(capsys, root, "database", "restore", "full")
    assert database.fingerprint() == before
    assert answer(capsys, root, "database", "list") == [{"environment": staging, "snapshot": "full"}]
    assert call_here("database", "restore", "fall", "--workspace", root) == 1
    assert "labkit database snapshot fall" in capsys.readouterr().err


@pytest.mark.engine
def test_logs_are_chosen_by_instance_and_by_request(
    root: Path, staging: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A request's lines come from all services that it met; an instance's lines from it alone."""
    url = Environment.attach(staging, Workspace.open(root)).url
    httpx.get(f"{url}/products", headers={"X-Request-Id": "the-one"}, timeout=30).raise_for_status()
    lines = answer(capsys, root, "environment", "logs", staging, "--request-id", "the-one")
    assert {"storefront", "catalog"} <= {line["service"] for line in lines}
    assert {line["request_id"] for line in lines} == {"the-one"}
    catalog = answer(capsys, root, "environment", "logs", "--service", "catalog-1")
    assert {line["instance"] for line in catalog} == {"catalog-1"}
    assert call_here("environment", "logs", "--service", "catalog-1", "--workspace", root) == 0
    assert "catalog-1" in capsys.readouterr().out.splitlines()[-1]
    assert call_here("environment", "logs", "--service", "catalog-9", "--workspace", root) == 1
    assert "catalog-1" in capsys.readouterr().err


@pytest.mark.engine
def test_ctrl_c_ends_a_capture_and_keeps_what_came(
    root: Path, staging: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The requests to the printed address are in the file, and the proxy is gone."""
    file = tmp_path / "requests.jsonl"
    arguments = ("environment", "capture", staging, "--seconds", "600", "--to", file, "--workspace", root)
    with started(*arguments) as process:
        url = line_of(process, "http://").split()[-1]
        assert httpx.get(f"{url}/products?page=1", timeout=30).status_code == 200
        assert call_here("environment", "capture", staging, "--workspace", root) == 1
        assert "docker rm --force" in " ".join(capsys.readouterr().err.split())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.split()[-1]) == (130, "stopped")
    assert [(one.method, one.path) for one in read_capture(file)] == [("GET", "/products?page=1")]
    assert answer(capsys, root, "environment", "capture", "--seconds", "0") == []


@pytest.mark.engine
def test_an_environment_outlives_its_command_and_is_cleaned_up_by_name(
    root: Path, staging: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`create` leaves an environment of the workspace, `list` shows it, `clean-up` leaves nothing of it.

    With two of them, a command asks which one is meant; the one without a database or coordinator says so.
    """
    module = ("environment", "create", "--stage", "development", "--module", "cart")
    made = call(*module, "--workspace", root, "--json")
    assert made.returncode == 0, made.stderr
    name = json.loads(made.stdout)["name"]
    assert [row["name"] for row in answer(capsys, root, "environment", "list")] == [staging, name]
    assert call_here("deployment", "status", "--workspace", root) == 1
    assert f"name one of: {staging}, {name}" in capsys.readouterr().err
    for words, seen in (
        (["database", "list", "--environment"], "has none"),
        (["toggle", "list", "--environment"], "staging or production"),
        (["environment", "capture"], "an entry service"),
    ):
        assert call_here(*words, name, "--workspace", root) == 1
        assert seen in capsys.readouterr().err
    assert answer(capsys, root, "environment", "clean-up", name) == [{"name": name}]
    assert [row["name"] for row in answer(capsys, root, "environment", "list")] == [staging]
    left = ["docker", "ps", "-aq", "--filter", f"label=labkit.environment={name}"]
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

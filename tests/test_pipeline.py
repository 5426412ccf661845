"""The pipeline: data that is checked, a record that is rebuilt from facts, and commits on real containers."""

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest
from images import remove_images

from labkit.artifacts import ArtifactDatabase, Kind, Reference, Subject
from labkit.checks import CheckOutcome, Finding, Report, bill_of_materials
from labkit.engine import Engine, Label, Owner, build_service_image
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.load import Load, Request, apply
from labkit.pipeline import (
    GATES,
    Answer,
    Gate,
    GateContext,
    Pipeline,
    PipelineEvent,
    Run,
    approve,
    reject,
    run,
    runs,
)
from labkit.pipeline._approval import await_decision
from labkit.pipeline._build import build
from labkit.pipeline._context import RunContext, RunStopped
from labkit.pipeline._definition import Stage
from labkit.pipeline._gates import Gates, record_module_answers
from labkit.pipeline._recorder import FactSubject, RunRecorder
from labkit.pipeline._registry import Ask
from labkit.pipeline._source import Source
from labkit.system import Service, System
from labkit.workspace import Workspace

PACKAGING = """\
packaging==26.3 \\
    --hash=sha256:94edc256424af38762eb31306eed28beb9f0efc50a8837492c9d6fd6004aed79 \\
    --hash=sha256:d7193f7c8e4e93f444fde0262bf90af30e16fa0ad0ad44cb553c87339b23cd1c
"""
SHOP = Path(__file__).parents[1] / "labs" / "shop"
FIRST = '[[stages]]\nname = "development"\ntrigger = "commit"\ngates = ["unit"]\n'
SECOND = '[[stages]]\nname = "integration"\ntrigger = "development.cleaned-up"\ngates = ["functional"]\n'
LATE = '[[stages]]\nname = "staging"\ntrigger = "production.cleaned-up"\ngates = ["functional"]\n'
LAST = '[[stages]]\nname = "production"\ntrigger = "integration.cleaned-up"\ngates = ["watch"]\n'


def load(folder: Path, text: str) -> Pipeline:
    """Read a pipeline.toml with this text."""
    (folder / "pipeline.toml").write_text(text)
    return Pipeline.load(folder)


def test_the_shops_pipeline_has_the_four_stages_of_the_chapter() -> None:
    """The course's own pipeline.toml is valid and complete."""
    stages = Pipeline.load(SHOP).stages
    assert [stage.name for stage in stages] == ["development", "integration", "staging", "production"]
    assert [stage.trigger for stage in stages][1:] == [f"{stage.name}.cleaned-up" for stage in stages[:-1]]


def test_what_is_not_written_has_a_default(tmp_path: Path) -> None:
    """Stages alone make a pipeline: small traffic, limits."""
    pipeline = load(tmp_path, FIRST)
    assert pipeline.traffic.mix == {Request("GET", "/"): 1.0}
    assert pipeline.strategies == {}
    assert load(tmp_path, FIRST + "[gates.load_smoke]\n").options["load_smoke"].error_share == 0


def test_a_second_staging_is_one_more_stage(tmp_path: Path) -> None:
    """A stage with a name of its own says which kind of environment it makes."""
    more = SECOND.replace('"integration"', '"rehearsal"\nenvironment = "staging"')
    assert load(tmp_path, FIRST + more).stages[1] == Stage(
        "rehearsal", "staging", "development.cleaned-up", ("functional",)
    )


@pytest.mark.parametrize(
    ("text", "place", "next_step"),
    [
        ("", "stages", "add stages"),
        (FIRST.replace("trigger", "triger"), "stages[1].trigger", "add trigger"),
        ("trafic = 1\n" + FIRST, "trafic", "write traffic instead"),
        ("approval = true\n" + FIRST, "approval", "write approval = true in .labkit/settings.toml"),
        (FIRST.replace('"unit"', '"functional"'), "stages[1].gates", "'functional'"),
        (FIRST.replace('"development"', '"dev"'), "stages[1].name", "environment"),
        (SECOND, "stages[1].trigger", 'trigger = "commit"'),
        (FIRST + LAST, "stages[2].trigger", 'trigger = "development.cleaned-up"'),
        (
            FIRST + SECOND + SECOND.replace('r = "development', 'r = "integration'),
            "stages[3].name",
            "another name",
        ),
        (FIRST + SECOND + LAST + LATE, "stages[4].name", "move it"),
        (FIRST + "[traffic]\nrate_per_s = 0\n", "traffic.rate_per_s", "correct rate_per_s"),
        (FIRST + '[[traffic.requests]]\nsend = "get /"\n', "traffic.requests[1].send", "capitals"),
        (
            FIRST + '[[traffic.requests]]\nsend = "GET /"\nweigth = 2\n',
            "traffic.requests[1].weigth",
            "write weight instead",
        ),
        (FIRST + '[gates.load_smoke]\np99_ms = "fast"\n', "gates.load_smoke.p99_ms", "write a number over 0"),
        (FIRST + "[gates.load_smok]\n", "gates.load_smok", "write load_smoke instead"),
        (FIRST + "[gates.configuration.exceptions]\ndatabase = 1\n", "exceptions", "correct exceptions"),
    ],
)
def test_a_mistake_in_pipeline_toml_is_reported_with_file_key_and_fix(
    tmp_path: Path, text: str, place: str, next_step: str
) -> None:
    """Whatever is wrong, the error says where it stands and what to write instead."""
    with pytest.raises(LabError) as raised:
        load(tmp_path, text)
    assert raised.value.expected.startswith(f"pipeline.toml, {place}") or f".{place}" in raised.value.expected
    assert next_step in raised.value.next_step


@pytest.mark.parametrize("text", [None, "[[stages]"])
def test_a_pipeline_toml_that_cannot_be_read_is_reported(tmp_path: Path, text: str | None) -> None:
    """A missing file and one that is no TOML have their own next step."""
    if text is not None:
        (tmp_path / "pipeline.toml").write_text(text)
    with pytest.raises(LabError, match=r"pipeline\.toml"):
        Pipeline.load(tmp_path)


NAMED = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "A Learner"), ("EMAIL", "learner@example.org"))
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    return subprocess.run(
        ["git", "-C", folder, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit_all(folder: Path, message: str) -> str:
    """Commit everything in a folder's repository and return the commit's id."""
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=A Learner", "-c", "user.email=learner@example.org", "commit", "-qm", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a git repository with one commit of one file."""
    folder = tmp_path / "shop"
    (folder / "cart").mkdir(parents=True)
    (folder / "cart" / "service.py").write_text("one\n")
    git(tmp_path, "init", "-q", str(folder))
    commit_all(folder, "First version")
    return folder


def test_a_commit_that_does_not_exist_is_refused_with_those_that_do(repository: Path) -> None:
    """The error offers names like it and the newest commits by id and subject, but never labkit's notes."""
    git(repository, "tag", "v8")
    identity = ("-c", "user.name=labkit", "-c", "user.email=labkit@localhost")
    git(repository, *identity, "notes", "--ref=labkit", "add", "-m", "fact 1 hash 0", "HEAD")
    with pytest.raises(LabError, match="'v9' is no commit") as raised:
        Source(repository).revision("v9")
    assert raised.value.next_step.startswith("name one of: v8; ")
    assert "First version" in raised.value.next_step
    assert "notes" not in raised.value.next_step


def test_a_revision_knows_its_commit_and_its_subject(repository: Path) -> None:
    """A name such as HEAD becomes the full id."""
    revision = Source(repository).revision("HEAD")
    assert revision.commit == git(repository, "rev-parse", "HEAD")
    assert (revision.subject_line, revision.author) == ("First version", "A Learner")


@pytest.mark.parametrize("name", ["cart/service.py", "new file.txt"])
def test_a_dirty_working_tree_is_refused_with_the_files_names(repository: Path, name: str) -> None:
    """A changed and a new file are both named; the next step is to commit."""
    (repository / name).write_text("two\n")
    with pytest.raises(LabError) as raised:
        Source(repository).refuse_changes("HEAD")
    assert name in raised.value.seen
    subprocess.run(["sh", "-c", raised.value.next_step], cwd="/", check=True, env=os.environ | NAMED)
    Source(repository).refuse_changes("HEAD")


def test_a_dirty_working_tree_does_not_refuse_another_commit(repository: Path) -> None:
    """Only the branch that is checked out has the changes; a tag and an id have none."""
    git(repository, "tag", "v1")
    (repository / "new file.txt").write_text("two\n")
    for name in ("v1", git(repository, "rev-parse", "HEAD")):
        Source(repository).refuse_changes(name)
    with pytest.raises(LabError, match="new file"):
        Source(repository).refuse_changes(git(repository, "branch", "--show-current"))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside"])
def test_a_link_out_of_the_commit_is_refused_by_name(repository: Path, tmp_path: Path, target: str) -> None:
    """The error names the link, and nothing of the tree is left."""
    (repository / "leak.txt").symlink_to(target)
    commit = commit_all(repository, "A link")
    with pytest.raises(LabError, match=r"leak\.txt"), Source(repository).tree(commit, tmp_path / "checkout"):
        pass
    assert not (tmp_path / "checkout").exists()


def test_a_git_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    """What is no repository, or a full disk, is an error with git's message, not a traceback."""
    with pytest.raises(LabError, match="not a git repository") as raised:
        Source(tmp_path).refuse_changes("HEAD")
    assert str(tmp_path) in raised.value.next_step


def test_a_clean_working_tree_is_not_refused(repository: Path) -> None:
    """Nothing left to commit, nothing to say."""
    Source(repository).refuse_changes("HEAD")


def test_the_tree_of_a_commit_is_given_as_it_was_and_removed(repository: Path, tmp_path: Path) -> None:
    """What came after the commit, or a killed run left, is not in its tree; the folder is gone afterwards."""
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "left.txt").touch()
    first = git(repository, "rev-parse", "HEAD")
    (repository / "cart" / "service.py").write_text("two\n")
    commit_all(repository, "Second version")
    with Source(repository).tree(first, tmp_path / "checkout") as folder:
        assert (folder / "cart" / "service.py").read_text() == "one\n"
        assert not (folder / "left.txt").exists()
    assert not folder.exists()


# Without the filters that it has, Python 3.12 and 3.13 warn of what 3.14 will do.
@pytest.mark.filterwarnings("ignore:Python 3.14 will, by default:DeprecationWarning")
def test_the_tree_of_a_commit_is_given_by_a_python_without_tar_filters_too(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12's own Python 3.11.2 has no `tarfile.data_filter`, and a run works there all the same."""
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    with Source(repository).tree("HEAD", tmp_path / "checkout") as folder:
        assert (folder / "cart" / "service.py").read_text() == "one\n"


def test_a_git_hooks_variables_do_not_change_which_repository_is_read(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With GIT_DIR set to another repository, revision, tree and changes are still those of the source."""
    commit = git(repository, "rev-parse", "HEAD")
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    source = Source(repository)
    assert source.revision("HEAD").commit == commit
    source.refuse_changes("HEAD")
    with source.tree(commit, tmp_path / "checkout") as folder:
        assert (folder / "cart" / "service.py").is_file()


def test_the_digest_of_a_folder_changes_only_with_its_content(repository: Path) -> None:
    """A commit elsewhere leaves a folder's digest as it is."""
    first = git(repository, "rev-parse", "HEAD")
    (repository / "README").write_text("words\n")
    second = commit_all(repository, "Words")
    source = Source(repository)
    assert source.digest(first, "cart") == source.digest(second, "cart")
    assert source.digest(first, "README") is None


def test_the_folder_of_a_service_may_be_the_whole_repository(repository: Path) -> None:
    """The path "." has a digest, the commit's tree, and other spellings of a path have the same one."""
    source, revision = Source(repository), Source(repository).revision("HEAD")
    assert source.digest("HEAD", ".") == revision.tree
    assert source.digest("HEAD", "./cart/") == source.digest("HEAD", "cart")


NODE = """name = "record"
[services.api]
path = "api"
port = 8001
calls = ["cart"]
[services.cart]
path = "cart"
port = 8002
"""


@pytest.mark.engine
def test_an_image_s_bases_and_its_locked_packages_are_in_it(tmp_path: Path) -> None:
    """The base that a Dockerfile names is recorded by digest, and a package that is locked is in the image.

    The package is one that labkit/build has anyway, for pytest, and labkit/python has not.
    """
    engine, base = Engine.find(), "labkit/record-node:1"
    for folder in ("base", "api"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(folder)
    (tmp_path / "base" / "Dockerfile").write_text("FROM debian:bookworm-slim\nCOPY file /base\n")
    (tmp_path / "api" / "Dockerfile").write_text(f"FROM {base}\nCOPY file /api\n")
    shutil.copytree(SHOP / "cart", tmp_path / "cart")
    (tmp_path / "cart" / "requirements.lock").write_text(PACKAGING)
    (tmp_path / "system.toml").write_text(NODE)
    try:
        below = build_service_image(engine, tmp_path / "base", base)
        images = build(engine, System.load(tmp_path), "a" * 40, Event()).images
        debian = Reference("base", "debian:bookworm-slim", engine.image("debian:bookworm-slim").digest)
        assert images["api"].bases == [debian, Reference("base", base, below.digest)]
        assert [f"{one.role} {one.uri}" for one in images["cart"].bases] == [
            "base debian:bookworm-slim",
            "base labkit/python:1",
            "tool labkit/build:1",
        ]
        cart = images["cart"]
        report = bill_of_materials(engine, cart.image, locked=PACKAGING, packages=cart.packages)
        assert report.outcome is CheckOutcome.PASS, report.reason()
        told = bill_of_materials(engine, images["api"].image, locked=PACKAGING).reason()
        assert "packaging 26.3 is locked, the service imports none" in told
    finally:
        for repository in ("labkit/record-cart", "labkit/record-api", "labkit/record-node"):
            remove_images(engine, repository)


DEVELOPMENT = Stage("development", "development", "commit", ("unit",))
PRODUCTION = Stage("production", "production", "development.cleaned-up", ("watch",))
COMMIT = "a" * 40


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactDatabase:
    """Return an empty artifact database."""
    return ArtifactDatabase.open(tmp_path / "artifacts.sqlite")


@pytest.fixture
def events() -> list[PipelineEvent]:
    """Return the list that a recorder's events go to."""
    return []


@pytest.fixture
def recorder(artifacts: ArtifactDatabase, events: list[PipelineEvent]) -> RunRecorder:
    """Return the recorder of a run that has started in this process."""
    recorder = RunRecorder(artifacts, "run1", Subject("shop", f"gitCommit:{COMMIT}"), events.append)
    stages = [DEVELOPMENT.name, PRODUCTION.name]
    recorder.run_started(commit=COMMIT, subject_line="A change", entry="cart", stages=stages, owner="me")
    return recorder


def test_a_service_has_changed_when_its_folder_is_not_that_of_what_runs(
    repository: Path, artifacts: ArtifactDatabase
) -> None:
    """One that never ran has changed; a commit that leaves its folder as it was changes nothing."""
    source, cart = Source(repository), SimpleNamespace(name="cart", path="cart")

    def has_changed() -> bool:
        context = SimpleNamespace(artifacts=artifacts, source=source, revision=source.revision("HEAD"))
        return RunContext.has_changed(cast("RunContext", context), cast("Service", cart))

    assert has_changed()
    running = source.revision("HEAD")
    code = Reference("code", f"git:shop@{running.commit}#cart", running.digest)
    image = Subject("labkit/shop-cart:1", "sha256:" + "1" * 64)
    artifacts.record(Kind.SERVICE_DEPLOYED, image, stage="production", service="cart", references=[code])
    assert not has_changed()
    (repository / "README").write_text("words\n")
    commit_all(repository, "Words")
    assert not has_changed()
    (repository / "cart" / "service.py").write_text("two\n")
    commit_all(repository, "Second version")
    assert has_changed()


def rebuilt(artifacts: ArtifactDatabase, *, alive: bool = True) -> Run:
    """Rebuild the run from its facts."""
    return Run.from_facts(artifacts.history(run="run1"), alive=lambda _owner: alive)


def test_a_run_is_rebuilt_from_its_facts(artifacts: ArtifactDatabase, recorder: RunRecorder) -> None:
    """All that was recorded comes back; a gate's answer about two services is one report."""
    red = Report("unit", CheckOutcome.FAIL, (Finding("test_a", "bad"),), "pytest", "9.1")
    subjects = [FactSubject(Subject(name, f"gitTree:{name}"), name) for name in ("cart", "catalog")]
    recorder.stage_started(DEVELOPMENT, "commit")
    with recorder.step(DEVELOPMENT, "create"):
        pass
    recorder.gate_answered(DEVELOPMENT, red, subjects)
    recorder.stage_finished(DEVELOPMENT, "failed", "unit is red")
    recorder.run_finished("failed", "unit is red")
    run = rebuilt(artifacts)
    assert (run.state, run.stopped_because) == ("failed", "unit is red")
    assert (run.subject_line, run.entry) == ("A change", "cart")
    assert [stage.state for stage in run.stages] == ["failed", "not started"]
    assert run.stage("development").reports == [red]
    assert run.to_json()["stages"][0]["reports"] == [red.to_json() | {"services": ["cart", "catalog"]}]
    assert list(run.stage("development").steps) == ["create"]


def test_a_run_that_waits_says_so_and_goes_on(artifacts: ArtifactDatabase, recorder: RunRecorder) -> None:
    """Waiting is the state of run and stage until the stage starts again."""
    recorder.stage_started(PRODUCTION, "approval of the staging", state="waiting")
    assert (rebuilt(artifacts).state, rebuilt(artifacts).stage("production").state) == ("waiting", "waiting")
    recorder.stage_started(PRODUCTION, "approved by somebody")
    assert (rebuilt(artifacts).state, rebuilt(artifacts).stage("production").state) == ("running", "running")


def test_a_run_whose_process_is_gone_is_lost(artifacts: ArtifactDatabase, recorder: RunRecorder) -> None:
    """A run without an end whose owner does not live is lost, and so is the stage it was in."""
    recorder.stage_started(DEVELOPMENT, "commit")
    run = rebuilt(artifacts, alive=False)
    assert (run.state, run.stage("development").state) == ("lost", "failed")


def test_a_finished_run_is_not_lost_when_its_process_is_gone(
    artifacts: ArtifactDatabase, recorder: RunRecorder
) -> None:
    """An end that was recorded stays."""
    recorder.run_finished("passed", "")
    assert rebuilt(artifacts, alive=False).state == "passed"


def test_an_unknown_run_is_refused_with_those_that_are_known(artifacts: ArtifactDatabase) -> None:
    """A mistyped id is a hint."""
    with pytest.raises(LabError, match="none yet"):
        Run.read(artifacts, "nonesuch")


def test_the_latest_run_of_a_change_is_found_by_its_first_line(artifacts: ArtifactDatabase) -> None:
    """Of two runs of one change the newer one, whatever ran since; a change that never ran is a hint."""
    subject = Subject("shop", f"gitCommit:{COMMIT}")
    for name, line in (("run1", "A change"), ("run2", "A change"), ("run3", "Another")):
        recorder = RunRecorder(artifacts, name, subject, None)
        recorder.run_started(commit=COMMIT, subject_line=line, stages=[DEVELOPMENT.name], owner="me")
        recorder.run_finished("passed", "")
    assert Run.latest(artifacts, "A change").id == "run2"
    with pytest.raises(LabError, match="'Another', 'A change'"):
        Run.latest(artifacts, "A third")


def test_events_carry_stage_gate_state_and_seconds(
    recorder: RunRecorder, events: list[PipelineEvent]
) -> None:
    """A listener needs no database to draw progress."""
    recorder.stage_started(DEVELOPMENT, "commit")
    report = Report("unit", CheckOutcome.PASS, seconds=1.5)
    recorder.gate_answered(DEVELOPMENT, report, [FactSubject(recorder.subject)])
    assert events[-1] == PipelineEvent("run1", "development", "unit", "passed", "", 1.5)
    noted = Report("unit", CheckOutcome.PASS, (Finding("habit", "a long story", "note"),))
    recorder.gate_answered(DEVELOPMENT, noted, [FactSubject(recorder.subject, "cart")])
    assert (events[-1].message, events[-1].service) == ("", "cart")


def test_a_modules_answer_is_recorded_once_more_for_its_image(
    artifacts: ArtifactDatabase, recorder: RunRecorder, events: list[PipelineEvent]
) -> None:
    """As soon as the image exists, the answer about its source is a fact about it too, which nobody hears."""
    report, tree = Report("unit", CheckOutcome.PASS), Subject("cart", "gitTree:1")
    tested = FactSubject(tree, "cart", "shop-dev", [Reference("test", "git:shop#cart/tests", "gitTree:2")])
    image = Subject("cart", "sha256:" + "1" * 64)
    context = SimpleNamespace(
        recorder=recorder,
        module_answers=[(DEVELOPMENT, report, tested)],
        image_subject=lambda service, environment, references: FactSubject(
            image, service, environment, references
        ),
    )
    before = len(events)
    for _stage in ("integration", "staging"):
        record_module_answers(cast("RunContext", context))
    (fact,) = artifacts.history(kind=Kind.TESTED)
    assert (fact.subject, fact.stage, fact.service, fact.environment) == (
        image,
        "development",
        "cart",
        "shop-dev",
    )
    assert [reference.uri for reference in fact.references] == ["git:shop#cart/tests"]
    assert len(events) == before


def breaks(_: GateContext) -> Iterator[Answer]:
    """Answer once, then break as code does."""
    yield Answer(Report("another name", CheckOutcome.PASS))
    message = "it broke"
    raise ValueError(message)


def says_nothing(_: GateContext) -> list[Answer]:
    """Answer nothing."""
    return []


@pytest.mark.parametrize(
    ("ask", "words"),
    [(breaks, r"ValueError: it broke \(.*test_pipeline\.py, line \d+\)"), (says_nothing, "no answer")],
)
def test_a_gate_that_breaks_or_says_nothing_is_not_run(
    artifacts: ArtifactDatabase, recorder: RunRecorder, ask: Ask, words: str
) -> None:
    """It stops the run, the reason has the place for its author, and answers bear the gate's own name."""
    own = Gate("own", frozenset({"production"}), ask, lambda _: None)
    stage = Stage("production", "production", "commit", ("own",))
    declared = SimpleNamespace(gates={"own": own}, options={"own": None})
    context = SimpleNamespace(recorder=recorder, pipeline=declared, images={})
    environment = SimpleNamespace(name="shop-production", configuration={})
    recorder.stage_started(stage, "commit")
    with pytest.raises(RunStopped, match=f"gate own was not run: could not run: .*{words}"):
        Gates(cast("RunContext", context), stage).ask_all(cast("Environment", environment))
    (report,) = rebuilt(artifacts).stage("production").reports
    assert (report.check, report.outcome) == ("own", CheckOutcome.NOT_RUN)


@pytest.fixture
def plain(tmp_path: Path) -> Workspace:
    """Return a workspace without containers, in which alice and bob may approve."""
    workspace = Workspace.create(tmp_path / "workspace")
    settings = 'approval = true\napprovers = ["alice", "bob"]\n'
    (workspace.root / ".labkit" / "settings.toml").write_text(settings)
    return workspace


def waiting(workspace: Workspace, *, waits: bool = True) -> RunRecorder:
    """Record a run of this process that has reached production; waits: for its approval."""
    recorder = RunRecorder(workspace.artifacts, secrets.token_hex(4), Subject("shop", f"gitCommit:{COMMIT}"))
    recorder.run_started(commit=COMMIT, stages=["production"], owner=str(Owner.process()), approval=True)
    recorder.stage_started(PRODUCTION, "approval", state="waiting" if waits else "running")
    return recorder


def test_only_whom_the_workspace_lists_decides_and_only_once(plain: Workspace) -> None:
    """Another name is refused with those that may; a second decision is refused with who decided when."""
    run = waiting(plain).run
    with pytest.raises(LabError, match="alice, bob") as raised:
        approve(plain, run, by="mallory")
    assert raised.value.seen == "'mallory'"
    given = approve(plain, run, by="alice")
    assert await_decision(plain, run, 1) == given
    decided = f"{run} was approved by alice at {given.at:%Y-%m-%d %H:%M}"
    with pytest.raises(LabError, match=decided):
        approve(plain, run, by="bob")
    with pytest.raises(LabError, match=decided):
        reject(plain, run, "no", by="alice")
    assert plain.artifacts.history(kind=Kind.APPROVED) == [given]


def test_of_two_who_decide_at_once_one_is_recorded(plain: Workspace) -> None:
    """State and decision are looked at inside the append: however many try, one fact is there."""
    run = waiting(plain).run

    def decide(_: int) -> bool:
        with suppress(LabError):
            return bool(approve(plain, run, by="alice"))
        return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(decide, range(16))) == 1
    assert len(plain.artifacts.history(kind=Kind.APPROVED)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"by": "mallory"},
        {"stage": "development"},
        {"decision": "perhaps"},
        {"subject": Subject("shop", "gitCommit:" + "b" * 40)},
        {"subject": Subject("other", f"gitCommit:{COMMIT}")},
    ],
)
def test_a_fact_about_something_else_lets_no_run_go_on(plain: Workspace, changed: dict[str, Any]) -> None:
    """Another name, stage, commit or system, and a fact that decides nothing, are not taken."""
    recorder = waiting(plain)
    fields = {"stage": "production", "by": "alice", "decision": "approved", "reason": "", **changed}
    subject = fields.pop("subject", recorder.subject)
    plain.artifacts.record(Kind.APPROVED, subject, run=recorder.run, **fields)
    assert await_decision(plain, recorder.run, 0.01) is None
    assert approve(plain, recorder.run, by="bob").by == "bob"


def test_a_decision_from_before_the_run_waits_is_not_taken(plain: Workspace) -> None:
    """A run that does not wait is refused; a fact that was recorded all the same decides nothing later."""
    recorder = waiting(plain, waits=False)
    with pytest.raises(LabError, match="is running"):
        approve(plain, recorder.run, by="alice")
    plain.artifacts.record(
        Kind.APPROVED, recorder.subject, stage="production", run=recorder.run, by="alice", decision="approved"
    )
    recorder.stage_started(PRODUCTION, "approval", state="waiting")
    assert await_decision(plain, recorder.run, 0.01) is None


def test_who_decides_is_the_systems_user_not_a_variable(
    plain: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a list, the owner of the workspace decides; LOGNAME makes nobody else of a user."""
    (plain.root / ".labkit" / "settings.toml").unlink()
    monkeypatch.setenv("LOGNAME", "instructor")
    assert approve(plain, waiting(plain).run).by == pwd.getpwuid(os.getuid()).pw_name
    with pytest.raises(LabError, match="instructor"):
        approve(plain, waiting(plain).run, by="instructor")


def test_a_parameter_without_a_value_in_a_stage_is_told_before_the_first_begins(plain: Workspace) -> None:
    """The error names stage and parameter; nothing was made, and no run is recorded."""
    with (plain.shop / "system.toml").open("a") as file:
        file.write('\n[config.rate]\ntype = "int"\nstaging = 1\nproduction = 2\n')
    commit_all(plain.shop, "Have a rate")
    with pytest.raises(LabError, match=r"config\.rate: a value for development"):
        run(plain)
    assert plain.artifacts.history(kind=Kind.RUN_STARTED) == []


# On real containers. The runs build on each other, so that few are needed: first into an empty workspace,
# then with a change of one line, then with others that end before production.


def edit(shop: Path, file: str, before: str, after: str) -> str:
    """Change one place of a file in the shop's repository and return the commit."""
    path = shop / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return commit_all(shop, f"Change {file}")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Return a workspace of its own, whose environments are removed at the end."""
    workspace = Workspace.create(tmp_path_factory.mktemp("workspace"))
    yield workspace
    Engine.find().remove({Label.WORKSPACE: workspace.id})


@pytest.fixture(scope="module")
def first(workspace: Workspace) -> tuple[Run, list[PipelineEvent]]:
    """Return the run that makes production, with the events of it."""
    heard: list[PipelineEvent] = []
    return run(workspace, on_event=heard.append), heard


@pytest.fixture(scope="module")
def second(workspace: Workspace, first: tuple[Run, list[PipelineEvent]]) -> Run:
    """Return the run of a one-line change of the cart, after the first."""
    assert first[0].state == "passed", first[0].stopped_because
    edit(workspace.shop, "cart/service.py", "the payment was refused", "the payment is refused")
    return run(workspace)


def left(workspace: Workspace) -> set[str]:
    """Return the stages of which anything is in the engine."""
    return {status.stage for status in Environment.list(workspace)}


@pytest.mark.engine
@pytest.mark.timeout(400)
def test_a_commit_passes_all_stages_into_production(first: tuple[Run, list[PipelineEvent]]) -> None:
    """All stages pass, each gate gives a report with the tool that ran and its version."""
    done, _ = first
    assert done.state == "passed", done.stopped_because
    assert [stage.state for stage in done.stages] == ["passed"] * 4
    reports = [report for stage in done.stages for report in stage.reports]
    assert {report.check for report in reports} == {*GATES.names()} - {"command"}
    assert all(report.tool and report.tool_version for report in reports)


@pytest.mark.engine
def test_the_first_run_tests_every_module_and_restores_the_database_for_each_functional_test(
    first: tuple[Run, list[PipelineEvent]],
) -> None:
    """Each service has its own unit report; functional tests, which need the first state, are green."""
    done, _ = first
    assert len(done.stage("development").reports) == 3
    functional = next(report for report in done.stage("integration").reports if report.check == "functional")
    assert functional.evidence["passed"] == len(functional.evidence["tests"]) > 5


@pytest.mark.engine
def test_staging_differs_from_production_only_as_declared(first: tuple[Run, list[PipelineEvent]]) -> None:
    """The gate prints every difference with its reason and answers accepted."""
    report = next(report for report in first[0].stage("staging").reports if report.check == "configuration")
    assert report.outcome is CheckOutcome.ACCEPTED
    assert {finding.severity for finding in report.findings} == {"note"}


@pytest.mark.engine
def test_only_production_is_left_after_a_run(
    first: tuple[Run, list[PipelineEvent]], workspace: Workspace
) -> None:
    """Every other environment is cleaned up, and the clean-up is what triggered the next stage."""
    assert left(workspace) == {"production"}
    assert [stage.trigger for stage in first[0].stages][1:] == [
        "development.cleaned-up",
        "integration.cleaned-up",
        "staging.cleaned-up",
    ]


@pytest.mark.engine
def test_progress_is_notified_while_it_happens(first: tuple[Run, list[PipelineEvent]]) -> None:
    """Each stage emits that it passed, in order; the last event is the run's."""
    done, heard = first
    passed = [
        event.stage for event in heard if event.gate is None and event.state == "passed" and event.stage
    ]
    assert passed == [stage.name for stage in done.stages]
    assert (heard[-1].state, heard[-1].run) == ("passed", done.id)


@pytest.mark.engine
@pytest.mark.timeout(400)
def test_a_changed_service_alone_is_tested_and_upgraded_without_a_failed_request(second: Run) -> None:
    """The second run tests the cart only, and customers of production notice nothing."""
    assert second.state == "passed", second.stopped_because
    assert [report.evidence["module"] for report in second.stage("development").reports] == ["cart"]
    watch = second.stage("production").reports[-1]
    assert watch.evidence["upgrade"]["requests"] > 0
    assert watch.evidence["upgrade"]["failed"] == 0
    assert [name for name in second.stage("production").steps if name.startswith("upgrade")] == [
        "upgrade cart"
    ]


@pytest.mark.engine
def test_afterwards_production_knows_all_that_went_into_it(workspace: Workspace, second: Run) -> None:
    """Commit, dependencies, tests, tools, configuration and base of the cart are answered from the facts."""
    running = workspace.artifacts.what_runs("cart")
    assert running is not None
    named = {
        role: [f"{reference.uri} {reference.digest}" for reference in references]
        for role, references in running.references.items()
    }
    assert running.commit == second.commit
    (code,) = named["code"]
    assert second.commit in code
    for role, part in {
        "dependency": "pkg:pypi/starlette@",
        "test": "functional",
        "tool": "pkg:pypi/pytest@",
        "config": "DISCOUNT_PERCENT=10",
        "base": "debian:bookworm-slim",
    }.items():
        assert any(part in name for name in named[role]), (role, named[role])


@pytest.mark.engine
def test_an_image_is_built_once_and_is_the_same_in_every_stage(workspace: Workspace, second: Run) -> None:
    """One provenance for each image and run; integration, staging and production deployed the same digest."""
    built = [(fact.run, fact.subject.digest) for fact in workspace.artifacts.history(kind=Kind.BUILT)]
    assert len(built) == len(set(built)) == 6
    assert len({digest for _, digest in built}) == 4  # three services, and the cart once more
    running = workspace.artifacts.what_runs("cart")
    assert running is not None
    tested = [
        fact
        for fact in workspace.artifacts.history(run=second.id, kind=Kind.TESTED)
        if fact.service == "cart"
    ]
    assert {fact.subject.digest for fact in tested if fact.stage != "development"} == {running.image.digest}
    assert running.image.digest in {fact.subject.digest for fact in tested if fact.stage == "development"}


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_a_red_unit_test_stops_the_run_in_development(workspace: Workspace, second: Run) -> None:
    """The reason names the test; later stages are not started; production is as it was."""
    (workspace.shop / "cart" / "tests" / "test_red.py").write_text(
        "def test_red() -> None:\n    assert 1 == 2\n"
    )
    commit_all(workspace.shop, "Add a red test")
    done = run(workspace)
    git(workspace.shop, "reset", "-q", "--hard", second.commit)
    assert done.state == "failed"
    assert "tests/test_red.py::test_red" in done.stopped_because
    assert [stage.state for stage in done.stages] == ["failed", "not started", "not started", "not started"]
    assert left(workspace) == {"production"}


ONLY_PRODUCTION = LAST.replace("integration.cleaned-up", "commit")


@contextmanager
def other_pipeline(workspace: Workspace, text: str) -> Iterator[None]:
    """Commit another pipeline.toml and take the commit back afterwards."""
    before = git(workspace.shop, "rev-parse", "HEAD")
    (workspace.shop / "pipeline.toml").write_text(text)
    commit_all(workspace.shop, "Change the pipeline")
    yield
    git(workspace.shop, "reset", "-q", "--hard", before)


@contextmanager
def approval(workspace: Workspace, *approvers: str, timeout_s: float = 60) -> Iterator[None]:
    """Let the workspace's settings ask for approval by one of these, for one block."""
    file = workspace.root / ".labkit" / "settings.toml"
    before = file.read_text()
    file.write_text(
        f"approval = true\napprovers = {json.dumps(approvers)}\napproval_timeout_s = {timeout_s}\n"
    )
    yield
    file.write_text(before)


@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("second")
def test_a_run_waits_for_approval_and_goes_on(workspace: Workspace) -> None:
    """Approval by somebody who is recorded lets the run into production; a second decision is refused."""
    waiting: Queue[str] = Queue()

    def hear(event: PipelineEvent) -> None:
        if event.state == "waiting":
            waiting.put(event.run)

    with (
        other_pipeline(workspace, ONLY_PRODUCTION),
        approval(workspace, "the release manager"),
        ThreadPoolExecutor(1) as pool,
    ):
        future = pool.submit(run, workspace, on_event=hear)
        identity = waiting.get(timeout=120)
        assert Run.read(workspace.artifacts, identity).state == "waiting"
        approve(workspace, identity, by="the release manager")
        with pytest.raises(LabError, match=f"{identity} was approved by the release manager"):
            approve(workspace, identity, by="the release manager")
        done = future.result()
    assert done.state == "passed", done.stopped_because
    assert done.stage("production").trigger == "approved by the release manager"


@pytest.mark.engine
@pytest.mark.usefixtures("second")
@pytest.mark.parametrize("decide", [True, False])
def test_a_run_that_is_not_approved_stops_before_production(workspace: Workspace, *, decide: bool) -> None:
    """A rejection with its reason and a wait that nobody ended are both red; the watch was not run."""

    def hear(event: PipelineEvent) -> None:
        if event.state == "waiting" and decide:
            reject(workspace, event.run, "not on a Friday", by="the release manager")

    with other_pipeline(workspace, ONLY_PRODUCTION), approval(workspace, "the release manager", timeout_s=1):
        done = run(workspace, on_event=hear)
    assert done.state == "failed"
    reason = "rejected by the release manager: not on a Friday" if decide else "nobody approved within 1 s"
    assert reason in done.stopped_because
    assert [report.outcome for report in done.stage("production").reports] == [CheckOutcome.NOT_RUN]


@pytest.mark.engine
@pytest.mark.usefixtures("second")
def test_a_red_watch_says_what_production_goes_on_with(workspace: Workspace) -> None:
    """Limits that cannot be kept end in a red run; production stays, and the reason says what it runs."""
    with other_pipeline(workspace, f"{ONLY_PRODUCTION}[gates.watch]\np99_ms = 0.001\n"):
        done = run(workspace)
    assert done.state == "failed"
    assert "production stays and runs" in done.stopped_because
    assert left(workspace) == {"production"}


@pytest.mark.engine
@pytest.mark.usefixtures("second")
def test_a_new_migration_reaches_a_living_production(workspace: Workspace) -> None:
    """Its statements are applied to production's database, whose rows stay; the first ones are not again."""
    (workspace.shop / "catalog" / "migrations" / "003_notes.sql").write_text(
        "ALTER TABLE products ADD COLUMN note text;"
    )
    commit_all(workspace.shop, "Let products have a note")
    with other_pipeline(workspace, ONLY_PRODUCTION):
        done = run(workspace)
    assert done.state == "passed", done.stopped_because
    (live,) = Environment.list(workspace)
    database = Environment.attach(live.name, workspace).database
    assert database is not None
    with database.connect() as connection:
        assert connection.execute("SELECT count(note), count(*) > 0 FROM products").fetchone() == (0, True)


@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("second")
def test_a_migration_for_which_customers_wait_stops_the_run_in_production(workspace: Workspace) -> None:
    """It says which file was stopped; the next run, without it, goes on from there."""
    file = workspace.shop / "catalog" / "migrations" / "900_hold.sql"
    file.write_text("LOCK TABLE products; SELECT pg_sleep(30);\n")
    commit_all(workspace.shop, "Hold the products")
    (name,) = [status.name for status in Environment.list(workspace) if status.stage == "production"]
    customers = Load({Request("GET", "/products"): 1}, 10, None)
    url = Environment.attach(name, workspace).url
    with other_pipeline(workspace, ONLY_PRODUCTION), apply(customers, url):
        held = run(workspace)
    assert held.state == "failed"
    assert "900_hold.sql kept its locks" in held.stopped_because
    assert "production stays and runs" in held.stopped_because
    file.unlink()
    commit_all(workspace.shop, "Let the products go")
    with other_pipeline(workspace, ONLY_PRODUCTION):
        done = run(workspace)
    assert done.state == "passed", done.stopped_because


@pytest.mark.engine
def test_a_migration_that_blocks_writers_stops_the_run(workspace: Workspace) -> None:
    """The gate squawk is red and names the rule and the file."""
    file = workspace.shop / "catalog" / "migrations" / "004_index.sql"
    file.write_text("CREATE INDEX by_name ON products (name);\n")
    only_squawk = SECOND.replace("development.cleaned-up", "commit").replace("functional", "squawk")
    with other_pipeline(workspace, only_squawk):
        done = run(workspace)
    assert done.state == "failed"
    (report,) = done.stage("integration").reports
    assert (report.check, report.findings[0].path) == ("squawk", file.name)
    assert report.findings[0].rule == "require-concurrent-index-creation"


@pytest.mark.engine
def test_a_second_run_in_a_workspace_is_refused(workspace: Workspace) -> None:
    """While one run holds the workspace, another one is refused before it makes anything."""
    with workspace.lock("pipeline"), pytest.raises(LabError, match="pipeline"):
        run(workspace)


@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("number", "state"), [(signal.SIGINT, "stopped"), (signal.SIGKILL, "lost")])
def test_a_run_that_is_ended_leaves_a_record_and_nothing_else(
    workspace: Workspace, second: Run, number: signal.Signals, state: str
) -> None:
    """Ctrl-C is recorded, a killed process's run reads as lost; containers are gone in both cases."""
    opened = f"workspace.Workspace.open({str(workspace.root)!r})"
    code = f"from labkit import pipeline, workspace; pipeline.run({opened})"
    before = len(workspace.artifacts.history(kind=Kind.STAGE_STARTED))
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        await_that(lambda: len(workspace.artifacts.history(kind=Kind.STAGE_STARTED)) > before)
        await_that(lambda: "development" in left(workspace))
        process.send_signal(number)
        process.wait(60)
    newest = runs(workspace.artifacts, limit=1)[0]
    assert newest.state == state
    assert workspace.checkout.exists() == (number == signal.SIGKILL)  # the next run sweeps it
    await_that(lambda: left(workspace) == {"production"})
    assert second.id != newest.id


UPGRADE = (
    ONLY_PRODUCTION.replace("gates", 'strategy = "{0}"\ngates')
    + """\
[strategies.{0}]
watch_s = {1}
[traffic]
rate_per_s = 20
[[traffic.requests]]
send = "POST /cart/totals"
body = {{ cart = {{ lines = [] }} }}
"""
)


@pytest.fixture
def shop(workspace: Workspace, second: Run) -> Iterator[Path]:
    """Return the shop's repository with the second version in production; take back what is committed."""
    assert second.state == "passed"
    before = git(workspace.shop, "rev-parse", "HEAD")
    yield workspace.shop
    git(workspace.shop, "reset", "-q", "--hard", before)


def deployments(workspace: Workspace) -> list[Mapping[str, Any]]:
    """Return what is on record about deployments of the cart, the oldest first."""
    facts = workspace.artifacts.history()
    return [
        fact.predicate
        for fact in facts
        if fact.service == "cart" and ("deployment" in fact.predicate or fact.kind == Kind.SERVICE_UPGRADED)
    ]


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_production_obeys_its_strategy_and_takes_back_a_version_that_fails(
    workspace: Workspace, shop: Path
) -> None:
    """A good cart comes by blue/green; the canary of a bad one is withdrawn, and the run says why."""
    edit(shop, "cart/service.py", "the payment is refused", "the payment was not accepted")
    with other_pipeline(workspace, UPGRADE.format("blue_green", 1)):
        good = run(workspace)
    assert good.state == "passed", good.stopped_because
    assert deployments(workspace)[-1]["strategy"] == "blue_green"
    edit(shop, "cart/service.py", "return JSONResponse(totals_of(", "raise RuntimeError(repr(")
    with other_pipeline(workspace, UPGRADE.format("canary", 30)):
        bad = run(workspace)
    assert bad.state == "failed"
    assert "cart was rolled back by canary" in bad.stopped_because
    assert "requests failed" in bad.stopped_because
    *before, ended = deployments(workspace)
    began = next(fields for fields in reversed(before) if fields.get("deployment") == "began")
    assert (began["strategy"], ended["deployment"]) == ("canary", "rolled back")
    (live,) = Environment.list(workspace)
    images = {instance.image for instance in Environment.attach(live.name, workspace).instances("cart")}
    assert len(images) == 1
    assert began["to_image"] not in images


HOUSE = """\
from labkit import checks
from labkit.pipeline import Answer, gate

@gate("house", stages={"integration"}, options=lambda table: table.texts("commands"))
def house(context):
    check = checks.CheckRun("another name", tool="house")
    answers = {run: checks.command(context.environment, run, timeout_s=1) for run in context.options}
    yield Answer(check.report(evidence={run: answer.to_json() for run, answer in answers.items()}))
"""
OPEN = """\
[[stages]]
name = "development"
trigger = "commit"
gates = ["compiles", "elsewhere", "left_to_do"]
[[stages]]
name = "integration"
trigger = "development.cleaned-up"
gates = ["house", "beside"]
[[stages]]
name = "production"
trigger = "integration.cleaned-up"
strategy = "parts"
gates = []
[gates.compiles]
run = "python3 -m compileall -q . && python3 -c 'import starlette' && ls"
[gates.elsewhere]
run = "test -f service.py && ! test -d cart"
image = "labkit/python:1"
[gates.left_to_do]
word = "DO LATER"
[gates.house]
commands = ["echo so much; exit 3", "nonesuch", "sleep 60"]
[gates.beside]
run = "test -f cart/service.py && getent hosts cart && env | grep -q ^CART_"
"""


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_gates_and_a_strategy_are_added_as_readme_and_contributing_say(
    workspace: Workspace, shop: Path, tmp_path: Path
) -> None:
    """Commands, a package's gate, and the recipes' two files take one commit into production."""
    edit(shop, "cart/service.py", "the payment is refused", "the payment failed")
    opened = f"Workspace.open({str(workspace.root)!r})"
    code = f"from labkit import pipeline, Workspace; print(pipeline.run({opened}).id)"
    with other_pipeline(workspace, OPEN):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": as_written(tmp_path)},
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    result = Run.read(workspace.artifacts, done.stdout.strip())
    assert result.state == "passed", result.stopped_because
    answers = {report.check: report.evidence for stage in result.stages for report in stage.reports}
    assert [*answers] == ["compiles", "elsewhere", "left_to_do", "house", "beside"]
    assert answers["compiles"]["module"] == answers["left_to_do"]["module"] == "cart"
    assert "service.py" in answers["compiles"]["output"]
    red, missing, slow = answers["house"].values()
    assert [red["outcome"], missing["outcome"], slow["outcome"]] == ["fail", "not run", "not run"]
    assert red["findings"][0] == {"rule": "exit code 3", "message": "so much", "severity": "error"}
    assert deployments(workspace)[-1]["strategy"] == "parts"


def as_written(folder: Path) -> str:
    """Follow the recipes in a copy of labkit, install a package beside it, and return the path of both."""
    labkit, packages = folder / "labkit", folder / "packages"
    root = Path(__file__).parents[1]
    shutil.copytree(root / "labkit", labkit, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", folder)
    (labkit / "pipeline/gates/left_to_do.py").write_text(recipe("gate"))
    (labkit / "deployment/_parts.py").write_text(recipe("deployment strategy"))
    with (labkit / "deployment/__init__.py").open("a") as file:
        file.write("from labkit.deployment._parts import parts\n")
    information = packages / "house-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: house\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[labkit.gates]\nhouse = house\n")
    (packages / "house.py").write_text(HOUSE)
    return f"{folder}:{packages}"


def recipe(title: str) -> str:
    """Return the file in the recipe "Add a TITLE" of CONTRIBUTING."""
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
    return text.split(f"## Add a {title}\n", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]


def await_that(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)

"""The pipeline: data that is checked, a record that is rebuilt from facts, and commits on real containers."""

import subprocess
from pathlib import Path

import pytest

from labkit.artifacts import ArtifactDatabase, Subject
from labkit.checks import Finding, Outcome, Report
from labkit.errors import LabError
from labkit.load import Request
from labkit.pipeline import Pipeline, PipelineEvent, Run
from labkit.pipeline._definition import Stage
from labkit.pipeline._journal import About, Journal
from labkit.pipeline._source import Source

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
    """Stages alone make a pipeline: no approval, small traffic, limits."""
    pipeline = load(tmp_path, FIRST)
    assert not pipeline.approval
    assert pipeline.traffic.mix == {Request("GET", "/"): 1.0}
    assert pipeline.load_smoke.error_share == 0


def test_a_second_staging_is_one_more_stage(tmp_path: Path) -> None:
    """A stage with a name of its own says which kind of environment it makes."""
    more = SECOND.replace('"integration"', '"rehearsal"\nenvironment = "staging"')
    assert load(tmp_path, FIRST + more).stages[1] == Stage(
        "rehearsal", "staging", "development.cleaned-up", ("functional",)
    )


@pytest.mark.parametrize(
    ("text", "place", "mend"),
    [
        ("", "stages", "add stages"),
        (FIRST.replace("trigger", "triger"), "stages[1].trigger", "add trigger"),
        ("aproval = true\n" + FIRST, "aproval", "'approval'"),
        ('approval = "yes"\n' + FIRST, "approval", "correct approval"),
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
            "'weight'",
        ),
        (FIRST + '[gates.load_smoke]\np99_ms = "fast"\n', "gates.load_smoke.p99_ms", "correct p99_ms"),
        (FIRST + "[gates.load_smok]\n", "gates.load_smok", "'load_smoke'"),
        (FIRST + "[gates.configuration.exceptions]\ndatabase = 1\n", "exceptions", "correct exceptions"),
    ],
)
def test_a_mistake_in_pipeline_toml_is_told_with_file_key_and_mend(
    tmp_path: Path, text: str, place: str, mend: str
) -> None:
    """Whatever is wrong, the error says where it stands and what to write instead."""
    with pytest.raises(LabError) as told:
        load(tmp_path, text)
    assert told.value.expected.startswith(f"pipeline.toml, {place}") or f".{place}" in told.value.expected
    assert mend in told.value.next_step


@pytest.mark.parametrize("text", [None, "[[stages]"])
def test_a_pipeline_toml_that_cannot_be_read_is_told(tmp_path: Path, text: str | None) -> None:
    """A missing file and one that is no TOML have their own next step."""
    if text is not None:
        (tmp_path / "pipeline.toml").write_text(text)
    with pytest.raises(LabError, match=r"pipeline\.toml"):
        Pipeline.load(tmp_path)


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
    """Give a git repository with one commit of one file."""
    folder = tmp_path / "shop"
    (folder / "cart").mkdir(parents=True)
    (folder / "cart" / "service.py").write_text("one\n")
    git(tmp_path, "init", "-q", str(folder))
    commit_all(folder, "First version")
    return folder


def test_a_commit_that_does_not_exist_is_refused_with_those_that_do(repository: Path) -> None:
    """The error offers the newest commits by id and subject."""
    with pytest.raises(LabError, match="'v9' is no commit") as told:
        Source(repository).revision("v9")
    assert "First version" in told.value.next_step


def test_a_revision_knows_its_commit_and_its_subject(repository: Path) -> None:
    """A name such as HEAD becomes the full id."""
    revision = Source(repository).revision("HEAD")
    assert revision.commit == git(repository, "rev-parse", "HEAD")
    assert (revision.subject_line, revision.author) == ("First version", "A Learner")


@pytest.mark.parametrize("name", ["cart/service.py", "new file.txt"])
def test_a_dirty_working_tree_is_refused_with_the_files_names(repository: Path, name: str) -> None:
    """A changed and a new file are both named; the next step is to commit."""
    (repository / name).write_text("two\n")
    with pytest.raises(LabError) as told:
        Source(repository).refuse_changes()
    assert name in told.value.seen
    assert "commit" in told.value.next_step


def test_a_clean_working_tree_is_not_refused(repository: Path) -> None:
    """Nothing left to commit, nothing to say."""
    Source(repository).refuse_changes()


def test_the_tree_of_a_commit_is_given_as_it_was_and_removed(repository: Path) -> None:
    """What came after the commit is not in its tree; the folder is gone afterwards."""
    first = git(repository, "rev-parse", "HEAD")
    (repository / "cart" / "service.py").write_text("two\n")
    commit_all(repository, "Second version")
    with Source(repository).tree(first) as folder:
        assert (folder / "cart" / "service.py").read_text() == "one\n"
    assert not folder.exists()


def test_the_digest_of_a_folder_changes_only_with_its_content(repository: Path) -> None:
    """A commit elsewhere leaves a folder's digest as it is."""
    first = git(repository, "rev-parse", "HEAD")
    (repository / "README").write_text("words\n")
    second = commit_all(repository, "Words")
    source = Source(repository)
    assert source.digest(first, "cart") == source.digest(second, "cart")
    assert source.digest(first, "README") is None


DEVELOPMENT = Stage("development", "development", "commit", ("unit",))
PRODUCTION = Stage("production", "production", "development.cleaned-up", ("watch",))
COMMIT = "a" * 40


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactDatabase:
    """Give an empty artifact database."""
    return ArtifactDatabase.open(tmp_path / "artifacts.sqlite")


@pytest.fixture
def events() -> list[PipelineEvent]:
    """Give the list that a journal's events go to."""
    return []


@pytest.fixture
def journal(artifacts: ArtifactDatabase, events: list[PipelineEvent]) -> Journal:
    """Give the journal of a run that has started in this process."""
    journal = Journal(artifacts, "run1", Subject("shop", f"gitCommit:{COMMIT}"), events.append)
    stages = [DEVELOPMENT.name, PRODUCTION.name]
    journal.run_started(commit=COMMIT, subject_line="A change", stages=stages, owner="me")
    return journal


def rebuilt(artifacts: ArtifactDatabase, *, alive: bool = True) -> Run:
    """Rebuild the run from its facts."""
    return Run.from_facts(artifacts.history(run="run1"), alive=lambda _owner: alive)


def test_a_run_is_rebuilt_from_its_facts(artifacts: ArtifactDatabase, journal: Journal) -> None:
    """Stages, reports, seconds and reason come back; a gate told about two images is one report."""
    red = Report("unit", Outcome.FAIL, (Finding("test_a", "bad"),), "pytest", "9.1")
    about = [About(Subject("cart", "gitTree:1")), About(Subject("catalog", "gitTree:2"))]
    journal.stage_started(DEVELOPMENT, "commit")
    with journal.step(DEVELOPMENT, "create"):
        pass
    journal.gate_answered(DEVELOPMENT, red, about)
    journal.stage_finished(DEVELOPMENT, "failed", "unit is red")
    journal.run_finished("failed", "unit is red")
    run = rebuilt(artifacts)
    assert (run.state, run.stopped_because, run.subject_line) == ("failed", "unit is red", "A change")
    assert [stage.state for stage in run.stages] == ["failed", "not started"]
    assert run.stage("development").reports == [red]
    assert list(run.stage("development").steps) == ["create"]


def test_a_run_that_waits_says_so_and_goes_on(artifacts: ArtifactDatabase, journal: Journal) -> None:
    """Waiting is the state of run and stage until the stage starts again."""
    journal.stage_started(PRODUCTION, "approval of the staging", state="waiting")
    assert (rebuilt(artifacts).state, rebuilt(artifacts).stage("production").state) == ("waiting", "waiting")
    journal.stage_started(PRODUCTION, "approved by somebody")
    assert (rebuilt(artifacts).state, rebuilt(artifacts).stage("production").state) == ("running", "running")


def test_a_run_whose_process_is_gone_is_lost(artifacts: ArtifactDatabase, journal: Journal) -> None:
    """A run without an end whose owner does not live is lost, and so is the stage it was in."""
    journal.stage_started(DEVELOPMENT, "commit")
    run = rebuilt(artifacts, alive=False)
    assert (run.state, run.stage("development").state) == ("lost", "failed")


def test_a_finished_run_is_not_lost_when_its_process_is_gone(
    artifacts: ArtifactDatabase, journal: Journal
) -> None:
    """An end that was recorded stays."""
    journal.run_finished("passed", "")
    assert rebuilt(artifacts, alive=False).state == "passed"


def test_an_unknown_run_is_refused_with_those_that_are_known(artifacts: ArtifactDatabase) -> None:
    """A mistyped id is a hint."""
    with pytest.raises(LabError, match="none yet"):
        Run.read(artifacts, "nonesuch")


def test_events_tell_stage_gate_state_and_seconds(journal: Journal, events: list[PipelineEvent]) -> None:
    """A listener needs no database to draw progress."""
    journal.stage_started(DEVELOPMENT, "commit")
    report = Report("unit", Outcome.PASS, seconds=1.5)
    journal.gate_answered(DEVELOPMENT, report, [About(journal.subject)])
    assert events[-1] == PipelineEvent("run1", "development", "unit", "passed", "", 1.5)

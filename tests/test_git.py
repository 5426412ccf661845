"""The one git runner: it asks the repository that it is given, whatever the environment says."""

import os
import subprocess
from pathlib import Path

import pytest

from labkit._git import git, git_text


def make_repository(folder: Path, subject: str) -> Path:
    """Make a repository with one empty commit, whose subject line tells it from others."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    author = ["-c", "user.name=A Learner", "-c", "user.email=learner@example.org"]
    subprocess.run(["git", "-C", folder, *author, "commit", "-q", "--allow-empty", "-m", subject], check=True)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return the repository that is asked."""
    return make_repository(tmp_path / "mine", "My own")


@pytest.mark.parametrize(
    ("variable", "inside"),
    [
        ("GIT_DIR", ".git"),
        ("GIT_WORK_TREE", "."),
        ("GIT_INDEX_FILE", ".git/index"),
        ("GIT_OBJECT_DIRECTORY", ".git/objects"),
        ("GIT_NAMESPACE", "."),
    ],
)
def test_gits_own_variables_do_not_change_which_repository_is_asked(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, inside: str
) -> None:
    """In a git hook these variables lead to another repository; the one that is given answers anyway."""
    other = make_repository(tmp_path / "other", "Somebody else's")
    monkeypatch.setenv(variable, str(other / inside))
    assert git_text(repository, "log", "-1", "--format=%s") == "My own"
    assert git_text(repository, "rev-parse", "--show-toplevel") == str(repository)
    assert git_text(repository, "status", "--porcelain") == ""


def test_other_variables_reach_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH and HOME stay, and `variables` of the caller count, also git's own."""
    monkeypatch.setenv("LABKIT_SEEN", "yes")
    done = git(
        repository,
        *("commit", "-q", "--allow-empty", "-m", "Second"),
        settings={"user.email": "learner@example.org", "alias.seen": "!echo $LABKIT_SEEN"},
        variables={"GIT_AUTHOR_NAME": "The caller", "GIT_COMMITTER_NAME": "The caller"},
    )
    assert done.returncode == 0
    assert git_text(repository, "log", "-1", "--format=%an") == "The caller"
    assert git(repository, "seen", settings={"alias.seen": "!echo $LABKIT_SEEN"}).stdout == b"yes\n"
    assert "GIT_AUTHOR_NAME" not in os.environ


def test_settings_hold_for_one_command(repository: Path) -> None:
    """A setting is passed on the command line and not written into the repository."""
    assert git(repository, "config", "user.name", settings={"user.name": "One"}).stdout == b"One\n"
    assert b"One" not in (repository / ".git" / "config").read_bytes()


def test_git_that_fails_raises_or_is_returned_as_the_caller_wants(repository: Path) -> None:
    """By default a failure is an exception with git's words; check=False returns it."""
    with pytest.raises(subprocess.CalledProcessError) as raised:
        git(repository, "show", "no-such")
    assert b"no-such" in raised.value.stderr
    assert git(repository, "show", "no-such", check=False).returncode != 0


def test_the_text_of_a_git_that_fails_or_is_missing_is_empty(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git_text is for questions whose answer may be missing: it raises nothing."""
    assert git_text(repository, "show", "no-such") == ""
    monkeypatch.setenv("PATH", str(repository))
    assert git_text(repository, "log", "-1", "--format=%s") == ""


def test_the_text_keeps_blanks_and_lines_but_the_last_lines_end(repository: Path) -> None:
    """A status line may begin with a blank, which is part of what it says."""
    (repository / "kept.txt").write_text("one\n")
    git(repository, "add", "kept.txt")
    (repository / "kept.txt").write_text("two\n")
    git(repository, "reset", "-q")
    git(repository, "add", "--intent-to-add", "kept.txt")
    assert git_text(repository, "status", "--porcelain") == " A kept.txt"


def test_no_program_of_a_repositorys_configuration_is_run(repository: Path, tmp_path: Path) -> None:
    """Whoever hands in a repository runs nothing here: no monitor, hook, filter or checker of signatures."""
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\ncat\n')
    program.chmod(0o755)
    repository.joinpath("file").write_text("text\n")
    repository.joinpath("signed").write_text("$Format:%G?$\n")
    attributes = "file filter=evil\nfile diff=evil\n*.x filter=a=b\nsigned export-subst\n"
    repository.joinpath(".gitattributes").write_text(attributes)
    repository.joinpath("file.x").write_text("text\n")
    author = {"user.name": "A", "user.email": "a@example.org"}
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "one", settings=author)
    commit = git(repository, "cat-file", "commit", "HEAD").stdout
    head, _, text = commit.partition(b"\n\n")
    signed = head + b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n" + text
    made = subprocess.run(
        ["git", "-C", repository, "hash-object", "-t", "commit", "-w", "--stdin"],
        input=signed,
        capture_output=True,
        check=True,
    ).stdout.decode()
    git(repository, "update-ref", "HEAD", made.strip())
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("reference-transaction", "pre-commit", "post-commit", "post-index-change"):
        hooks.joinpath(hook).symlink_to(program)
    config = repository / ".git" / "config"
    config.write_text(
        config.read_text() + f"[core]\nfsmonitor = {program}\nsshCommand = {program}\npager = {program}\n"
        f"[log]\nshowSignature = true\n[gpg]\nprogram = {program}\n[diff]\nexternal = {program}\n"
        f'[diff "evil"]\ntextconv = {program}\n'
        + "".join(
            f'[filter "{name}"]\nclean = {program}\nsmudge = {program}\nrequired = true\n'
            for name in ("evil", "a=b")
        )
    )
    os.utime(repository / "file", (0, 0))  # so that git compares its content again
    for command in (
        ("status", "--porcelain"),
        ("log", "-1", "--format=%h %s", "--all"),
        ("show", "-s", "--format=%s", "HEAD"),
        ("archive", "--format=tar", "HEAD"),
        ("notes", "--ref=labkit", "add", "--force", "--message", "a head"),
        ("rev-parse", "HEAD"),
    ):
        git(repository, *command, settings=author)
    assert not ran.exists(), ran.read_text()
    for plain in ("status", "archive HEAD", "log -1"):  # git by itself does run them
        ran.unlink(missing_ok=True)
        subprocess.run(["git", "-C", repository, *plain.split()], capture_output=True, check=False)
        assert ran.exists(), plain

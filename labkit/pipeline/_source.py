"""The learner's git repository: which commit is meant, what is not committed, which files a commit holds."""

import difflib
import shlex
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labkit._git import git, git_text
from labkit._tar import unpack
from labkit.errors import LabError

MOST_NAMED = 5
NEAR = 0.5  # so that v8 is near v9
OWN_REFS = ("refs/heads", "refs/tags")


@dataclass(frozen=True)
class Revision:
    """One commit: its full id, its subject line, its author and the id of its tree."""

    commit: str
    subject_line: str
    author: str
    tree: str

    @property
    def digest(self) -> str:
        """The commit as the artifact database writes digests."""
        return f"gitCommit:{self.commit}"


@dataclass(frozen=True)
class Source:
    """The git repository that commits come from."""

    root: Path

    def revision(self, name: str) -> Revision:
        """Return the commit that a name (id, tag, branch, HEAD) stands for.

        :raises LabError: when there is none, with the nearest names and the newest commits; when git fails.
        """
        # Without --end-of-options, a name that begins with a dash would be an option of git's.
        arguments = ("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        commit = git_text(self.root, "rev-parse", *arguments)
        if not commit:
            raise LabError(
                f"a commit of the repository {self.root.name}",
                f"{name!r} is no commit there",
                self._offer(name),
            )
        fields = _read(self.root, "show", "-s", "--format=%s%n%an%n%T", commit).rstrip("\n").split("\n")
        return Revision(commit, *fields)

    def refuse_changes(self, name: str) -> None:
        """Check that no change is left out of a run that takes what is checked out: HEAD, or its branch.

        name is what was asked for: the working tree says nothing about any other commit.

        :raises LabError: when the working tree differs from its last commit, with the files; when git fails.
        """
        if name != "HEAD" and self._full_name(name) != self._full_name("HEAD"):
            return
        rows = _read(
            self.root, "status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all"
        ).splitlines()
        if rows:
            names = [row[3:] for row in rows]  # two letters of state and a space come before the name
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            here = f"git -C {shlex.quote(str(self.root.absolute()))}"
            raise LabError(
                f"no changes in {self.root.name} that are not committed, because a run takes a commit",
                f"not committed: {', '.join(names[:MOST_NAMED])}{more}",
                f'{here} add -A && {here} commit -m "what it does"',
            )

    @contextmanager
    def tree(self, commit: str, place: Path) -> Iterator[Path]:
        """Write the commit's files into the folder `place` for one block; it is removed afterwards.

        What a killed process left there goes first: only one run at a time may have the folder.

        :raises LabError: when an entry of the commit leads outside of its folder, or git or the disk fails.
        """
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir(parents=True)
            _unpack(_output(self.root, "archive", "--format=tar", commit), place)
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _offer(self, name: str) -> str:
        """Return the next step for a name that is no commit: the names like it, and the newest commits.

        Only branches and tags: labkit's own notes are commits too, and nobody means one.
        """
        names = git_text(self.root, "for-each-ref", "--format=%(refname:short)", *OWN_REFS).splitlines()
        newest = git_text(self.root, "log", f"-{MOST_NAMED}", "--format=%h (%s)", "--branches", "--tags")
        offered = [*difflib.get_close_matches(name, names, cutoff=NEAR), *newest.splitlines()]
        return f"name one of: {'; '.join(offered)}" if offered else "commit something first: git commit"

    def _full_name(self, name: str) -> str:
        return git_text(self.root, "rev-parse", "--symbolic-full-name", "--end-of-options", name)

    def digest(self, commit: str, path: str) -> str | None:
        """Return git's id of a file or folder at a commit, the same for the same content; None if absent.

        path "." is the whole commit.
        """
        inside = PurePosixPath(path).as_posix()  # without "./" and "//", which git takes for other names
        name = f"{commit}:{'' if inside == '.' else inside}"
        return git_text(self.root, "rev-parse", "--verify", "--quiet", name) or None


def _read(repository: Path, *arguments: str) -> str:
    """Return what git prints, its white space kept.

    :raises LabError: when git fails: nothing printed must not read as no changes.
    """
    return _output(repository, *arguments).decode(errors="replace")


def _unpack(archive: bytes, place: Path) -> None:
    try:
        unpack(archive, place)
    except tarfile.TarError as fault:
        next_step = "remove what is named, or make the link relative to its own folder; then git commit"
        expected = "a commit of files, folders, and links that lead to no place outside of it"
        raise LabError(expected, str(fault), next_step) from fault
    except OSError as fault:
        seen = f"{fault.strerror}: {fault.filename or place}"
        raise LabError(
            f"room for the commit's files in {place}", seen, f"df -h {shlex.quote(str(place.parent))}"
        ) from fault


def _output(repository: Path, *arguments: str) -> bytes:
    try:
        done = git(repository, *arguments, check=False)
    except FileNotFoundError as fault:
        raise LabError(
            "git on the PATH", "there is none", "install git, as with: apt-get install git"
        ) from fault
    if done.returncode != 0:
        seen = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        next_step = f"correct what git says, then: git -C {shlex.quote(str(repository.absolute()))} status"
        raise LabError(f"git {arguments[0]} in {repository.name}", seen, next_step)
    return done.stdout

"""The learner's git repository: which commit is meant, what is not committed, which files a commit holds."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labkit._git import git, git_text
from labkit._tar import unpack
from labkit.errors import LabError

MOST_NAMED = 5


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

        :raises LabError: when there is none; the next step offers the newest commits.
        """
        # Without --end-of-options, a name that begins with a dash would be an option of git's.
        arguments = ("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        done = git(self.root, "rev-parse", *arguments, check=False)
        if done.returncode != 0:
            newest = git_text(self.root, "log", "-5", "--format=%h %s", "--all").splitlines()
            raise LabError(
                f"a commit of the repository {self.root.name}",
                f"{name!r} is no commit there",
                f"name one of: {'; '.join(newest)}" if newest else "commit something first: git commit",
            )
        commit = done.stdout.decode().strip()
        fields = _read(self.root, "show", "-s", "--format=%s%n%an%n%T", commit).rstrip("\n").split("\n")
        return Revision(commit, *fields)

    def refuse_changes(self) -> None:
        """Check that the working tree is as its last commit, because a run takes the commit's files only.

        :raises LabError: when it differs; the error names the files.
        """
        rows = _read(self.root, "status", "--porcelain", "--untracked-files=all").splitlines()
        if rows:
            names = [row[3:] for row in rows]  # two letters of state and a space come before the name
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            raise LabError(
                f"no changes in {self.root.name} that are not committed, because a run takes a commit",
                f"not committed: {', '.join(names[:MOST_NAMED])}{more}",
                f'commit: git -C {self.root.name} add -A && git -C {self.root.name} commit -m "what it does"',
            )

    @contextmanager
    def tree(self, commit: str) -> Iterator[Path]:
        """Write the commit's files into a temporary folder for one block; it is removed afterwards."""
        archive = git(self.root, "archive", "--format=tar", commit).stdout
        with tempfile.TemporaryDirectory(prefix="labkit-commit-") as folder:
            unpack(archive, Path(folder))
            yield Path(folder)

    def digest(self, commit: str, path: str) -> str | None:
        """Return git's id of a file or folder at a commit, the same for the same content; None if absent.

        path "." is the whole commit.
        """
        inside = PurePosixPath(path).as_posix()  # without "./" and "//", which git takes for other names
        name = f"{commit}:{'' if inside == '.' else inside}"
        return git_text(self.root, "rev-parse", "--verify", "--quiet", name) or None


def _read(repository: Path, *arguments: str) -> str:
    """Return what git prints, its white space kept.

    :raises subprocess.CalledProcessError: when git fails: nothing printed must not read as no changes.
    """
    return git(repository, *arguments).stdout.decode(errors="replace")

"""The learner's git repository: which commit is meant, is anything left uncommitted, what is in its tree."""

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
        """Return the commit that a name (id, tag, branch, HEAD) stands for; a LabError when there is none."""
        done = self._git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False
        )
        if done.returncode != 0:
            known = self._git("log", "-5", "--format=%h %s", "--all", check=False).stdout.strip().splitlines()
            raise LabError(
                f"a commit of the repository {self.root.name}",
                f"{name!r} is no commit there",
                "take one of: " + "; ".join(known) if known else "commit something first: git commit",
            )
        commit = done.stdout.strip()
        words = self._git("show", "-s", "--format=%s%n%an%n%T", commit).stdout.rstrip("\n").split("\n")
        return Revision(commit, *words)

    def refuse_changes(self) -> None:
        """Raise a LabError that names the files when the working tree differs from its last commit."""
        rows = self._git("status", "--porcelain", "--untracked-files=all").stdout.splitlines()
        if rows:
            names = [row[3:] for row in rows]
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            raise LabError(
                f"a clean working tree in {self.root.name}, so that the run is about a commit",
                f"not committed: {', '.join(names[:MOST_NAMED])}{more}",
                f'commit: git -C {self.root.name} add -A && git -C {self.root.name} commit -m "what it does"',
            )

    @contextmanager
    def tree(self, commit: str) -> Iterator[Path]:
        """Give the commit's files in a temporary folder that is removed afterwards."""
        archive = subprocess.run(
            ["git", "-C", self.root, "archive", "--format=tar", commit],
            check=True,
            capture_output=True,
            env=_environment(),
        )
        with tempfile.TemporaryDirectory(prefix="labkit-commit-") as folder:
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(folder, filter="data")
            yield Path(folder)

    def digest(self, commit: str, path: str) -> str | None:
        """Return git's id of a file or folder at a commit, the same for the same content; None if absent."""
        done = self._git("rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    def _git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "-C", self.root, *arguments],
            check=check,
            capture_output=True,
            text=True,
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    """Return the environment without git's own variables: in a hook they point at what is being committed."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, written as the artifact database writes digests."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

"""The head of the chain as a git note, outside the database, so that a cut-off tail is found."""

import fcntl
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

NAME = "labkit"
"""The note is refs/notes/labkit: `git log --notes=labkit` shows it."""

BATCH_S = 0.05
"""Appends that follow each other within this time share one note."""

WRITER = ("-c", "user.name=labkit", "-c", "user.email=labkit@localhost")


class Head(NamedTuple):
    """A fact's id and its hash in the chain."""

    id: int
    hash: str


class Note:
    """The head of one database's chain as a note on the root commit of a git repository.

    A note is written after the append, by a thread that lives only as long as there is something to write, so that an
    append does not wait for git. The note may therefore be behind the database, but never ahead of it.
    """

    def __init__(self, repository: Path, has: Callable[[Head], bool]) -> None:
        """Keep the repository; has(head) tells whether the database's chain has this head."""
        self._repository = repository
        self._has = has
        self._lock = threading.Lock()
        self._due: Head | None = None
        self._writer: threading.Thread | None = None
        self._hurry = threading.Event()

    def write_soon(self, head: Head) -> None:
        """Have the head written within a moment; returns at once. The interpreter waits for it when it ends."""
        with self._lock:
            self._due = max(self._due or head, head)
            if self._writer is None:
                self._hurry.clear()
                self._writer = threading.Thread(target=self._write_all, name="labkit-note", daemon=False)
                self._writer.start()

    def flush(self) -> None:
        """Return when all heads that are due are written."""
        writer = self._writer
        if writer is not None:
            self._hurry.set()
            writer.join()

    def read(self) -> Head | None:
        """Return the noted head; None when there is no note, no repository or no commit yet."""
        listed = self._git("notes", f"--ref={NAME}", "list")
        text = self._git("cat-file", "blob", listed.split()[0]) if listed else None
        words = (text or "").split()
        return Head(int(words[1]), words[3]) if len(words) == 4 else None

    def _write_all(self) -> None:
        while True:
            self._hurry.wait(BATCH_S)
            with self._lock:
                head, self._due = self._due, None
                if head is None:
                    self._writer = None
                    return
            self._write(head)

    def _write(self, head: Head) -> None:
        with self._alone() as alone:
            noted = self.read() if alone else None
            # A note that the chain does not have is the evidence of a cut-off tail: it must stay.
            if not alone or (noted and (noted >= head or not self._has(noted))):
                return
            root = self._git("rev-list", "--max-parents=0", "HEAD")
            if root:
                message = f"fact {head.id} hash {head.hash}"
                self._git(
                    *WRITER, "notes", f"--ref={NAME}", "add", "--force", "-m", message, root.split()[-1]
                )

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keep other processes' writers out; False when this is no git repository."""
        folder = self._git("rev-parse", "--absolute-git-dir")
        if not folder:
            yield False
            return
        with (Path(folder.strip()) / "labkit-note.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield True

    def _git(self, *arguments: str) -> str | None:
        """Return what git prints; None when it fails."""
        # Inside a git hook these variables would lead to the hook's repository.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(
                ["git", "-C", self._repository, *arguments],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        except OSError:
            return None
        return done.stdout if done.returncode == 0 else None

"""The head of the chain as a git note: kept outside the database, so that a cut-off tail is found."""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

from labkit._git import git, git_text
from labkit._lock_file import open_lock, taken
from labkit.errors import LabError

NAME = "labkit"
"""The note is refs/notes/labkit: `git log --notes=labkit` shows it."""

BATCH_S = 0.2
"""Appends that follow each other within this time share one note."""

WAIT_S, LOOK_S = 10.0, 0.01
"""How long another process's note is waited for, and how often it is looked for."""

WRITER = {"user.name": "labkit", "user.email": "labkit@localhost"}
"""Who writes the note: the user may have no name in git."""


class Head(NamedTuple):
    """A fact's id and its hash in the chain."""

    id: int
    hash: str


class Note:
    """The head of one database's chain as a note on the root commit of a git repository.

    A thread writes it a moment after the append and then ends, so that an append does not wait for git. The
    note may be behind the database, but never ahead of it.
    """

    def __init__(self, repository: Path, has: Callable[[Head], bool]) -> None:
        """Keep the repository; has(head) returns whether the database's chain has this head."""
        self._repository = repository
        self._has = has
        self._due: Head | None = None
        self._due_lock = threading.Lock()
        self._write_lock = threading.Lock()

    def write_soon(self, head: Head) -> None:
        """Have the head written within a moment; returns at once."""
        with self._due_lock:
            waiting = self._due is not None
            self._due = max(head, self._due or head)
        if not waiting:
            # No daemon: the interpreter, when it ends, waits for the note.
            threading.Thread(target=self._flush_soon, name="labkit-note", daemon=False).start()

    def flush(self) -> None:
        """Return when the head that is due is written, or cannot be and is left to the next append."""
        with self._write_lock:
            with self._due_lock:
                head, self._due = self._due, None
            if head is not None:
                self._write(head)

    def read(self) -> Head | None:
        """Return the noted head; None when there is no note or no repository."""
        listed = git_text(self._repository, "notes", f"--ref={NAME}", "list")
        text = git_text(self._repository, "cat-file", "blob", listed.split()[0]) if listed else ""
        parts = re.fullmatch(r"fact (\d+) hash (\w+)", text.strip())
        return Head(int(parts[1]), parts[2]) if parts else None

    def _flush_soon(self) -> None:
        # Waits the batch's time, or less when the program ends meanwhile.
        threading.main_thread().join(BATCH_S)
        self.flush()

    def _write(self, head: Head) -> None:
        folder = git_text(self._repository, "rev-parse", "--absolute-git-dir")
        root = git_text(self._repository, "rev-list", "--max-parents=0", "HEAD").split()
        if not folder or not root:
            return
        try:
            with open_lock(Path(folder) / "labkit-note.lock") as lock:
                if not _taken_in_time(lock):  # its holder notes another head, the next append this one
                    return
                noted = self.read()
                # A noted head that the chain does not have is the evidence of a cut-off tail: it stays.
                if noted is None or (noted < head and self._has(noted)):
                    text = f"fact {head.id} hash {head.hash}"
                    note = ("notes", f"--ref={NAME}", "add", "--force", "-m", text, root[-1])
                    git(self._repository, *note, check=False, settings=WRITER)
        except (OSError, LabError):
            return  # repository or database went away meanwhile: nobody is there to ask for the note


def _taken_in_time(lock: IO[str]) -> bool:
    """Take the lock, for which other processes that append wait too; return whether it came within WAIT_S."""
    end = time.monotonic() + WAIT_S
    while not (has := taken(lock)) and time.monotonic() < end:
        time.sleep(LOOK_S)
    return has

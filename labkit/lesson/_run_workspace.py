"""The workspace of one run: made for it, seen by its kernels, gone afterwards with everything in it."""

import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from labkit._lock_file import open_lock, taken
from labkit.engine import Engine, Label, NoEngine
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.workspace import Workspace

PREFIX, LOCK, PLACE = "labkit-labs-", "lock", "my workspace"
"""How the folder's name begins, what is held in it as long as the run lives, and where the workspace lies."""

NEW_S = 60.0
"""A folder that is younger may be one that is just being made."""


class RunWorkspace:
    """A workspace in a temporary folder; variables are those by which a lab's kernel finds it.

    Its path has a space, as many learners' have, so that a path that a lab forgot to quote fails here. What
    runs that were killed have left goes with the next one.
    """

    def __init__(self) -> None:
        _sweep()
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = open_lock(self._folder / LOCK)
        taken(self._lock)  # nobody else knows the folder yet
        self._workspace = Workspace.create(self._folder / PLACE)
        self.root = self._workspace.root
        self.variables = {"LABKIT_WORKSPACE": str(self.root), "LABKIT_UNATTENDED": "1"}

    def left(self) -> list[str]:
        """Return kind and name of what the engine has of this workspace: nothing without an engine."""
        try:
            things = Engine.find().owned({Label.WORKSPACE: self._workspace.id})
        except NoEngine:
            return []
        return [f"{thing.kind} {thing.name}" for thing in things]

    def clean_up(self) -> None:
        """Remove from the engine what is left.

        :raises LabError: when something cannot be removed.
        """
        if self.left():
            _clean_up(self._workspace)

    def close(self) -> None:
        """Clean up, and remove the folder whatever the clean-up says.

        :raises LabError: when something cannot be removed from the engine.
        """
        try:
            self.clean_up()
        finally:
            self._workspace.artifacts.close()
            self._lock.close()
            shutil.rmtree(self._folder)


def _clean_up(workspace: Workspace) -> None:
    Environment.clean_up_all(workspace)
    Engine.find().remove({Label.WORKSPACE: workspace.id})


def _sweep() -> None:
    """Remove the folders of this user's runs that were killed, and what the engine has of their workspaces.

    One that cannot be removed, as without an engine, is left to the next run.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(LabError, OSError):
            _remove_dead(folder)


def _remove_dead(folder: Path) -> None:
    """Remove the folder of a run, unless it is another user's, a new one, or its run lives.

    :raises LabError: when something of it cannot be removed.
    :raises OSError: when it goes meanwhile.
    """
    seen = folder.lstat()
    mine = stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid()
    if not mine or time.time() - seen.st_mtime < NEW_S or not (folder / LOCK).is_file():
        return
    with open_lock(folder / LOCK) as lock:
        if not taken(lock):
            return
        if (folder / PLACE / ".labkit" / "id").is_file():
            workspace = Workspace.open(folder / PLACE)
            _clean_up(workspace)
            workspace.artifacts.close()
        shutil.rmtree(folder)

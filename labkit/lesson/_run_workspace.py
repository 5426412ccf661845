"""The workspace of one run: made for it, seen by its kernels, gone afterwards with everything in it."""

import shutil
import tempfile
from pathlib import Path

from labkit.engine import Engine, Label, NoEngine
from labkit.environment import Environment
from labkit.workspace import Workspace


class RunWorkspace:
    """A workspace in a temporary folder; variables are those by which a lab's kernel finds it.

    Its path has a space, as many learners' have, so that a path that a lab forgot to quote fails here.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="labkit-labs-"))
        self._workspace = Workspace.create(self._folder / "my workspace")
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
            Environment.clean_up_all(self._workspace)
            Engine.find().remove({Label.WORKSPACE: self._workspace.id})

    def close(self) -> None:
        """Clean up, and remove the folder whatever the clean-up says.

        :raises LabError: when something cannot be removed from the engine.
        """
        try:
            self.clean_up()
        finally:
            self._workspace.artifacts.close()
            shutil.rmtree(self._folder)

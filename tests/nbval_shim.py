"""Closes three gaps of nbval 0.11, so that the labs can be run as they are read.

A dead kernel fails the cell at once instead of after the cell's whole time-out; a `;` at the end of a line
hides the output as in JupyterLab (nbval #194); an environment variable says that nobody is there to press
buttons. The labs run in a workspace of their own, and nothing of it is left afterwards. Load it with
`pytest -p nbval_shim`.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from nbval.kernel import RunningKernel

from labkit import Environment, Workspace
from labkit.engine import Engine, Label

LOOK_AGAIN_S = 1.0

os.environ["LABKIT_UNATTENDED"] = "1"
_get_message = RunningKernel.get_message


def get_message(self: Any, stream: str, timeout: float | None = None) -> Any:
    """Wait for a message, but not for one of a kernel that is gone."""
    end = time.monotonic() + (timeout or float("inf"))
    while True:
        left = end - time.monotonic()
        try:
            return _get_message(self, stream, timeout=max(0.01, min(LOOK_AGAIN_S, left)))
        except Empty:
            if not self.is_alive():
                message = "the kernel died"
                raise RuntimeError(message) from None
            if left <= 0:
                raise


RunningKernel.get_message = get_message
RunningKernel.execute_cell_input = lambda self, source, allow_stdin=None: self.kc.execute(
    source, allow_stdin=allow_stdin, stop_on_error=False
)


def pytest_sessionstart() -> None:
    """Make the workspace that the labs find."""
    root = Path(tempfile.mkdtemp(prefix="labkit-labs-")) / "workspace"
    os.environ["LABKIT_WORKSPACE"] = str(Workspace.create(root).root)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Clean up what failed labs left, and fail the session when all labs passed but left something."""
    workspace = Workspace.open()
    left = Engine.find().owned({Label.WORKSPACE: workspace.id})
    Environment.clean_up_all(workspace)
    workspace.artifacts.close()
    shutil.rmtree(workspace.root.parent)
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.get_terminal_writer().line(
            f"the labs left {[container.name for container in left]}", red=True
        )

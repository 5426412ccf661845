"""Closes three gaps of nbval 0.11, so that the labs can be run as they are read.

A dead kernel fails the cell at once instead of after the cell's whole time-out; a `;` at the end of a line
hides the output as in JupyterLab (nbval #194); the environment tells the labs that nobody is there to press
buttons. Loaded with `pytest -p nbval_shim`.
"""

import os
import time
from queue import Empty
from typing import Any

from nbval.kernel import RunningKernel

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

"""Notices the death of a kernel at once.

nbval 0.11 asks whether its kernel is alive only before a cell. For the answer of one that dies in a cell it
waits until the cell's time is up, and calls that a time-out (https://github.com/CSHS-CWRA/RavenPy/issues/357
waited for 33 minutes; nbval itself has no issue of that yet, but #41 and #151 for time-outs).
"""

import time
from functools import partial
from queue import Empty
from typing import Any

from nbval.kernel import RunningKernel

LOOK_AGAIN_S = 1.0


class KernelDied(Exception):
    """The kernel ended while it ran a cell."""


def notice_death(kernel: RunningKernel) -> None:
    """Let this one kernel raise KernelDied where nbval would wait for a message that cannot come."""
    kernel.get_message = partial(_get_message, kernel, kernel.get_message)


def _get_message(
    kernel: RunningKernel,
    wait: Any,  # noqa: ANN401 - nbval ships no types
    stream: str,
    timeout: float | None = None,
) -> Any:  # noqa: ANN401 - as above
    end = time.monotonic() + (float("inf") if timeout is None else timeout)
    while True:
        left = end - time.monotonic()
        try:
            return wait(stream, timeout=max(0.0, min(LOOK_AGAIN_S, left)))
        except Empty:
            if not kernel.is_alive():
                kernel.stop()  # nbval stops a kernel only while it lives, so this one's sockets would stay open
                raise KernelDied from None
            if left <= 0:
                raise

"""Notices the death of a kernel at once: the one thing of nbval's that labkit replaces.

nbval 0.11 asks whether its kernel is alive only before a cell. For the answer of one that dies in a cell it
waits until the cell's time is up (https://github.com/CSHS-CWRA/RavenPy/issues/357: 33 minutes), interrupts it
(https://github.com/computationalmodelling/nbval/issues/41), and calls that a time-out.
"""

import time
from collections.abc import Callable
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
    kernel: RunningKernel, wait: Callable[..., dict[str, Any]], stream: str, timeout: float | None = None
) -> dict[str, Any]:
    end = time.monotonic() + (float("inf") if timeout is None else timeout)
    while True:
        left = end - time.monotonic()
        try:
            return wait(stream, timeout=max(0.0, min(LOOK_AGAIN_S, left)))
        except Empty:
            if not kernel.is_alive():
                kernel.stop()  # nbval stops a kernel only while it lives: sockets would stay open
                raise KernelDied from None
            if left <= 0:
                raise

"""Sleep to a tenth of a millisecond under gevent. Imported in the child process only."""

import ctypes
import os
import struct
import sys

import gevent
from gevent.hub import get_hub

_CLOCK_MONOTONIC = 1
_NONBLOCK = 0o4000  # TFD_NONBLOCK on Linux
_READ = 1
_NS_PER_S = 10**9


class Timer:
    """Wakes one greenlet; on Linux by a timerfd, since gevent.sleep (epoll) rounds up to a millisecond.

    See timerfd_create(2); Python has it as os.timerfd_create from 3.13 on.
    """

    def __init__(self) -> None:
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK)
        if self._fd >= 0:
            self._hub = get_hub()
            self._watcher = self._hub.loop.io(self._fd, _READ)

    def sleep(self, seconds: float) -> None:
        """Let other greenlets run for this time."""
        if self._fd < 0:
            gevent.sleep(seconds)
            return
        # struct itimerspec: no repetition, then the time until it expires; zero would disarm the timer.
        expires = divmod(max(1, int(seconds * _NS_PER_S)), _NS_PER_S)
        self._libc.timerfd_settime(self._fd, 0, struct.pack("4l", 0, 0, *expires), None)
        self._hub.wait(self._watcher)
        os.read(self._fd, 8)

"""A lock that goes with its process: the operating system's own, on a file."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit._lock_file import open_lock
from labkit.errors import LabError


@contextmanager
def hold(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock `name` for one block.

    :raises LabError: when a process holds it; the error names the process. Also as open_lock.
    """
    # Opened without being emptied: the file must keep its holder's number until this process has the lock.
    with open_lock(folder / f"{name}.lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            file.seek(0)
            seen = f"process {file.read().strip() or '(unknown)'} does it now"
            next_step = "wait until it ends, or stop it with Ctrl-C in the terminal where it runs"
            raise LabError(f"nobody else does {name!r} in this workspace", seen, next_step) from fault
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            # Not left to the closing: a child that is being started has a copy of the file for a moment.
            fcntl.flock(file, fcntl.LOCK_UN)

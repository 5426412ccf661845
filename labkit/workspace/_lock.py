"""A lock that goes with its process: the operating system's own, on a file."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.errors import LabError


@contextmanager
def hold(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock `name` for one block; a LabError tells which process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            file.seek(0)
            seen = f"process {file.read().strip() or '(not told)'} does it now"
            mend = "wait for it to end, or end it with Ctrl-C where it runs"
            raise LabError(f"nobody else does {name!r} in this workspace", seen, mend) from fault
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

"""The one way to open the file of a lock, which is this user's alone: what lies in its place stays whole."""

import fcntl
import os
import shlex
from pathlib import Path
from typing import IO

from labkit.errors import LabError


def open_lock(path: Path) -> IO[str]:
    """Open a lock's file for reading and appending; it and its folder are made, for this user alone.

    :raises LabError: when a link lies there, another user owns or can write it, or it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8", opener=_opener)  # noqa: SIM115 - the caller closes it
    except OSError as problem:
        raise _refused(path, problem.strerror or str(problem)) from problem
    status = os.fstat(file.fileno())
    if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
        return file
    file.close()
    raise _refused(path, "another user owns it, or can write it")


def taken(file: IO[str]) -> bool:
    """Take a lock without waiting; return whether it was free. It ends with the file, or the process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _refused(path: Path, seen: str) -> LabError:
    remove = f"remove the file if it is there: rm {shlex.quote(str(path))}"
    next_step = f"make the folder {path.parent} your own, and {remove}"
    return LabError(f"a file of your own at {path}", seen, next_step)

"""labkit's folder in the user's cache, and the one way to open a file there that is this user's alone."""

import os
import shlex
from pathlib import Path
from typing import IO

from labkit._lock_file import open_lock
from labkit.errors import LabError


def cache() -> Path:
    """Return labkit's folder in the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labkit"


def open_own(name: str) -> IO[str]:
    """Open a file in that folder for reading and appending; it is made when it is not there.

    :raises LabError: when a link lies there, another user owns or can write it, or it cannot be written.
    """
    path = cache() / name
    try:
        file = open_lock(path)
    except OSError as problem:
        raise _refused(path, problem.strerror or str(problem)) from problem
    status = os.fstat(file.fileno())
    if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
        return file
    file.close()
    raise _refused(path, "another user owns it, or can write it")


def _refused(path: Path, seen: str) -> LabError:
    remove = f"remove the file if it is there: rm {shlex.quote(str(path))}"
    next_step = f"make the folder {path.parent} your own, and {remove}"
    return LabError(f"a file of your own at {path}", seen, next_step)

"""Files for instructors: whole or not at all, and readable by their owner alone."""

import os
from contextlib import suppress
from pathlib import Path

from labkit.errors import LabError


def write_private(path: Path, content: str) -> Path:
    """Write a text into a file as UTF-8, its line ends as they are; a file that is there is replaced.

    :raises LabError: when it cannot be written; then what was there is still there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with open(part, "x", encoding="utf-8", newline="", opener=_private) as file:
            file.write(content)
        part.replace(path)
    except OSError as fault:
        with suppress(OSError):
            part.unlink()
        seen = f"{fault.strerror}: {fault.filename or path}"
        next_step = "name a place that you may write, on a disk with room: --to"
        raise LabError(f"a file can be written at {path}", seen, next_step) from fault
    return path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)

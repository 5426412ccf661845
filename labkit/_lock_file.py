"""The one way to open a lock's file: nothing that lies in its place comes to harm."""

import os
from pathlib import Path
from typing import IO


def open_lock(path: Path) -> IO[str]:
    """Open a lock's file for reading and appending; it and its folder are made, for this user alone.

    :raises OSError: when a link lies there, or the file cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(path, "a+", encoding="utf-8", opener=_opener)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)

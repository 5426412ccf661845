"""The main process of the grader's container: forks a relay for each submission, and cleans up after it."""

import gc
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from labkit.grading.sandbox._child import make_shell
from labkit.grading.sandbox._relay import relay

HOMES = Path("/tmp")  # noqa: S108 - the container's own, in which only its owner makes folders
HOMES_MODE = 0o711
SHARED = [Path("/dev/mqueue"), Path("/dev/shm")]  # noqa: S108 - looked at, never written
SYSTEM_V = [Path("/proc/sysvipc") / name for name in ("shm", "msg", "sem")]


def main() -> None:
    """Serve submissions until standard input ends."""
    if os.getpid() != 1:
        raise SystemExit("only as the main process of a container: it ends every other process that it sees")
    HOMES.chmod(
        HOMES_MODE
    )  # an engine gives the mounted folder the mode of the image's own, in which all may write
    shell = make_shell()
    gc.collect()
    gc.freeze()  # else the first collection in each child copies all of its memory
    while line := _line():
        begin: dict[str, Any] = json.loads(line)
        home = HOMES / str(begin["home"])
        status = _wait_for(_forked(shell, begin, home))
        left = _clean(int(begin["uid"]), home)
        if status:
            left = f"{left} the relay ended with status {status}".strip()
        os.write(1, b"k " + json.dumps({"left": left}).encode() + b"\n")


def _line() -> bytes:
    """Read one line, and not a byte more: what follows is the relay's."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return bytes(line)


def _forked(shell: Any, begin: dict[str, Any], home: Path) -> int:  # noqa: ANN401 - IPython's
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            relay(shell, int(begin["uid"]), home, begin["limits"])
            status = 0
        finally:
            os._exit(status)
    return pid


def _wait_for(relay_pid: int) -> int:
    """Wait for the relay's end; whatever else ends meanwhile has lost its parent."""
    while True:
        pid, status = os.wait()
        if pid == relay_pid:
            return status


def _clean(uid: int, home: Path) -> str:
    """End every other process and remove the home; return in words what is left, "" for nothing."""
    try:
        while True:
            os.kill(-1, signal.SIGKILL)  # as process 1: all but this one, in one step that no fork escapes
            os.wait()
    except (
        ProcessLookupError,
        ChildProcessError,
    ):  # nobody is left: who loses a parent becomes a child of process 1
        pass
    try:
        os.seteuid(uid)  # in its owner's name, because root's own right over others' files is not given
        try:
            _empty(home)
        finally:
            os.seteuid(0)
        home.rmdir()
    except (OSError, RecursionError) as problem:
        return f"files: {problem}"[:200]
    left = [str(path) for path in Path("/proc").iterdir() if path.name.isdecimal() and path.name != "1"]
    left += [str(path) for folder in (HOMES, *SHARED) if folder.is_dir() for path in folder.iterdir()]
    left += [str(table) for table in SYSTEM_V if len(table.read_text(encoding="ascii").splitlines()) > 1]
    return " ".join(left)[:200]


def _empty(home: Path) -> None:
    home.chmod(0o700)
    for folder, names, _ in os.walk(home):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o700)  # before os.walk enters it
    for entry in home.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main()

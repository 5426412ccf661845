"""Is this machine ready for the labs? Each check with its threshold, what was seen, and its one mend."""

import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.engine._engine import Engine
from labkit.engine._errors import NoEngine
from labkit.engine._images import build_images, images_missing
from labkit.engine._labels import BASE
from labkit.errors import LabError

PYTHON = (3, 11)
GIT = (2, 30)
DISK_BYTES = 5 * 10**9
MEMORY_BYTES = 4 * 10**9
DISK_COMMAND = ("df", "--block-size=1", "--output=avail", "/")


@dataclass(frozen=True)
class Check:
    """One line of the doctor's answer. mend is the one step that helps, "" when ok."""

    name: str
    ok: bool
    seen: str
    threshold: str
    mend: str = ""


def doctor(*, fix: bool = False, progress: Callable[..., Any] | None = None) -> list[Check]:
    """Check this machine: python, git, engine, images, disk, memory, ports; in this order.

    fix starts the engine (and installs it, as root on Debian or Ubuntu) and builds the images where that is
    needed. progress is called with words about what is done now. What depends on an engine that is not there
    fails too and says so.
    """
    say = progress or (lambda *_: None)
    checks = [_python(), _git()]
    engine, check = _engine(fix=fix, say=say)
    rest = [_disk(engine), _memory(engine), _port()]
    return [*checks, check, _images(engine, fix=fix, say=say), *rest]


def _python() -> Check:
    ok = sys.version_info[:2] >= PYTHON
    return Check(
        "python", ok, platform.python_version(), "≥ 3.11", "" if ok else "install Python 3.11 or newer"
    )


def _git() -> Check:
    mend = "install git 2.30 or newer (Debian, Ubuntu: sudo apt-get install git)"
    try:
        told = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return Check("git", ok=False, seen="not found", threshold="≥ 2.30", mend=mend)
    found = re.search(r"(\d+)\.(\d+)[\d.]*", told)
    ok = bool(found) and (int(found[1]), int(found[2])) >= GIT if found else False
    return Check("git", ok, found[0] if found else told.strip(), "≥ 2.30", "" if ok else mend)


def _engine(*, fix: bool, say: Callable[..., Any]) -> tuple[Engine | None, Check]:
    wanted = "answers"
    try:
        engine = Engine.ensure(say) if fix else Engine.find()
        return engine, Check(
            "engine", ok=True, seen=f"{engine.version} at {engine.address}", threshold=wanted
        )
    except NoEngine as problem:
        return None, Check("engine", ok=False, seen=problem.seen, threshold=wanted, mend=problem.next_step)


def _images(engine: Engine | None, *, fix: bool, say: Callable[..., Any]) -> Check:
    wanted, mend = "there and current", "labkit images build, or labkit images load FILE"
    if engine is None:
        return Check("images", ok=False, seen="unknown without an engine", threshold=wanted, mend=mend)
    try:
        if fix:
            build_images(say, engine)
        missing = images_missing(engine)
    except LabError as problem:
        return Check("images", ok=False, seen=problem.seen, threshold=wanted, mend=problem.next_step)
    seen = "missing or out of date: " + ", ".join(missing) if missing else "all there"
    return Check("images", not missing, seen, wanted, mend if missing else "")


def _disk(engine: Engine | None) -> Check:
    wanted = f"≥ {DISK_BYTES / 1e9:.0f} GB free for the engine"
    if engine is None:
        return Check(
            "disk", ok=False, seen="unknown without an engine", threshold=wanted, mend="mend the engine first"
        )
    free = free_bytes(engine)
    if free is None:
        return Check(
            "disk", ok=True, seen="unknown: the engine's disk cannot be seen from here", threshold=wanted
        )
    ok = free >= DISK_BYTES
    mend = "" if ok else "free some space: docker system prune removes what no container uses"
    return Check("disk", ok, f"{free / 1e9:.1f} GB free", wanted, mend)


def free_bytes(engine: Engine) -> int | None:
    """Return the free bytes where the engine keeps its images and containers; None when that cannot be known.

    The folder is on this machine when the engine is local; elsewhere a container looks, if the base image is
    there.
    """
    root = engine.info().get("DockerRootDir", "")
    try:
        if engine.local and sys.platform == "linux":
            return shutil.disk_usage(root).free
        told = engine.run(BASE, DISK_COMMAND, timeout_s=30).output.split()
        return int(told[-1])
    except (OSError, LabError, ValueError, IndexError):
        return None


def _memory(engine: Engine | None) -> Check:
    wanted = f"≥ {MEMORY_BYTES / 1e9:.0f} GB for the engine"
    if engine is None:
        return Check(
            "memory",
            ok=False,
            seen="unknown without an engine",
            threshold=wanted,
            mend="mend the engine first",
        )
    total = int(engine.info().get("MemTotal", 0))
    ok = total >= MEMORY_BYTES
    mend = "" if ok else "give the machine, or Docker Desktop's settings, 4 GB or more"
    return Check("memory", ok, f"{total / 1e9:.1f} GB", wanted, mend)


def _port() -> Check:
    wanted = "a loopback port can be opened"
    try:
        with socket.create_server(("127.0.0.1", 0)) as door:
            return Check("ports", ok=True, seen=f"127.0.0.1:{door.getsockname()[1]} opened", threshold=wanted)
    except OSError as problem:
        seen = problem.strerror or str(problem)
        return Check(
            "ports",
            ok=False,
            seen=seen,
            threshold=wanted,
            mend="free some ports, or lift the limit on sockets",
        )

"""Is this machine ready for the labs? Each check with its threshold, what was seen, and one next step."""

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
class DoctorCheck:
    """One line of the doctor's answer. next_step is the one step that helps, "" when ok."""

    name: str
    ok: bool
    seen: str
    threshold: str
    next_step: str = ""


def doctor(*, fix: bool = False, progress: Callable[..., Any] | None = None) -> list[DoctorCheck]:
    """Check this machine: python, git, engine, images, disk, memory, ports; in this order.

    fix starts the engine (and installs it, as root on Debian or Ubuntu) and builds the images where that is
    needed. progress is called with words about what is done now; None means silence. What depends on an
    engine that is not there fails too and says so.
    """
    progress = progress or (lambda *_: None)
    engine, answers = _engine(fix=fix, progress=progress)
    images = _images(engine, fix=fix, progress=progress)
    return [_python(), _git(), answers, images, _disk(engine), _memory(engine), _port()]


def _python() -> DoctorCheck:
    ok = sys.version_info[:2] >= PYTHON
    return DoctorCheck(
        "python", ok, platform.python_version(), "≥ 3.11", "" if ok else "install Python 3.11 or newer"
    )


def _git() -> DoctorCheck:
    next_step = "install git 2.30 or newer (Debian, Ubuntu: sudo apt-get install git)"
    try:
        output = subprocess.run(
            ["git", "--version"], capture_output=True, encoding="utf-8", check=False
        ).stdout
    except OSError:
        return DoctorCheck("git", ok=False, seen="not found", threshold="≥ 2.30", next_step=next_step)
    version = re.search(r"(\d+)\.(\d+)[\d.]*", output)
    ok = version is not None and (int(version[1]), int(version[2])) >= GIT
    return DoctorCheck(
        "git", ok, version[0] if version else output.strip(), "≥ 2.30", "" if ok else next_step
    )


def _engine(*, fix: bool, progress: Callable[..., Any]) -> tuple[Engine | None, DoctorCheck]:
    threshold = "answers"
    try:
        engine = Engine.ensure(progress) if fix else Engine.find()
        return engine, DoctorCheck(
            "engine", ok=True, seen=f"{engine.version} at {engine.address}", threshold=threshold
        )
    except NoEngine as problem:
        return None, DoctorCheck(
            "engine", ok=False, seen=problem.seen, threshold=threshold, next_step=problem.next_step
        )


def _images(engine: Engine | None, *, fix: bool, progress: Callable[..., Any]) -> DoctorCheck:
    threshold, next_step = "there and current", "labkit images build, or labkit images load FILE"
    if engine is None:
        return DoctorCheck(
            "images", ok=False, seen="unknown without an engine", threshold=threshold, next_step=next_step
        )
    try:
        if fix:
            build_images(progress, engine)
        missing = images_missing(engine)
    except LabError as problem:
        return DoctorCheck(
            "images", ok=False, seen=problem.seen, threshold=threshold, next_step=problem.next_step
        )
    seen = (
        "missing, out of date, or not built or loaded by you: " + ", ".join(missing)
        if missing
        else "all there"
    )
    return DoctorCheck("images", not missing, seen, threshold, next_step if missing else "")


def _disk(engine: Engine | None) -> DoctorCheck:
    threshold = f"≥ {DISK_BYTES / 1e9:.0f} GB free for the engine"
    if engine is None:
        return DoctorCheck(
            "disk",
            ok=False,
            seen="unknown without an engine",
            threshold=threshold,
            next_step="correct the line `engine` first",
        )
    free = free_bytes(engine)
    if free is None:
        return DoctorCheck(
            "disk", ok=True, seen="unknown: the engine's disk cannot be seen from here", threshold=threshold
        )
    ok = free >= DISK_BYTES
    next_step = "" if ok else "free some space: docker system prune removes what no container uses"
    return DoctorCheck("disk", ok, f"{free / 1e9:.1f} GB free", threshold, next_step)


def free_bytes(engine: Engine) -> int | None:
    """Return the free bytes where the engine keeps its images and containers; None when that cannot be known.

    The folder is on this machine when the engine is local; elsewhere a container looks, if the base image is
    there.
    """
    root = engine.info().get("DockerRootDir", "")
    try:
        if engine.local and sys.platform == "linux":
            return shutil.disk_usage(root).free
        output = engine.run(BASE, DISK_COMMAND, timeout_s=30).output
        return int(output.split()[-1])
    except (OSError, LabError, ValueError, IndexError):
        return None


def _memory(engine: Engine | None) -> DoctorCheck:
    threshold = f"≥ {MEMORY_BYTES / 1e9:.0f} GB for the engine"
    if engine is None:
        return DoctorCheck(
            "memory",
            ok=False,
            seen="unknown without an engine",
            threshold=threshold,
            next_step="correct the line `engine` first",
        )
    total = int(engine.info().get("MemTotal", 0))
    ok = total >= MEMORY_BYTES
    next_step = "" if ok else "give the machine, or Docker Desktop's settings, 4 GB or more"
    return DoctorCheck("memory", ok, f"{total / 1e9:.1f} GB", threshold, next_step)


def _port() -> DoctorCheck:
    threshold = "a loopback port can be opened"
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return DoctorCheck(
                "ports", ok=True, seen=f"127.0.0.1:{listener.getsockname()[1]} opened", threshold=threshold
            )
    except OSError as problem:
        seen = problem.strerror or str(problem)
        return DoctorCheck(
            "ports",
            ok=False,
            seen=seen,
            threshold=threshold,
            next_step="free some ports, or lift the limit on sockets",
        )

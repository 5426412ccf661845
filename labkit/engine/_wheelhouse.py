"""The wheelhouse: every Python module that services and their tests need, checked against its hash."""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from labkit.engine._cache import cache
from labkit.errors import LabError

REQUIREMENT = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC = (36, 35, 34, 31, 28, 27, 26, 24, 17)
"""The minor versions of glibc 2 whose wheels Debian 12 (glibc 2.36) can run, newest first (PEP 600)."""

PYTHON = "3.11"
"""The Python of Debian 12."""


def wheelhouse(lock: Path, architecture: str) -> Path:
    """Return a folder with the wheels of a lock file for containers of an architecture (amd64, arm64).

    They are downloaded once into the user's cache; a folder that is complete is used as it is.

    :raises LabError: when a wheel cannot be had, or is not the locked one.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = cache() / "wheelhouse" / f"{architecture}-{digest}"
    if not complete(folder, lock):
        _download(lock, architecture, folder)
    return folder


def complete(folder: Path, lock: Path) -> bool:
    """Return whether a folder has one wheel for each locked module, with a locked hash, and no other."""
    text = lock.read_text(encoding="utf-8")
    locked = set(HASH.findall(text))
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != len(REQUIREMENT.findall(text)):
        return False
    return all(hashlib.sha256(wheel.read_bytes()).hexdigest() in locked for wheel in wheels)


def _download(lock: Path, architecture: str, folder: Path) -> None:
    """Download into a folder beside the right one and rename it, so that no half-filled one is ever there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        partial = Path(beside) / "wheels"
        _pip(
            "download",
            "--require-hashes",
            "--dest",
            str(partial),
            *_target(architecture),
            "--requirement",
            str(lock),
        )
        shutil.rmtree(folder, ignore_errors=True)
        try:
            partial.rename(folder)
        except OSError:
            if not complete(folder, lock):  # else another process was quicker
                raise


def unpack(lock: Path, architecture: str, wheels: Path, folder: Path) -> None:
    """Install a lock file's modules from a wheelhouse into a folder, for the containers' Python."""
    offline = ("--no-index", "--find-links", str(wheels), "--no-compile", "--no-deps", "--require-hashes")
    _pip("install", *offline, "--target", str(folder), *_target(architecture), "--requirement", str(lock))
    shutil.rmtree(folder / "bin", ignore_errors=True)  # scripts that start this machine's Python


def _target(architecture: str) -> Sequence[str]:
    machine = MACHINES.get(architecture, architecture)
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}", *platforms]


def _pip(*arguments: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise LabError(
            expected="pip beside labkit, for the wheelhouse",
            seen=f"{sys.executable} has no pip",
            next_step=f"{sys.executable} -m ensurepip",
        )
    last = [line for line in done.stderr.splitlines() if line.strip()][-3:]
    raise LabError(
        expected="the locked modules of the services, as wheels",
        seen="pip said: " + " / ".join(last),
        next_step="connect to the network and try again, or labkit images load FILE",
    )

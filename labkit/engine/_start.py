"""Bring an engine to a machine that has none: install it, start it, wait until it answers."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from labkit.engine._errors import NoEngine, no_engine, start_hint
from labkit.engine._locate import DEFAULT, Address, probe

INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "docker.io", "iptables")
LOG = Path("/var/log/labkit-dockerd.log")
ANSWER_S = 60.0
LAST_LINES = 5
PIDS = {
    Path("/var/run/docker.pid"): "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}
"""Where the engine's two processes keep their numbers; a file of a dead process stops the next start."""


def start(address: Address, progress: Callable[..., Any]) -> None:
    """Install the engine if it is not there, and start it; progress gets a line before each step.

    :raises NoEngine: when this machine's engine is not ours to start: not Linux, not root, not the default
        socket, or no apt to install it with; and when it does not answer, with the last lines of its log.
    """
    if (obstacle := _obstacle(address)) is not None:
        raise no_engine(address.url, obstacle)
    if not shutil.which("dockerd"):
        progress("installing the container engine: apt-get install docker.io iptables")
        _install()
    if _answers(address):  # the package starts it where systemd runs
        return
    if Path("/run/systemd/system").is_dir():
        progress("starting the container engine: systemctl start docker")
        subprocess.run(["systemctl", "start", "docker"], capture_output=True, check=False)
        _await(address, None)
        return
    for file, name in PIDS.items():
        if stale(file, name):
            progress(f"removing {file}: its process is gone")
            file.unlink(missing_ok=True)
    progress(f"starting the container engine: dockerd (log: {LOG})")
    _await(address, _dockerd())


def _obstacle(address: Address) -> str | None:
    """Return why this engine cannot be started from here; None when it can be."""
    if address.url != DEFAULT:
        return "nothing listens there, and it is not the default engine of this machine"
    if sys.platform != "linux":
        return "nothing listens there"
    if os.geteuid() != 0:
        return "nothing listens there, and only root may start it"
    if not shutil.which("dockerd") and not (shutil.which("apt-get") and Path("/etc/debian_version").exists()):
        return "no engine is installed, and this is no Debian or Ubuntu"
    return None


def _install() -> None:
    variables = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (("apt-get", "update"), INSTALL):  # an update that fails in part may be enough
        done = subprocess.run(command, env=variables, capture_output=True, encoding="utf-8", check=False)
    if done.returncode or not shutil.which("dockerd"):
        last = " / ".join(done.stderr.strip().splitlines()[-LAST_LINES:])
        raise NoEngine(
            expected="the container engine, installed from Debian's packages",
            seen=last,
            next_step="correct what apt names, then try again",
        )


def stale(file: Path, name: str) -> bool:
    """Return whether a file holds the number of a process that is gone, or is another program than `name`."""
    try:
        pid = int(file.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() != name
    except OSError:
        return True


def _dockerd() -> "subprocess.Popen[bytes]":
    """Start dockerd in a session of its own, so that it outlives this process and the terminal's Ctrl-C."""
    with LOG.open("ab") as log:
        return subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
        )


def _answers(address: Address) -> bool:
    with suppress(NoEngine):
        probe(address)
        return True
    return False


def _await(address: Address, process: "subprocess.Popen[bytes] | None") -> None:
    end = time.monotonic() + ANSWER_S
    while not _answers(address):
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > end:
            raise _silent(ended=ended)
        time.sleep(0.1)
    if process is not None:
        process.returncode = 0  # it outlives this process on purpose, so nobody has to wait for it


def _silent(*, ended: bool) -> NoEngine:
    lines = (
        LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:] if LOG.exists() else []
    )
    seen = "dockerd ended at once" if ended else f"no answer within {ANSWER_S:.0f} s"
    if lines:
        seen = "\n          ".join([f"{seen}; the last lines of its log:", *lines])
    return NoEngine(
        "the container engine answers after its start",
        seen,
        f"correct what the log names: {LOG}; {start_hint()}",
    )

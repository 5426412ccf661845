"""Who a container, network or volume belongs to: a process, or a workspace."""

import atexit
import os
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from labkit.engine._labels import Label
from labkit.engine._locate import Address, locate

PROCESS, WORKSPACE = "process", "workspace"
FIELDS = 5
REAPER = "labkit.engine._reaper"
ABOVE_LABKIT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Owner:
    """The owner of an environment; what it leaves behind when it is gone may be removed.

    text is the label's value: `process:<machine>:<PID namespace>:<pid>:<start time>` or `workspace:<id>`.
    """

    text: str

    @classmethod
    def process(cls) -> Self:
        """Return this process as an owner, and start the reaper that cleans up after it, however it ends."""
        owner = cls(
            ":".join([PROCESS, machine(), namespace(), str(os.getpid()), started_at(os.getpid()) or "0"])
        )
        _watch(owner.text, locate())
        return owner

    @classmethod
    def workspace(cls, identity: str) -> Self:
        """Return a workspace as an owner: what it owns stays until it is cleaned up."""
        return cls(f"{WORKSPACE}:{identity}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the owner that a label names; a text of unknown form is an owner that counts as alive."""
        return cls(text)

    def __str__(self) -> str:
        """Return the label's value."""
        return self.text

    @property
    def kind(self) -> str:
        """Return "process", "workspace" or whatever the text begins with."""
        return self.text.partition(":")[0]

    def alive(self) -> bool:
        """Return whether the owner may still need its things.

        A process is judged only on its own machine and in its own PID namespace, because elsewhere its number
        means another process or none; whoever cannot be judged counts as alive. A workspace is always alive.
        """
        fields = self.text.split(":")
        if len(fields) != FIELDS or fields[0] != PROCESS or not fields[3].isdecimal():
            return True
        _, where, inside, pid, start = fields
        if (where, inside) != (machine(), namespace()):
            return True
        return started_at(int(pid)) == start


@cache
def machine() -> str:
    """Return what tells this machine from others: machine id, else boot id, else the network card's."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id"):
        with suppress(OSError):
            if identity := Path(path).read_text(encoding="utf-8").strip().replace("-", ""):
                return identity
    return f"{uuid.getnode():012x}"


@cache
def namespace() -> str:
    """Return the number of this process's PID namespace, "0" where the system has none."""
    try:
        return "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink()))) or "0"
    except OSError:
        return "0"


def started_at(pid: int) -> str | None:
    """Return when a process started, in the system's own unit; None when it is gone.

    The unit is clock ticks since boot on Linux, else seconds. A zombie is gone: nothing of it can still use a
    container. Source: proc_pid_stat(5), fields 3 and 22.
    """
    return _started_by_proc(pid) if Path("/proc/self/stat").exists() else _started_by_ps(pid)


def _started_by_proc(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _started_by_ps(pid: int) -> str | None:
    listing = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, encoding="utf-8", check=False
    )
    with suppress(ValueError):  # ps prints nothing about a process that is gone
        return str(int(time.mktime(time.strptime(listing.stdout.strip()))))
    return None


_reapers: dict[tuple[str, Address], subprocess.Popen[bytes]] = {}
_starting = threading.Lock()


def _watch(owner: str, address: Address) -> None:
    """Start the reaper of this owner, unless it runs."""
    with _starting:
        running = _reapers.get((owner, address))
        if running is None or running.poll() is not None:
            _reapers[owner, address] = _start_reaper(owner, address)


def _start_reaper(owner: str, address: Address) -> subprocess.Popen[bytes]:
    """Start a reaper in a session of its own, so that the terminal's Ctrl-C does not reach it."""
    # It is to load this labkit, also one that is not installed and was found by the folder of a script.
    path = os.pathsep.join(filter(None, [str(ABOVE_LABKIT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", REAPER, f"{Label.OWNER}={owner}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=os.environ | address.variables() | {"PYTHONPATH": path},
        start_new_session=True,
    )


def _let_go() -> None:
    """Close this process's ends of the pipes: in a forked child they would keep the reaper waiting."""
    for reaper in _reapers.values():
        if reaper.stdin:
            reaper.stdin.close()
        reaper.returncode = 0  # it outlives this process on purpose, so nobody has to wait for it
    _reapers.clear()


os.register_at_fork(after_in_child=_let_go)
atexit.register(_let_go)

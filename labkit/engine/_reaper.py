"""The child process that removes what its owner leaves: `python -m labkit.engine._reaper NAME=VALUE …`.

Standard input is a pipe whose other end only the owner holds; the kernel closes it however the owner ends.
Nothing imports this module: it loads the engine's library at once, so that it can act quickly, and even after
labkit's own files have been replaced.
"""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import docker
from docker.errors import DockerException

from labkit.engine._claim import claimed
from labkit.engine._owned import owned
from labkit.engine._remove import remove
from labkit.errors import LabError

GRACE_S = 0.5
LOOKS = 2
GIVE_UP_S = 60.0
RETRY_S = 1.0


def reap(labels: Mapping[str, str]) -> None:
    """Remove everything with the labels, and what its owner has claimed.

    It ends when two looks, a grace time apart, find nothing. The grace is for what the engine was still
    creating when its owner died.
    """
    client = docker.from_env(use_ssh_client=True)
    targets: list[Mapping[str, str | None]] = []  # kept, because a claim goes with what it names
    looks, found = 0, True
    while found or looks < LOOKS:
        time.sleep(GRACE_S if looks else 0)
        targets += [one for one in claimed(owned(client, labels, ["volume"])) if one not in targets]
        found = bool(sum((remove(client, target, GIVE_UP_S) for target in (*targets, labels)), Counter()))
        looks += 1


def insist(labels: Mapping[str, str]) -> None:
    """Reap; when the engine does not answer, or keeps something, try again for GIVE_UP_S seconds."""
    end = time.monotonic() + GIVE_UP_S
    while time.monotonic() < end:
        with suppress(DockerException, OSError, LabError):  # OSError: requests' errors and time-outs too
            reap(labels)
            return
        time.sleep(RETRY_S)


if __name__ == "__main__":
    given = {name: value for name, _, value in (word.partition("=") for word in sys.argv[1:])}
    sys.stdin.buffer.read()
    insist(given)

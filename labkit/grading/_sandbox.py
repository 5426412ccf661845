"""Learners' code, run where it can do no harm: locked containers, with one submission at a time in each."""

import json
import random
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, Self

from labkit.engine import GRADER, Engine, Locked, StreamEnded, build_images
from labkit.errors import LabError
from labkit.grading._child import LINE_BYTES, OWN_S, Child, Ended, Raised, TookTooLong, lost
from labkit.grading._limits import Limits
from labkit.grading._values import Function, Opaque, Record, Reference
from labkit.system import Limits as ContainerLimits

__all__ = [
    "Child",
    "Ended",
    "Function",
    "Limits",
    "Opaque",
    "Raised",
    "Record",
    "Reference",
    "Sandbox",
    "TookTooLong",
]

ROOT_OF_HOMES = "/tmp"  # noqa: S108 - the container's own
RIGHTS = ("CHOWN", "KILL", "SETGID", "SETUID")
"""What the keeper needs to give a home away, to become another user, and to end that user's processes."""

BESIDE = 2
"""Threads for what need not be waited for: the start of the next container, and the end of the one before."""

USERS = range(20_000, 60_000)
"""The numbers of users that submissions get. An engine that maps users has none beyond 65,535."""


class Sandbox:
    """A place for submissions, one at a time; see `submission`. Its image is built when it is missing.

    fresh: each submission gets a new container; else all share one, each with a user and a home of its own,
    and nothing left of the one before.

    :raises LabError: when the engine cannot do it.
    """

    def __init__(self, engine: Engine, *, fresh: bool = True, limits: Limits | None = None) -> None:
        self._engine, self._fresh, self._limits = engine, fresh, limits or Limits()
        self._container: Locked | None = None
        self._next: Future[Locked] | None = None
        self._closing = list[Future[None]]()
        self._beside = ThreadPoolExecutor(BESIDE, thread_name_prefix="labkit-sandbox")
        self._users = count(random.randrange(len(USERS)))  # noqa: S311 - two containers differ, no secret
        self._busy = threading.Lock()

    def __enter__(self) -> Self:
        build_images(engine=self._engine, only=[GRADER])
        return self

    def __exit__(self, *_: object) -> None:
        with self._beside:
            self._throw_away()
            if self._next:
                with suppress(LabError):  # it was never needed
                    self._close(self._next.result())
        for closed in self._closing:
            closed.result()

    @contextmanager
    def submission(self) -> Iterator[Child]:
        """Yield a new process for learners' code, and end it and all that it began.

        :raises LabError: when the container cannot be started; so do the child's verbs when it fails.
        :raises RuntimeError: when a submission is in this sandbox now.
        """
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("one submission at a time: take another Sandbox for another thread")
        try:
            container = self._container = self._container or self._take()
            child = Child(container, self._limits)
            self._begin(container)
            yield child
        finally:
            try:
                self._finish()
            finally:
                self._busy.release()

    def _take(self) -> Locked:
        """Return a new container; where each submission gets one, begin to start the next beside it."""
        if not self._fresh:
            return self._start()
        ready, self._next = self._next, None
        container = ready.result() if ready else self._start()
        self._next = self._beside.submit(self._start)
        return container

    def _start(self) -> Locked:
        limits = self._limits
        files = f"size={limits.home_bytes},nr_inodes={limits.home_files},mode=0711"
        return self._engine.locked(
            GRADER,
            limits=ContainerLimits(limits.container_bytes, limits.container_processes, limits.processors),
            capabilities=RIGHTS,
            folder={ROOT_OF_HOMES: files},
        )

    def _begin(self, container: Locked) -> None:
        uid = USERS[next(self._users) % len(USERS)]
        begin = {"uid": uid, "home": secrets.token_hex(8), "limits": _limits_inside(self._limits)}
        try:
            container.write(json.dumps(begin).encode() + b"\n", OWN_S)
        except (StreamEnded, TimeoutError) as problem:
            raise lost(problem) from problem

    def _finish(self) -> None:
        """End the submission; throw the container away unless it is clean and may be used again."""
        container = self._container
        clean = False
        if container is not None and not self._fresh:
            with suppress(StreamEnded, TimeoutError, ValueError, KeyError):
                container.write(b"e0\n", OWN_S)
                clean = _left(container) == ""
        if not clean:
            self._throw_away()

    def _throw_away(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            self._close(container)

    def _close(self, container: Locked) -> None:
        """Remove a container beside the next submission; what went wrong with one before is raised now."""
        for closed in [one for one in self._closing if one.done()]:
            self._closing.remove(closed)
            closed.result()
        self._closing.append(self._beside.submit(container.close))


def _left(container: Locked) -> str:
    """Return what the keeper says is left; answers on the way there are the child's, which nobody awaits."""
    while not (line := container.line(LINE_BYTES, OWN_S)).startswith(b"k "):
        pass
    return str(json.loads(line[2:])["left"])


def _limits_inside(limits: Limits) -> dict[str, Any]:
    resources = {
        "RLIMIT_CPU": limits.processor_s,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    return {"call_s": limits.call_s, "line_bytes": LINE_BYTES, "resources": resources}

"""Runs a command in a container, with a time-out, and gathers its output."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from docker import APIClient
from docker.utils.socket import STDERR, frames_iter

from labkit.engine import Completed

TIMED_OUT = 124
"""The exit code of timeout(1) for a command that it ended."""

KILLED = 137
"""The exit code of a command that was killed, because it did not end when timeout(1) told it to."""


def execute(
    api: APIClient,
    container: str,
    command: Sequence[str],
    workdir: str,
    variables: Mapping[str, str],
    timeout_s: float,
) -> Completed:
    """Run a command in a running container and return its result; timeout(1) ends it after timeout_s seconds.

    :raises docker.errors.APIError: when the container does not run.
    """
    limited = ["timeout", "--kill-after=2", f"{timeout_s:g}", *command]
    started = time.monotonic()
    run = api.exec_create(container, limited, workdir=workdir, environment=dict(variables))["Id"]
    output, errors = _gather(api.exec_start(run, socket=True))
    code = api.exec_inspect(run)["ExitCode"]
    code = KILLED if code is None else int(code)  # None: the whole container ended meanwhile
    seconds = time.monotonic() - started
    timed_out = code in {TIMED_OUT, KILLED} and seconds >= timeout_s
    return Completed(TIMED_OUT if timed_out else code, output, errors, seconds, timed_out)


def _gather(connection: Any) -> tuple[str, str]:  # noqa: ANN401 - the library's kind of socket
    """Read a command's output to its end; return both streams in their order, and standard error alone."""
    both, errors = bytearray(), bytearray()
    try:
        for stream, chunk in frames_iter(connection, tty=False):
            both += chunk
            errors += chunk if stream == STDERR else b""
    finally:
        getattr(connection, "_response", connection).close()  # the library hides the open response there
    return both.decode(errors="replace"), errors.decode(errors="replace")

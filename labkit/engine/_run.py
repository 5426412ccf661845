"""Run one container to its end: files in, output out, nothing left."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labkit._tar import Files, pack
from labkit.engine._inspect import image_missing, members

if TYPE_CHECKING:
    from docker import DockerClient

TIMED_OUT = 124
"""The exit code of a command that ran into its deadline, as in timeout(1)."""


@dataclass(frozen=True)
class Completed:
    """The result of a command in a container.

    exit_code is the command's, 124 when the deadline ended it (timed_out tells the two apart). output is
    standard output and standard error as they came, errors only the latter. files are the ones asked for by
    `collect`, by absolute path; what was not there is left out. seconds is the wall time from start to end.
    """

    exit_code: int
    output: str
    errors: str
    seconds: float
    timed_out: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Return whether the command ended by itself with exit code 0."""
        return self.exit_code == 0 and not self.timed_out


def run(
    client: "DockerClient",
    image: str,
    command: Sequence[str] | str,
    *,
    files: Files,
    collect: Sequence[str],
    timeout_s: float,
    **settings: Any,  # noqa: ANN401 - as the engine's library takes them
) -> Completed:
    """Create, fill, start, await and remove one container; see Engine.run."""
    with _created(client, image, command, settings) as container:
        if files:
            container.put_archive("/", pack(files, times=True))
        started = time.monotonic()
        container.start()
        code = _wait(client, container, timeout_s)
        seconds = time.monotonic() - started
        output, errors = (
            container.logs(stdout=out, stderr=True).decode(errors="replace") for out in (True, False)
        )
        collected = {path: content for path in collect for path, content in collect_from(container, path)}
        return Completed(
            exit_code=TIMED_OUT if code is None else code,
            output=output,
            errors=errors,
            seconds=seconds,
            timed_out=code is None,
            files=collected,
        )


@contextmanager
def _created(
    client: "DockerClient", image: str, command: Sequence[str] | str, settings: dict[str, Any]
) -> Iterator[Any]:
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        container = client.containers.create(image, command, **settings)
    except docker.errors.ImageNotFound as problem:
        raise image_missing(image) from problem
    try:
        yield container
    finally:
        with suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)


def _wait(client: "DockerClient", container: Any, timeout_s: float) -> int | None:  # noqa: ANN401 - untyped library
    """Wait for the container's end; None when the deadline came first, then the container is killed."""
    import docker.errors  # noqa: PLC0415 - loaded with the client
    import requests.exceptions  # noqa: PLC0415 - it comes with the engine's library

    # A wait that takes too long ends in either of the two errors, and a lost engine in the second one too.
    try:
        return int(container.wait(timeout=timeout_s)["StatusCode"])
    except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError) as problem:
        if not client.ping():
            raise
        if "timed out" not in str(problem).lower():
            raise
    with suppress(docker.errors.APIError):  # it ended by itself in this moment
        container.kill()
    return None


def collect_from(container: Any, path: str) -> Iterator[tuple[str, bytes]]:  # noqa: ANN401 - untyped library
    """Yield (absolute path, content) of a file, or of every file under a folder."""
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        chunks, _ = container.get_archive(path)
    except docker.errors.NotFound:
        return
    above = path.rstrip("/").rpartition("/")[0]
    for member, tar in members(chunks):
        if member.isfile() and (file := tar.extractfile(member)):
            yield f"{above}/{member.name}", file.read()

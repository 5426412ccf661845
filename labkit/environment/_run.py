"""Runs commands inside a container that stays: a module's, or the harness in an environment's network."""

import io
import tarfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from docker.utils.socket import STDERR, frames_iter

from labkit.engine import Completed, Engine, is_source
from labkit.environment._part import refusals

STAY = ["sleep", "infinity"]
TIMEOUT_S = 600.0
TIMED_OUT = 124
KILLED = 137

Files = Mapping[str, bytes | Path]


def put(engine: Engine, container: str, folder: str, files: Files) -> None:
    """Copy files into a folder of a container, making the folder; a Path that is a folder is taken whole."""
    store = io.BytesIO()
    with tarfile.open(fileobj=store, mode="w") as tar:
        entry = tarfile.TarInfo(folder.strip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
        for name, content in files.items():
            target = str(PurePosixPath(folder.strip("/")) / name)
            if isinstance(content, bytes):
                file = tarfile.TarInfo(target)
                file.size, file.mode, file.mtime = len(content), 0o644, int(time.time())
                tar.addfile(file, io.BytesIO(content))
            else:
                tar.add(content, target, filter=_kept)
    with refusals(engine, "files are copied into the container"):
        engine.client.api.put_archive(container, "/", store.getvalue())


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not is_source(PurePosixPath(entry.name)):
        return None
    entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, "", ""
    return entry


def execute(
    engine: Engine,
    container: str,
    command: Sequence[str] | str,
    *,
    workdir: str,
    variables: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Completed:
    """Run a command (a str is one for sh) in a running container and return what came of it.

    After timeout_s seconds it is ended by timeout(1), and the answer says timed_out.
    """
    words = ["sh", "-c", command] if isinstance(command, str) else list(command)
    limited = ["timeout", "--kill-after=2", f"{timeout_s:g}", *words]
    api = engine.client.api
    started = time.monotonic()
    with refusals(engine, f"{words[0]} runs in the container"):
        run = api.exec_create(container, limited, workdir=workdir, environment=dict(variables or {}))["Id"]
        output, errors = _gather(api.exec_start(run, socket=True))
        code = int(api.exec_inspect(run)["ExitCode"])
    seconds = time.monotonic() - started
    timed_out = code in {TIMED_OUT, KILLED} and seconds >= timeout_s
    return Completed(TIMED_OUT if timed_out else code, output, errors, seconds, timed_out)


def _gather(line: Any) -> tuple[str, str]:  # noqa: ANN401 - the library's kind of socket
    """Read a command's output to its end: both streams as they came, and standard error alone."""
    both, errors = bytearray(), bytearray()
    try:
        for stream, chunk in frames_iter(line, tty=False):
            both += chunk
            errors += chunk if stream == STDERR else b""
    finally:
        getattr(line, "_response", line).close()  # the library keeps the answer there, and leaves it open
    return both.decode(errors="replace"), errors.decode(errors="replace")


def fresh_folder() -> str:
    """Return a folder that no other run in the container uses."""
    return f"/work/{uuid.uuid4().hex[:8]}"


def read_file(engine: Engine, container: str, path: str) -> bytes:
    """Return a file of a container."""
    with refusals(engine, f"{path} is read"):
        chunks, _ = engine.client.api.get_archive(container, path)
        store = io.BytesIO(b"".join(chunks))
    with tarfile.open(fileobj=store) as tar:
        file = tar.extractfile(tar.next() or "")
        return file.read() if file else b""

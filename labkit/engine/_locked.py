"""A locked container: no network, nothing to write on but one small folder, and one stream in and out."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from labkit.engine._errors import answering
from labkit.engine._inspect import image_missing
from labkit.engine._limits import restricted
from labkit.system import Limits

if TYPE_CHECKING:
    from docker import DockerClient

NO_LOG = {"type": "none", "config": {}}
HEADER_BYTES = 8
"""Before each piece of output: a byte for the stream, three of zero, four for the length, highest first.
Source: the engine's API, "Attach to a container"."""

CHUNK_BYTES = 1 << 16

NO_SHARED_MEMORY = {"kernel.shmmni": "0", "kernel.msgmni": "0", "kernel.sem": "0 0 0 0"}
"""What System V shares between processes outlives them, so that none of it can be made. Source: sysctl(5)."""


class StreamEnded(Exception):
    """A locked container's output has ended, because its main process did, or the connection."""


class Locked:
    """A running container whose main process reads standard input and answers on standard output.

    Its standard input ends when this end is closed, or its process dies.
    """

    def __init__(self, client: "DockerClient", container: Any, stream: Any, address: str) -> None:  # noqa: ANN401 - untyped library
        self._client, self._container, self._stream, self._address = client, container, stream, address
        self._socket = getattr(stream, "_sock", stream)
        self._framed, self._output = bytearray(), bytearray()

    @classmethod
    def start(
        cls,
        client: "DockerClient",
        address: str,
        image: str,
        *,
        limits: Limits,
        capabilities: Sequence[str],
        folder: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> Self:
        """Create, attach to and start a container; see Engine.locked."""
        import docker.errors  # noqa: PLC0415 - loaded with the client

        settings = {
            "network_mode": "none",
            "ipc_mode": "none",
            "read_only": True,
            "tmpfs": dict(folder),
            "sysctls": NO_SHARED_MEMORY,
            "stdin_open": True,
            "labels": dict(labels),
        }
        try:
            container = client.containers.create(
                image, **restricted(settings, limits, capabilities, logs=NO_LOG)
            )
        except docker.errors.ImageNotFound as problem:
            raise image_missing(image) from problem
        try:
            wanted = {"stdin": 1, "stdout": 1, "stream": 1}
            stream = client.api.attach_socket(container.id, params=wanted)
            container.start()
        except BaseException:
            container.remove(force=True, v=True)
            raise
        return cls(client, container, stream, address)

    @property
    def id(self) -> str:
        """The engine's number of the container."""
        return str(self._container.id)

    def write(self, data: bytes, within_s: float) -> None:
        """Write to its standard input.

        :raises StreamEnded: when nobody reads there any more.
        :raises TimeoutError: when it was not read within within_s seconds.
        """
        try:
            self._socket.settimeout(within_s)
            self._socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as problem:
            raise StreamEnded(str(problem)) from problem

    def line(self, most_bytes: int, within_s: float) -> bytes:
        """Return the next line of its standard output, without its end.

        :raises StreamEnded: when the output ended before.
        :raises TimeoutError: when no whole line came within within_s seconds.
        :raises ValueError: when it has more than most_bytes.
        """
        end = time.monotonic() + within_s
        searched = 0
        while (at := self._output.find(b"\n", searched)) < 0:
            searched = len(self._output)
            if searched > most_bytes:
                raise ValueError(f"more than {most_bytes} bytes in a line")
            self._receive(end - time.monotonic())
        line = bytes(self._output[:at])
        del self._output[: at + 1]
        return line

    def _receive(self, within_s: float) -> None:
        if within_s <= 0:
            raise TimeoutError
        try:
            self._socket.settimeout(within_s)
            received = self._socket.recv(CHUNK_BYTES)
        except TimeoutError:
            raise
        except OSError as problem:
            raise StreamEnded(str(problem)) from problem
        if not received:
            raise StreamEnded("the end of its output")
        self._framed += received
        while len(self._framed) >= HEADER_BYTES:
            whole = HEADER_BYTES + int.from_bytes(self._framed[4:HEADER_BYTES], "big")
            if len(self._framed) < whole:
                break
            self._output += self._framed[HEADER_BYTES:whole]
            del self._framed[:whole]

    def out_of_memory(self) -> bool:
        """Return whether the engine's machine ended its main process because of its limit on memory."""
        with answering(self._address):
            fields: dict[str, Any] = self._client.api.inspect_container(self.id)
        return bool(fields["State"]["OOMKilled"])

    def close(self) -> None:
        """End and remove the container, with everything in it."""
        import docker.errors  # noqa: PLC0415 - loaded with the client

        with suppress(OSError):
            getattr(self._stream, "_response", self._stream).close()  # where the library hides what is open
            self._stream.close()
        with answering(self._address), suppress(docker.errors.NotFound):
            self._container.remove(force=True, v=True)

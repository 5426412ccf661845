"""What the engine tells about an image, and the files in it."""

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Any

from labkit.engine._errors import ImageMissing

if TYPE_CHECKING:
    from docker import DockerClient

BUFFER_BYTES = 1 << 20
RYUK = "testcontainers/ryuk"
"""What testcontainers starts beside a user's own containers, to remove them; labkit has no such image."""


@dataclass(frozen=True)
class Image:
    """An image in the engine.

    digest is the engine's own, "sha256:…", over the image's configuration and layers; size_bytes counts all
    layers. layers are their own digests, the lowest first: an image begins with the layers of its base.
    on_build are the instructions that a build begins with which starts from it.
    """

    ref: str
    digest: str
    created_at: datetime
    size_bytes: int
    architecture: str
    labels: Mapping[str, str] = field(hash=False)
    environment: Mapping[str, str] = field(hash=False)
    layers: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()


def image(client: "DockerClient", ref: str) -> Image:
    """Return what the engine tells about an image.

    :raises ImageMissing: when the engine does not have it, or that can be no image's name.
    """
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        fields: dict[str, Any] = client.api.inspect_image(ref)
    except docker.errors.APIError as problem:
        if not problem.is_client_error():
            raise
        raise image_missing(ref) from problem
    settings = fields.get("Config") or {}
    return Image(
        ref=ref,
        digest=fields["Id"],
        created_at=_time(fields["Created"]),
        size_bytes=fields["Size"],
        architecture=fields["Architecture"],
        labels=settings.get("Labels") or {},
        environment=dict(pair.split("=", 1) for pair in settings.get("Env") or [] if "=" in pair),
        layers=tuple((fields.get("RootFS") or {}).get("Layers") or ()),
        on_build=tuple(settings.get("OnBuild") or ()),
    )


def image_missing(ref: str) -> ImageMissing:
    """Return the error for an image that the engine does not have, with the step that brings it."""
    return ImageMissing(f"the image {ref} in the container engine", "no such image", _step(ref))


def _step(ref: str) -> str:
    if ref.startswith(("labkit/", "debian:")):
        return "labkit images build, or labkit images load FILE"
    if RYUK in ref:
        return f"export TESTCONTAINERS_RYUK_DISABLED=true, then start Python again; or docker pull {ref}"
    return f"docker pull {ref}, or check its name"


def _time(text: str) -> datetime:
    """Read the engine's time, which may have nine digits after the second."""
    seconds, _, _ = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(seconds).replace(tzinfo=UTC)


class _Chunks(RawIOBase):
    """A stream of byte chunks as a file that can be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever RawIOBase hands in
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def members(chunks: Iterator[bytes]) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Yield each member of a tar stream with the open archive; read a member before asking for the next."""
    with tarfile.open(fileobj=BufferedReader(_Chunks(chunks), BUFFER_BYTES), mode="r|") as archive:
        for member in archive:
            yield member, archive
    for _ in chunks:  # what follows the archive's end, so that the connection can be used again
        pass


@contextmanager
def unstarted(client: "DockerClient", ref: str, labels: Mapping[str, str]) -> Iterator[Any]:
    """Create a container of an image without starting it, to read its files; it is always removed."""
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        made = client.containers.create(ref, ["true"], labels=dict(labels), network_mode="none")
    except docker.errors.ImageNotFound as problem:
        raise image_missing(ref) from problem
    try:
        yield made
    finally:
        made.remove(force=True, v=True)

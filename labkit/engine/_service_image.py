"""The image of a service: built from its folder, without a network, once for each state of the source."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath
from threading import Event
from typing import TYPE_CHECKING

from labkit._lock_file import open_lock, taken
from labkit._tar import pack
from labkit._uninterruptible import Stopped
from labkit.engine._build import build
from labkit.engine._cache import cache
from labkit.engine._dockerfile import Dockerfile, check_dockerfile
from labkit.engine._errors import ImageMissing
from labkit.engine._inspect import Image
from labkit.engine._labels import Label
from labkit.engine._limits import BUILD_S
from labkit.engine._made import is_made, remember_made
from labkit.errors import LabError
from labkit.system import System

if TYPE_CHECKING:
    from labkit.engine._engine import Engine

BUILDERS = 2
SHORT = 12
LOCK = "builds.lock"
LOOK_S = 0.1
OTHERS_S = 600.0
"""How long a build waits for those of other processes, in seconds."""

Progress = Callable[[str], object]
"""Hears a sentence about what is being done."""

LEFT_OUT = {
    "__pycache__",
    ".git",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".venv",
    ".ipynb_checkpoints",
}


def is_source(path: PurePath) -> bool:
    """Return whether a path inside of a service's folder is source, not what tools leave there."""
    return not LEFT_OUT & set(path.parts)


def build_service_image(
    engine: "Engine",
    source: Path | bytes,
    tag: str,
    labels: Mapping[str, str] | None = None,
    *,
    within_s: float = BUILD_S,
) -> Image:
    """Build a service's image by the Dockerfile in its folder and return it.

    source is the folder, or a tar of it (as `git archive` makes). labels None means none. The build has no
    network. Its first stage keeps the tag `<name>:stage-1`, so that a build after a change of code alone
    takes its dependencies from there.

    :raises BuildFailed: when the build ends with an error; it has the build's last lines. Also, before the
        build, when the Dockerfile adds an address, or could hide one.
    :raises ImageMissing: when an image that it starts or copies from is not there; none is pulled.
    """
    context = source if isinstance(source, bytes) else _context(source)
    check_dockerfile(engine, context)
    return build(engine, context, tag, labels or {}, network="none", keep_stages=True, within_s=within_s)


def _context(folder: Path) -> bytes:
    """Return a folder's tar without times, so that the builder's cache sees only changes of content."""
    return pack({"": folder}, include=is_source)


@dataclass(frozen=True)
class ServiceImage:
    """A service's image, the SHA-256 of its source, its Dockerfile, and whether the image existed already."""

    image: Image
    source: str
    dockerfile: Dockerfile
    reused: bool


def source_digest(folder: Path) -> str:
    """Return the SHA-256, as hexadecimal digits, over a folder's files without what tools leave there.

    Whether a file can be executed, where a link leads, and folders count too: all are in what a build gets.
    """
    whole = sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if is_source(inside):
            whole.update(f"{inside.as_posix()}\0".encode() + _content(path))
    return whole.hexdigest()


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return f"link to {path.readlink()}\0".encode()
    if not path.is_file():
        return b"folder\0"
    kind = b"program" if path.stat().st_mode & 0o100 else b"file"
    return kind + sha256(path.read_bytes()).digest()


def service_image(
    engine: "Engine",
    system: System,
    name: str,
    folder: Path,
    labels: Mapping[str, str] | None = None,
    *,
    progress: Progress = lambda _: None,
) -> ServiceImage:
    """Return the image of a service, built from a folder unless its source and its bases are unchanged.

    Its tag and version are the start of its source's digest. It is known by its own digest: what another
    program gave this tag is built again. labels are added to labkit's own when it is built; None adds none.
    progress gets a line when it is built.

    :raises BuildFailed: as build_service_image.
    :raises ImageMissing: as build_service_image.
    """
    source, context = source_digest(system.root / folder), _context(system.root / folder)
    dockerfile = check_dockerfile(engine, context)
    tag = f"labkit/{system.name}-{name}:{source[:SHORT]}"
    made_from = " ".join([tag, source, *(engine.image(one).digest for one in dockerfile.images)])
    with suppress(ImageMissing):
        if is_made(made_from, (present := engine.image(tag)).digest):
            return ServiceImage(present, source, dockerfile, reused=True)
    own = {str(Label.VERSION): source[:SHORT], str(Label.SOURCE): f"sha256:{source}"}
    progress(f"building the image of {name}")
    made = build_service_image(engine, context, tag, {**(labels or {}), **own})
    remember_made(made_from, made.digest)
    return ServiceImage(made, source, dockerfile, reused=False)


def image_versions(engine: "Engine", images: Mapping[str, str]) -> dict[str, str]:
    """Return the version of each image: its version label, else its tag.

    :raises ImageMissing: when the engine does not have one.
    """
    labels = {ref: engine.image(ref).labels for ref in dict.fromkeys(images.values())}
    return {name: labels[ref].get(Label.VERSION) or ref.rpartition(":")[2] for name, ref in images.items()}


def build_service_images(
    engine: "Engine", system: System, folders: Mapping[str, Path], progress: Progress, stop: Event
) -> dict[str, str]:
    """Return the image of each folder by name; those whose source has changed are built, two at a time.

    :raises Stopped: when stop was set; a build that has begun is finished first.
    """

    def one(item: tuple[str, Path]) -> str:
        if stop.is_set():
            raise Stopped
        return service_image(engine, system, *item, progress=progress).image.ref

    if not folders:
        return {}
    with (
        one_builder(progress, stop),
        ThreadPoolExecutor(BUILDERS, thread_name_prefix="labkit-build") as pool,
    ):
        return dict(zip(folders, pool.map(one, folders.items()), strict=True))


@contextmanager
def one_builder(
    progress: Progress = lambda _: None, stop: Event | None = None, within_s: float = OTHERS_S
) -> Iterator[None]:
    """Let one process at a time build services: two processes would make two digests of the same source.

    progress gets a line when another process is waited for. stop ends the wait early; None means that nothing
    does.

    :raises LabError: when another process still builds after within_s seconds.
    :raises Stopped: when stop was set during the wait.
    """
    # In the user's own folder, because a lock that others can open they can also hold.
    stop, end = stop or Event(), time.monotonic() + within_s
    # The kernel frees the lock when its process ends, however it ends.
    with open_lock(cache() / LOCK) as file:
        if not taken(file):
            progress("waiting until another process has built its images")
        while not taken(file):
            if time.monotonic() > end:
                expected = f"other processes finish building images within {within_s:g} s"
                next_step = f"see who builds (fuser {cache() / LOCK}), wait for it or end it, then try again"
                raise LabError(expected, "one still builds", next_step)
            if stop.wait(LOOK_S):
                raise Stopped
        yield

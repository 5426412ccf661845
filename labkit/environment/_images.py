"""The images of the system's own services: built from its folders when nobody gave any."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

from labkit.engine import PYTHON, Engine, Image, ImageMissing, Label, build_service_image, is_source
from labkit.errors import LabError
from labkit.system import System

BUILDERS = 2
SHORT = 12


@dataclass(frozen=True)
class ServiceImage:
    """A service's image, the SHA-256 of the source that it is of, and whether it was there already."""

    image: Image
    source: str
    reused: bool


def source_digest(folder: Path) -> str:
    """Return the SHA-256, as hexadecimal digits, over a folder's files without what tools leave there."""
    whole = sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and is_source(inside):
            whole.update(f"{inside.as_posix()}\0".encode() + sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def service_images(
    engine: Engine, system: System, stage: str, images: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the image of each service of a stage: as given, else built from the system's folders.

    :raises LabError: when images were given and one is missing or is of no service.
    """
    needed = [service.name for service in system.services_of(stage)]
    if images is None:
        return build(engine, system, {name: Path(system.services[name].path) for name in needed})
    for name in images:
        if name not in system.services:
            raise LabError(
                f"images of services: {', '.join(system.services)}", repr(name), f"take {name} out of images"
            )
    if missing := [name for name in needed if name not in images]:
        raise LabError(
            f"an image of each of {', '.join(needed)}", f"none of {', '.join(missing)}", "give it in images"
        )
    return {name: images[name] for name in needed}


def build(engine: Engine, system: System, folders: Mapping[str, Path]) -> dict[str, str]:
    """Build an image from each folder, two at a time; one whose source is unchanged is there already."""

    def one(item: tuple[str, Path]) -> str:
        return service_image(engine, system, *item).image.ref

    with one_builder(), ThreadPoolExecutor(BUILDERS, thread_name_prefix="labkit-build") as pool:
        return dict(zip(folders, pool.map(one, folders.items()), strict=True))


@contextmanager
def one_builder() -> Iterator[None]:
    """Let one process at a time build services: of one source they would make two digests."""
    with (Path(gettempdir()) / f"labkit-{os.getuid()}-builds.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # goes with its process, however that ends
        yield


def service_image(
    engine: Engine, system: System, name: str, folder: Path, labels: Mapping[str, str] | None = None
) -> ServiceImage:
    """Return the image of a service, built from a folder unless its source and its base are unchanged.

    Its tag and version are the start of its source's digest. labels go onto it beside those of labkit when it
    is built.

    :raises BuildFailed: with the last lines of what the build said.
    """
    source = source_digest(system.root / folder)
    tag = f"labkit/{system.name}-{name}:{source[:SHORT]}"
    with suppress(ImageMissing):
        if _on_present_base(engine, found := engine.image(tag)):
            return ServiceImage(found, source, reused=True)
    own = {str(Label.VERSION): source[:SHORT], str(Label.SOURCE): f"sha256:{source}"}
    made = build_service_image(engine, system.root / folder, tag, {**(labels or {}), **own})
    return ServiceImage(made, source, reused=False)


def _on_present_base(engine: Engine, image: Image) -> bool:
    """Tell whether an image, which has its base's labels too, was built on labkit/python as it is now."""
    base = image.labels.get(Label.RECIPE)
    return base is None or base == engine.image(PYTHON).labels.get(Label.RECIPE)


def versions(engine: Engine, images: Mapping[str, str]) -> dict[str, str]:
    """Return the version that each image says it is; every image has to be there.

    :raises ImageMissing: when the engine does not have one; nothing was started by then.
    """
    found = {ref: engine.image(ref).labels for ref in dict.fromkeys(images.values())}
    return {name: found[ref].get(Label.VERSION) or ref.rpartition(":")[2] for name, ref in images.items()}

"""The images of the system's own services: built from its folders when nobody gave any."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from labkit.engine import Engine, ImageMissing, Label, build_service_image
from labkit.errors import LabError
from labkit.system import System

BUILDERS = 2
LEFT_OUT = {
    "__pycache__",
    ".git",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".venv",
    ".ipynb_checkpoints",
}
SHORT = 12


def source_digest(folder: Path) -> str:
    """Return the SHA-256, as hexadecimal digits, over a folder's files without what tools leave there."""
    whole = sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not LEFT_OUT & set(inside.parts):
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
        name, folder = item
        source = source_digest(system.root / folder)
        tag = f"labkit/{system.name}-{name}:{source[:SHORT]}"
        try:
            engine.image(tag)
        except ImageMissing:
            labels = {Label.VERSION: source[:SHORT], Label.SOURCE: f"sha256:{source}"}
            build_service_image(engine, system.root / folder, tag, {str(k): v for k, v in labels.items()})
        return tag

    with ThreadPoolExecutor(BUILDERS, thread_name_prefix="labkit-build") as pool:
        return dict(zip(folders, pool.map(one, folders.items()), strict=True))


def versions(engine: Engine, images: Mapping[str, str]) -> dict[str, str]:
    """Return the version that each image says it is; every image has to be there.

    :raises ImageMissing: when the engine does not have one; nothing was started by then.
    """
    found = {ref: engine.image(ref).labels for ref in dict.fromkeys(images.values())}
    return {name: found[ref].get(Label.VERSION) or ref.rpartition(":")[2] for name, ref in images.items()}

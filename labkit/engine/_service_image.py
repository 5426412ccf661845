"""Build the image of a service from its folder: two stages, no network, the wheelhouse of labkit/build."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from labkit.engine._build import build
from labkit.engine._inspect import Image

if TYPE_CHECKING:
    from labkit.engine._engine import Engine

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
    """Tell whether a path inside of a service's folder is source, not what tools leave there."""
    return not LEFT_OUT & set(path.parts)


def build_service_image(
    engine: "Engine", source: Path | bytes, tag: str, labels: Mapping[str, str] | None = None
) -> Image:
    """Build a service's image by the Dockerfile in its folder and return it.

    source is the folder, or a tar of it (as `git archive` makes). The build has no network. Its first
    stage keeps the tag `<name>:stage-1`, so that a build after a change of code alone takes its dependencies
    from there.

    :raises BuildFailed: with the last lines of what the build said.
    :raises ImageMissing: when labkit/build:1 or labkit/python:1 is not there.
    """
    context = source if isinstance(source, bytes) else _tar(source)
    return build(engine, context, tag, labels or {}, network="none", keep_stages=True)


def _tar(folder: Path) -> bytes:
    """Return a tar of a folder without times, owners and what tools leave there, in a fixed order."""
    store = io.BytesIO()

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if not is_source(PurePath(entry.name)):
            return None
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
        return entry

    with tarfile.open(fileobj=store, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name, filter=kept)
    return store.getvalue()

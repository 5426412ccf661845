"""Build the image of a service from its folder: two stages, no network, the wheelhouse of labkit/build."""

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from labkit._tar import pack
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
    """Return whether a path inside of a service's folder is source, not what tools leave there."""
    return not LEFT_OUT & set(path.parts)


def build_service_image(
    engine: "Engine", source: Path | bytes, tag: str, labels: Mapping[str, str] | None = None
) -> Image:
    """Build a service's image by the Dockerfile in its folder and return it.

    source is the folder, or a tar of it (as `git archive` makes). labels None means none. The build has no
    network. Its first stage keeps the tag `<name>:stage-1`, so that a build after a change of code alone
    takes its dependencies from there.

    :raises BuildFailed: when the build ends with an error; it has the build's last lines.
    :raises ImageMissing: when labkit/build:1 or labkit/python:1 is not there.
    """
    # Without times, so that the builder's cache sees only changes of content.
    context = source if isinstance(source, bytes) else pack({"": source}, wanted=is_source)
    return build(engine, context, tag, labels or {}, network="none", keep_stages=True)

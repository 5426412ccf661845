"""One file with all images, for a classroom without a network."""

import gzip
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from labkit.engine._build import discard
from labkit.engine._engine import Engine
from labkit.engine._errors import ImageMissing
from labkit.engine._images import images_missing
from labkit.engine._inspect import image_missing
from labkit.engine._labels import BASE, BUILD, PYTHON, SERVERS
from labkit.errors import LabError

ALL = (BASE, SERVERS, PYTHON, BUILD)
CHUNK_BYTES = 1 << 20
MANIFEST = "manifest.json"
"""The file by which the engine knows the names of the images in a bundle."""


def save_images(file: Path | str, engine: Engine | None = None) -> None:
    """Save the base and labkit's images, wheelhouse included, into one file that `docker load` reads too.

    engine None means the one that Engine.find returns.

    :raises ImageMissing: when an image is missing or out of date.
    :raises LabError: when the file cannot be written; then no half file is left.
    """
    engine, file = engine or Engine.find(), Path(file)
    engine.image(BASE)
    if missing := images_missing(engine):
        raise image_missing(missing[0])
    partial = file.with_name(file.name + ".part")
    try:
        with gzip.open(partial, "wb", compresslevel=1) as bundle:
            for chunk in _saved(engine):
                bundle.write(chunk)
        partial.replace(file)
    except OSError as problem:
        raise LabError(
            expected=f"{file} can be written", seen=str(problem), next_step="choose a folder with 1 GB free"
        ) from problem
    finally:
        partial.unlink(missing_ok=True)


def _saved(engine: Engine) -> Iterator[bytes]:
    """Stream all images in one tar, so that a layer that several share is in it once."""
    api = engine.client.api
    names = {"names": list(ALL)}
    response = api._get(api._url("/images/get"), params=names, stream=True)  # noqa: SLF001 - the public method saves one image a tar
    api._raise_for_status(response)  # noqa: SLF001 - the public method does that too
    chunks: Iterator[bytes] = response.iter_content(CHUNK_BYTES)
    return chunks


def load_images(file: Path | str, engine: Engine | None = None) -> None:
    """Load the images of a file that save_images wrote; what they replace is removed.

    engine None means the one that Engine.find returns.

    :raises LabError: when the file is no such file, holds the images of another version of labkit, or holds
        other images too: then nothing is loaded.
    """
    engine, file = engine or Engine.find(), Path(file)
    before = _digests(engine)
    _refuse_foreign(file)
    try:
        with gzip.open(file, "rb") as bundle:
            names = _loaded(engine, bundle)
    except (OSError, EOFError) as problem:
        raise _unreadable(file, str(problem)) from problem
    for digest in before - _digests(engine):
        discard(engine, digest)
    if missing := images_missing(engine):
        other = f"{', '.join(missing)} differ from this version's recipes"
        raise LabError(
            expected=f"{file} holds the images of this version of labkit",
            seen=other if names else "no image in the file",
            next_step="labkit images build where there is a network, or a file of this version",
        )


def _refuse_foreign(file: Path) -> None:
    """Refuse a file that would bring, or replace, images that are not labkit's."""
    names: list[str] = []
    try:
        with tarfile.open(file, "r|gz") as bundle:
            for member in bundle:
                if member.name.removeprefix("./") == MANIFEST and (content := bundle.extractfile(member)):
                    names += [tag for image in json.load(content) for tag in image["RepoTags"] or ()]
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError, KeyError, TypeError) as problem:
        raise _unreadable(file, str(problem)) from problem
    if foreign := sorted({*names} - {*ALL}):
        expected, seen = f"{file} holds labkit's images alone", f"it also holds {', '.join(foreign)}"
        raise LabError(expected, seen, f"if you trust all of it: docker load --input {file}")


def _loaded(engine: Engine, bundle: Any) -> list[str]:  # noqa: ANN401 - a file object
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        return [tag for image in engine.client.images.load(bundle) for tag in image.tags]
    except (docker.errors.APIError, docker.errors.ImageLoadError) as problem:
        raise OSError(str(problem)) from problem


def _unreadable(file: Path, seen: str) -> LabError:
    return LabError(
        f"{file} is a bundle of images",
        seen,
        "write the file again: labkit images save FILE; then copy all of it",
    )


def _digests(engine: Engine) -> set[str]:
    digests = set()
    for image in ALL:
        with suppress(ImageMissing):
            digests.add(engine.image(image).digest)
    return digests

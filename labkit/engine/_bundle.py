"""One file with all images, for a classroom without a network."""

import gzip
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


def save_images(file: Path | str, engine: Engine | None = None) -> None:
    """Save the base and labkit's images, wheelhouse included, into one file that `docker load` reads too.

    :raises ImageMissing: when an image is missing or out of date.
    :raises LabError: when the file cannot be written; then no half file is left.
    """
    engine, file = engine or Engine.find(), Path(file)
    engine.image(BASE)
    if missing := images_missing(engine):
        raise image_missing(missing[0])
    part = file.with_name(file.name + ".part")
    try:
        with gzip.open(part, "wb", compresslevel=1) as bundle:
            for chunk in _saved(engine):
                bundle.write(chunk)
        part.replace(file)
    except OSError as problem:
        raise LabError(
            expected=f"{file} can be written", seen=str(problem), next_step="choose a folder with 1 GB free"
        ) from problem
    finally:
        part.unlink(missing_ok=True)


def _saved(engine: Engine) -> Iterator[bytes]:
    """Stream all images in one tar, shared layers once; the API offers that, the library one image a tar."""
    api = engine.client.api
    answer = api._get(api._url("/images/get"), params={"names": list(ALL)}, stream=True)  # noqa: SLF001 - see above
    api._raise_for_status(answer)  # noqa: SLF001 - as above
    chunks: Iterator[bytes] = answer.iter_content(CHUNK_BYTES)
    return chunks


def load_images(file: Path | str, engine: Engine | None = None) -> None:
    """Load the images of a file that save_images wrote; what they replace is removed.

    :raises LabError: when the file is no such file, or holds the images of another version of labkit.
    """
    engine, file = engine or Engine.find(), Path(file)
    before = _digests(engine)
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
            next_step="labkit images build where there is a network, or take the bundle of this version",
        )


def _loaded(engine: Engine, bundle: Any) -> list[str]:  # noqa: ANN401 - a file object
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        return [tag for image in engine.client.images.load(bundle) for tag in image.tags]
    except (docker.errors.APIError, docker.errors.ImageLoadError) as problem:
        raise OSError(str(problem)) from problem


def _unreadable(file: Path, seen: str) -> LabError:
    return LabError(
        f"{file} is a bundle of images", seen, "write it anew: labkit images save FILE, and copy it whole"
    )


def _digests(engine: Engine) -> set[str]:
    found = set()
    for image in ALL:
        with suppress(ImageMissing):
            found.add(engine.image(image).digest)
    return found

"""One file with all images, for a classroom without a network."""

import gzip
import json
import shlex
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from labkit.engine._build import discard
from labkit.engine._bundle_contents import LIST, Contents, Listed
from labkit.engine._engine import Engine
from labkit.engine._errors import ImageMissing
from labkit.engine._images import images_missing, recipe_digests
from labkit.engine._labels import BASE, BUILD, GRADER, PYTHON, SERVERS
from labkit.engine._made import remember_made
from labkit.errors import LabError

ALL = (BASE, SERVERS, PYTHON, BUILD, GRADER)
CHUNK_BYTES = 1 << 20


def save_images(file: Path | str, engine: Engine | None = None) -> None:
    """Save the base and labkit's images, wheelhouse included, into one file that `docker load` reads too.

    The file begins with a list of the images' digests. engine None means the one that Engine.find returns.

    :raises ImageMissing: when an image is missing, out of date, or not known to be labkit's.
    :raises LabError: when the file cannot be written; then no half file is left.
    """
    engine, file = engine or Engine.find(), Path(file)
    recipes = recipe_digests()
    listed = {name: Listed(digest=engine.image(name).digest, recipe=recipes.get(name, "")) for name in ALL}
    if missing := images_missing(engine):
        expected = f"the images of this version of labkit: {', '.join(missing)}"
        raise ImageMissing(
            expected, "out of date, or not built or loaded by this user", "labkit images build"
        )
    partial = file.with_name(file.name + ".part")
    try:
        with gzip.open(partial, "wb", compresslevel=1) as bundle:
            bundle.write(_member(LIST, json.dumps(listed).encode()))
            for chunk in _saved(engine):
                bundle.write(chunk)
        partial.replace(file)
    except OSError as problem:
        raise LabError(
            expected=f"{file} can be written", seen=str(problem), next_step="choose a folder with 1 GB free"
        ) from problem
    finally:
        partial.unlink(missing_ok=True)


def _member(name: str, content: bytes) -> bytes:
    """Return a file as the beginning of a tar, which another tar may follow."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    return entry.tobuf() + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _saved(engine: Engine) -> Iterator[bytes]:
    """Stream all images in one tar, so that a layer that several share is in it once."""
    api = engine.client.api
    names = {"names": list(ALL)}
    response = api._get(api._url("/images/get"), params=names, stream=True)  # noqa: SLF001 - the public method saves one image a tar
    api._raise_for_status(response)  # noqa: SLF001 - the public method does that too
    chunks: Iterator[bytes] = response.iter_content(CHUNK_BYTES)
    return chunks


def load_images(file: Path | str, engine: Engine | None = None) -> list[str]:
    """Load the images of a file that save_images wrote, and return their names; what they replace is removed.

    engine None means the one that Engine.find returns. Whoever can write the file can write its list, too: it
    tells a bundle of labkit from another file, and a whole one from a changed one, but not who made it.

    :raises LabError: when the file is no such file, holds the images of another version of labkit, or holds
        other images than those that it lists: then nothing is loaded.
    """
    engine, file = engine or Engine.find(), Path(file)
    contents = _read(file)
    before = _digests(engine)
    try:
        with gzip.open(file, "rb") as bundle:
            _load(engine, bundle)
    except (OSError, EOFError) as problem:
        raise _unreadable(file, str(problem)) from problem
    after = {name: engine.image(name).digest for name in ALL}
    for digest in before - {*after.values()}:
        discard(engine, digest)
    _refuse_others([name for name in ALL if after[name] not in contents.digests[name]], file)
    for name, recipe in recipe_digests().items():
        remember_made(recipe, after[name])
    return list(ALL)


def _read(file: Path) -> Contents:
    """Read what is in a file, and refuse one that would bring, or replace, images that are not labkit's."""
    try:
        with tarfile.open(file, "r|gz") as bundle:
            contents = Contents.read(bundle)
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError) as problem:
        raise _unreadable(file, str(problem)) from problem
    except (KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise _unreadable(file, "a table of images that is incomplete, or no table") from problem
    if foreign := sorted({*contents.digests} - {*ALL}):
        expected, seen = f"{file} holds labkit's images alone", f"it also holds {', '.join(foreign)}"
        raise LabError(
            expected, seen, f"if you trust all of it: docker load --input {shlex.quote(str(file))}"
        )
    if not {*contents.listed} == {*contents.digests} == {*ALL}:
        raise _unreadable(file, f"no list of all images ({LIST}), as this version of labkit writes it")
    recipes = recipe_digests()
    if others := [name for name, recipe in recipes.items() if contents.listed[name]["recipe"] != recipe]:
        raise LabError(
            expected=f"{file} holds the images of this version of labkit",
            seen=f"{', '.join(others)} differ from this version's recipes",
            next_step="labkit images build where there is a network, or a file of this version",
        )
    listed = {name: contents.listed[name]["digest"] for name in ALL}
    _refuse_others([name for name in ALL if listed[name] not in contents.digests[name]], file)
    return contents


def _refuse_others(names: list[str], file: Path) -> None:
    if names:
        raise LabError(
            f"{file} holds the images that it lists",
            f"another image of the name {', '.join(names)}",
            "write the file again where the images were built: labkit images save FILE",
        )


def _load(engine: Engine, bundle: Any) -> None:  # noqa: ANN401 - a file object
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        engine.client.images.load(bundle)
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

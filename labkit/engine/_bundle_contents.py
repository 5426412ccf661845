"""What is in a bundle of images, read before the engine gets it.

An engine may read either of two tables. Source: `docker save`'s manifest.json
(https://github.com/moby/docker-image-spec), the OCI image layout's index.json
(https://github.com/opencontainers/image-spec).
"""

import json
import posixpath
import tarfile
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self, TypedDict

LIST, MANIFEST, INDEX = "labkit.json", "manifest.json", "index.json"
READ = (LIST, MANIFEST, INDEX)
NAME = "io.containerd.image.name"
MOST_BYTES = 1 << 20
"""A configuration is smaller than this; what is larger is a layer, which the engine checks itself."""


class Listed(TypedDict):
    """What labkit's list says of an image: its digest, and that of its recipe, "" when it has none."""

    digest: str
    recipe: str


@dataclass
class Contents:
    """The images in a tar by name: the digests that an engine may know each by, and what the list says."""

    digests: dict[str, set[str]] = field(default_factory=dict)
    listed: dict[str, Listed] = field(default_factory=dict)

    @classmethod
    def read(cls, bundle: tarfile.TarFile) -> Self:
        """Read an open tar to its end.

        :raises ValueError: when it is no bundle, or could be read in two ways.
        :raises KeyError, TypeError, AttributeError, RecursionError: when its files have another shape.
        """
        files, digests = _small_files(bundle)
        if MANIFEST not in files:
            message = f"it has no {MANIFEST}"
            raise ValueError(message)
        contents = cls()
        for image in json.loads(files[MANIFEST]):
            contents._add(image["RepoTags"], digests.get(_clean(image["Config"]), ""))
        for image in json.loads(files.get(INDEX, b'{"manifests": []}'))["manifests"]:
            contents.digests.setdefault(_short(image["annotations"][NAME]), set()).add(image["digest"])
        contents.listed = {
            name: Listed(digest=str(one["digest"]), recipe=str(one["recipe"]))
            for name, one in json.loads(files.get(LIST, b"{}")).items()
        }
        return contents

    def _add(self, names: list[str] | None, digest: str) -> None:
        if not names or self.digests.keys() & {*names}:
            message = f"no name, or one of another image: {names}"
            raise ValueError(message)
        self.digests.update({name: {digest} for name in names})


def _small_files(bundle: tarfile.TarFile) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the content of the files that tell what is in the bundle, and the digest of each small file."""
    files, digests, links, folders = dict[str, bytes](), dict[str, str](), set[str](), set[str]()
    for member in bundle:
        name = _clean(member.name)
        folders |= _parents(name)
        if not member.isreg() and not member.isdir():
            links.add(name)
        if name in READ and (not member.isreg() or name in files or member.size > MOST_BYTES):
            message = f"more than one small file {name}"
            raise ValueError(message)
        if member.isreg() and member.size <= MOST_BYTES and (file := bundle.extractfile(member)):
            content = file.read()
            digests[name] = f"sha256:{sha256(content).hexdigest()}"
            if name in READ:
                files[name] = content
    if links & {*folders, *digests}:
        message = "a file is written through a link"
        raise ValueError(message)
    return files, digests


def _clean(name: str) -> str:
    """Return the path of a member as an engine unpacks it, below a folder of its own."""
    return posixpath.normpath(f"/{name}").lstrip("/")


def _parents(name: str) -> set[str]:
    parts = name.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts))}


def _short(name: str) -> str:
    """Return an image's name as labkit writes it."""
    return name.removeprefix("docker.io/").removeprefix("library/")

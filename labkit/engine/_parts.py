"""What an image is made of, read from the image: Debian's and Python's own records of what is installed."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from email import message_from_string
from email.message import Message
from typing import TYPE_CHECKING, Literal

from packageurl import PackageURL

from labkit.engine._inspect import members
from labkit.engine._wheelhouse import cache

if TYPE_CHECKING:
    from docker.models.containers import Container

DPKG = re.compile(r"^var/lib/dpkg/(status|status\.d/[^/]+)$")
PYTHON = re.compile(r"\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info)$")
INSTALLED = "install ok installed"


@dataclass(frozen=True, order=True)
class Part:
    """A package that is installed in an image; purl is its package URL (https://github.com/package-url/purl-spec)."""

    kind: Literal["deb", "pypi"]
    name: str
    version: str
    purl: str


def parts(container: "Container") -> list[Part]:
    """Return every Debian and Python package in a container's files, sorted, each once.

    The whole file system is read, because a package may be installed anywhere (in a virtual environment, for
    one).
    """
    found: set[Part] = set()
    for member, archive in members(container.export()):
        path = member.name.removeprefix("./")
        read = _debian if DPKG.search(path) else _python if PYTHON.search(path) else None
        if read and member.isfile() and (file := archive.extractfile(member)):
            found.update(read(file.read().decode(errors="replace")))
    return sorted(found)


def remembered(digest: str, read: Callable[[], list[Part]]) -> list[Part]:
    """Return an image's parts as kept from an earlier reading, else read and keep them by the digest."""
    kept = cache() / "parts" / f"{digest.rpartition(':')[2]}.json"
    with suppress(OSError, ValueError, TypeError):
        return [Part(*told) for told in json.loads(kept.read_text())]
    found = read()
    with suppress(OSError):  # a full or read-only home only costs the time of another reading
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        part.write_text(json.dumps([astuple(part) for part in found]))
        part.replace(kept)
    return found


def _debian(text: str) -> Iterator[Part]:
    """Read dpkg's status file, paragraphs in the form of RFC 822; not all that it knows is installed."""
    for paragraph in text.split("\n\n"):
        told = message_from_string(paragraph.strip("\n"))
        if told["Package"] and told.get("Status", INSTALLED) == INSTALLED:
            yield _deb(told)


def _deb(told: Message) -> Part:
    name, version, architecture = (told.get(key, "") for key in ("Package", "Version", "Architecture"))
    purl = PackageURL(
        "deb", "debian", name, version or None, {"arch": architecture} if architecture else None
    )
    return Part("deb", name, version, purl.to_string())


def _python(text: str) -> Iterator[Part]:
    """Read a Python package's core metadata (https://packaging.python.org/specifications/core-metadata/)."""
    told = message_from_string(text)
    if name := told["Name"]:
        version = told["Version"] or ""
        yield Part("pypi", name, version, PackageURL("pypi", None, name, version or None).to_string())

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

from labkit.engine._cache import cache
from labkit.engine._inspect import members

if TYPE_CHECKING:
    from docker.models.containers import Container

# A "distroless" image has one file a package in status.d instead of one file for all.
DPKG = re.compile(r"^var/lib/dpkg/(status|status\.d/[^/]+)$")
PYTHON = re.compile(r"^(.*)/[^/]+\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info)$")
INSTALLED = "install ok installed"


@dataclass(frozen=True, order=True)
class Package:
    """A package that is installed in an image; purl is its package URL (https://github.com/package-url/purl-spec).

    folder is where Python would import it from, such as /venv/lib/python3.11/site-packages; "" for Debian's.
    """

    kind: Literal["deb", "pypi"]
    name: str
    version: str
    purl: str
    folder: str = ""


def packages(container: "Container") -> list[Package]:
    """Return every Debian and Python package in a container's files, sorted, each once.

    The whole file system is read, because a package may be installed anywhere (in a virtual environment, for
    one).
    """
    installed: set[Package] = set()
    for member, archive in members(container.export()):
        path = member.name.removeprefix("./")
        python = PYTHON.search(path)
        if (python or DPKG.search(path)) and member.isfile() and (file := archive.extractfile(member)):
            text = file.read().decode(errors="replace")
            installed.update(_python(text, f"/{python[1]}") if python else _debian(text))
    return sorted(installed)


def remembered(digest: str, read: Callable[[], list[Package]]) -> list[Package]:
    """Return an image's packages as kept by its digest; else read them and keep them."""
    kept = cache() / "installed" / f"{digest.rpartition(':')[2]}.json"
    with suppress(OSError, ValueError, TypeError):
        return [Package(*fields) for fields in json.loads(kept.read_text(encoding="utf-8"))]
    installed = read()
    with suppress(OSError):  # a full or read-only home only costs the time of another reading
        kept.parent.mkdir(parents=True, exist_ok=True)
        # A name for each writer, because several may read one image at once.
        partial = kept.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        partial.write_text(json.dumps([astuple(package) for package in installed]), encoding="utf-8")
        partial.replace(kept)
    return installed


def _debian(text: str) -> Iterator[Package]:
    """Read dpkg's status file, paragraphs in the form of RFC 822; what was removed may still stand there."""
    for paragraph in text.split("\n\n"):
        fields = message_from_string(paragraph.strip("\n"))
        if fields["Package"] and fields.get("Status", INSTALLED) == INSTALLED:
            yield _deb(fields)


def _deb(fields: Message) -> Package:
    name, version, architecture = (fields.get(key, "") for key in ("Package", "Version", "Architecture"))
    purl = PackageURL(
        "deb", "debian", name, version or None, {"arch": architecture} if architecture else None
    )
    return Package("deb", name, version, purl.to_string())


def _python(text: str, folder: str) -> Iterator[Package]:
    """Read a Python package's core metadata (https://packaging.python.org/specifications/core-metadata/)."""
    fields = message_from_string(text)
    if name := fields["Name"]:
        version = fields["Version"] or ""
        purl = PackageURL("pypi", None, name, version or None).to_string()
        yield Package("pypi", name, version, purl, folder)

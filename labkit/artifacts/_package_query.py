"""Which recorded things a text means: a package URL, or a name of any type.

Source: https://github.com/package-url/purl-spec. Names of Python packages are compared as PEP 503 says.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote

from packageurl import PackageURL

from labkit.errors import LabError

PURL = "pkg:"
AT_LEAST_A_LETTER = re.compile(r"(?=.*\w)\S+")
VERSION = re.compile(r"(:[^:/]+|[@=].*)$", re.DOTALL)
"""Where the version of what has no package URL begins: debian:bookworm-slim, DISCOUNT_PERCENT=10."""

NEAREST = 3


@dataclass(frozen=True)
class PackageQuery:
    """What somebody looks for. type, namespace and version are "" where any will do.

    text is the whole of it, which a recorded thing may be called exactly. qualifiers are those that a
    recorded package must have; it may have more.
    """

    text: str
    name: str
    type: str = ""
    namespace: str = ""
    version: str = ""
    qualifiers: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a package URL, or a name with or without "@" or "==" and a version.

        :raises LabError: when the text is neither.
        """
        if text.lower().startswith(PURL):
            try:
                purl = PackageURL.from_string(PURL + text[len(PURL) :])
            except ValueError as fault:
                raise _neither(text) from fault
            qualifiers = purl.qualifiers if isinstance(purl.qualifiers, dict) else {}
            name = normalized_name(purl.name)
            return cls(text, name, purl.type, purl.namespace or "", purl.version or "", qualifiers)
        if not AT_LEAST_A_LETTER.fullmatch(text):
            raise _neither(text)
        words = text.replace("==", "@")  # as pip and lock files write it
        name, _, version = words.rpartition("@") if "@" in words[1:] else (words, "", "")
        return cls(text, normalized_name(name), version=version)

    def among(self, uris: Iterable[str]) -> set[str]:
        """Return those recorded names that are meant."""
        # Reading a package URL takes time, so only those that have the name somewhere are read.
        like = (uri for uri in uris if uri == self.text or self.name in normalized_name(unquote(uri)))
        return {uri for uri in like if uri == self.text or self._means(uri)}

    def nearest(self, uris: Iterable[str]) -> list[str]:
        """Return the recorded names most like the one looked for, without versions; [] when none is."""
        names = {_name(uri): _without_version(uri) for uri in uris}
        return [names[name] for name in difflib.get_close_matches(self.name, names, n=NEAREST)]

    def _means(self, uri: str) -> bool:
        if not uri.startswith(PURL):
            return not self.type and self.name in {_name(uri), normalized_name(uri)} and not self.version
        purl = PackageURL.from_string(uri)
        has = purl.qualifiers if isinstance(purl.qualifiers, dict) else {}
        return (
            self.name == normalized_name(purl.name)
            and self.type in {"", purl.type}
            and self.namespace in {"", purl.namespace or ""}
            and self.version in {"", purl.version or ""}
            and self.qualifiers.items() <= has.items()
        )


def normalized_name(name: str) -> str:
    """Return a package's name in the form in which equal names are equal, as PEP 503 compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _name(uri: str) -> str:
    """Return the name that a recorded thing is called by in any version."""
    return normalized_name(
        PackageURL.from_string(uri).name if uri.startswith(PURL) else _without_version(uri)
    )


def _without_version(uri: str) -> str:
    if uri.startswith(PURL):
        return uri.partition("?")[0].rpartition("@")[0] or uri
    return uri if uri.startswith("git:") else VERSION.sub("", uri)  # a commit's folder is no other version


def _neither(text: str) -> LabError:
    return LabError(
        "a package URL such as pkg:pypi/starlette@1.0.0, or a name such as starlette",
        repr(text),
        "name the package alone: labkit artifacts where-is starlette",
    )

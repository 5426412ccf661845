"""The base images of a service: its Dockerfile names them, and the layers of its image prove them.

Source: https://docs.docker.com/reference/dockerfile/#from.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from string import Template

from labkit.artifacts import Reference
from labkit.engine import BASE, Engine, Image, ImageMissing

CONTINUED = re.compile(r"\\[ \t]*\n")
FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
ARGUMENT = re.compile(r"ARG\s+(\w+)=(?:\"([^\"]*)\"|(\S+))", re.IGNORECASE)
SCRATCH = "scratch"


@dataclass(frozen=True)
class Dockerfile:
    """The images that a Dockerfile names: base is the last stage's, others those of the stages before.

    base is "" when the last stage begins with nothing.
    """

    base: str
    others: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> "Dockerfile":
        """Read the FROM of each stage, with the defaults of the arguments before the first."""
        stages = _Stages()
        for line in CONTINUED.sub(" ", text).splitlines():
            stages.read(line.strip())
        images = [image for image in stages.images if image != SCRATCH]
        base = stages.images[-1] if stages.images else ""
        others = dict.fromkeys(image for image in images if image != base)
        return cls("" if base == SCRATCH else base, tuple(others))


@dataclass
class _Stages:
    """The stages of a Dockerfile so far: each one's image, and the images by the stages' names."""

    images: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)

    def read(self, line: str) -> None:
        if (argument := ARGUMENT.match(line)) and not self.images:
            self.arguments[argument[1]] = argument[2] or argument[3] or ""
        elif stage := FROM.match(line):
            image = Template(stage[1]).safe_substitute(self.arguments)
            self.images.append(self.named.get(image.lower(), image))  # a stage may go on from an earlier one
            self.named[(stage[2] or str(len(self.images) - 1)).lower()] = self.images[-1]


def base_images(engine: Engine, image: Image, dockerfile: str) -> list[Reference]:
    """Return the images that an image is based on, and as tools those of the stages that only build.

    An image is a base when its layers are the first ones of the image. The base that the Dockerfile names
    stays without a digest when it is not there any more, or when its tag names another image since.
    """
    named = Dockerfile.read(dockerfile)
    found = {one.ref: one for one in _present(engine, {named.base, *named.others, BASE} - {""})}
    bases = {ref: one for ref, one in found.items() if _is_below(one, image)}
    below = [Reference("base", ref, one.digest) for ref, one in sorted(bases.items())]
    if named.base and named.base not in bases:
        below.append(Reference("base", named.base))
    return below + [
        Reference("tool", ref, found[ref].digest if ref in found else "")
        for ref in named.others
        if ref not in bases
    ]


def _present(engine: Engine, refs: set[str]) -> Iterator[Image]:
    """Yield the images that the engine has: a bundle for a classroom brings labkit's without their base."""
    for ref in refs:
        with suppress(ImageMissing):
            yield engine.image(ref)


def _is_below(base: Image, image: Image) -> bool:
    return bool(base.layers) and image.layers[: len(base.layers)] == base.layers

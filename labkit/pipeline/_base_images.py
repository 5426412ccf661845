"""The base images of a service: its Dockerfile names them, and the layers of its image prove them.

Source: https://docs.docker.com/reference/dockerfile/#from.
"""

from collections.abc import Iterator
from contextlib import suppress

from labkit.artifacts import Reference
from labkit.engine import BASE, Dockerfile, Engine, Image, ImageMissing


def base_images(engine: Engine, image: Image, dockerfile: Dockerfile) -> list[Reference]:
    """Return the images that an image is based on, and as tools those that it was built with or copied from.

    An image is a base when its layers are the first ones of the image. The base that the Dockerfile names
    stays without a digest when it is not there any more, or when its tag names another image since.
    """
    images = {one.ref: one for one in _present(engine, {*dockerfile.images, BASE})}
    bases = {ref: one for ref, one in images.items() if _is_below(one, image)}
    below = [Reference("base", ref, one.digest) for ref, one in sorted(bases.items())]
    if dockerfile.base and dockerfile.base not in bases:
        below.append(Reference("base", dockerfile.base))
    return below + [
        Reference("tool", ref, images[ref].digest if ref in images else "")
        for ref in dockerfile.others
        if ref not in bases
    ]


def _present(engine: Engine, refs: set[str]) -> Iterator[Image]:
    """Yield the images that the engine has: a bundle for a classroom brings labkit's without their base."""
    for ref in refs:
        with suppress(ImageMissing):
            yield engine.image(ref)


def _is_below(base: Image, image: Image) -> bool:
    return bool(base.layers) and image.layers[: len(base.layers)] == base.layers

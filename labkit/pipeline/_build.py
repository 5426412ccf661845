"""Builds the image of each service once from the commit's tree, and reads from it what is in it."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from labkit.artifacts import Reference
from labkit.checks import version_of
from labkit.engine import BASE, BUILD, PYTHON, Engine, ImageMissing, Package, one_builder, service_image
from labkit.system import Service, System

BUILDERS = 2
VERSIONS = ["sh", "-c", "python3 --version; python3 -m pip --version"]


@dataclass(frozen=True)
class Built:
    """One service's image: its reference and digest, what is in it, and whether it was there already.

    source is the digest of the folder that it was built from. seconds is the wall time of building it and
    reading it.
    """

    service: str
    image: str
    digest: str
    source: str
    packages: Sequence[Package]
    reused: bool
    seconds: float


@dataclass(frozen=True)
class Builds:
    """All images of a commit by service, and what they share: base images and the tools that built them."""

    images: Mapping[str, Built]
    shared: Sequence[Reference]


def build(engine: Engine, system: System, commit: str, stop: threading.Event) -> Builds:
    """Build every service's image from a commit's tree; a service with the same source keeps its image.

    stop ends the work before the next service.
    """

    def one(service: Service) -> Built | None:
        return None if stop.is_set() else _one(engine, system, service, commit)

    with one_builder(), ThreadPoolExecutor(BUILDERS, thread_name_prefix="labkit-build") as pool:
        shared = pool.submit(_shared, engine)
        done = pool.map(one, system.services.values())
        return Builds({built.service: built for built in done if built is not None}, shared.result())


def _one(engine: Engine, system: System, service: Service, commit: str) -> Built:
    started = time.monotonic()
    revision = {"org.opencontainers.image.revision": commit}
    made = service_image(engine, system, service.name, Path(service.path), revision)
    ref, packages = made.image.ref, engine.packages(made.image.ref)
    seconds = time.monotonic() - started
    return Built(service.name, ref, made.image.digest, made.source, packages, made.reused, seconds)


def _shared(engine: Engine) -> list[Reference]:
    """Return the base images and what builds here, each with the version that it tells itself."""
    words = engine.run(BUILD, VERSIONS).output.split()
    versions = dict(pairwise(words))
    return [
        *_base(engine),
        Reference("tool", f"pkg:generic/python@{versions.get('Python', '')}"),
        Reference("tool", f"pkg:pypi/pip@{versions.get('pip', '')}"),
        Reference("tool", f"pkg:generic/docker@{engine.info()['ServerVersion']}"),
        Reference("tool", f"pkg:pypi/pipeline-labkit@{version_of('pipeline-labkit')}"),
    ]


def _base(engine: Engine) -> Iterator[Reference]:
    """Yield the images below a service's; the lowest may be missing where images came in a bundle."""
    for ref in (BASE, BUILD, PYTHON):
        with suppress(ImageMissing):
            yield Reference("base", ref, engine.image(ref).digest)

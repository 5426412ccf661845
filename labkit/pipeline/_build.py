"""Builds the image of each service once from the commit's tree, and reads which packages are in it."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from labkit._uninterruptible import Stopped
from labkit.artifacts import Reference
from labkit.checks import version_of
from labkit.engine import BUILD, Engine, Package, one_builder, service_image
from labkit.pipeline._base_images import base_images
from labkit.system import Service, System

BUILDERS = 2
VERSIONS = ["sh", "-c", "python3 --version; python3 -m pip --version"]


@dataclass(frozen=True)
class Built:
    """One service's image: its reference and digest, its packages, and whether it was there before the run.

    bases are the images that it is based on or was built with. source is the digest of the folder that it was
    built from. seconds is the wall time of building the image and reading its packages.
    """

    service: str
    image: str
    digest: str
    source: str
    packages: Sequence[Package]
    bases: Sequence[Reference]
    reused: bool
    seconds: float


@dataclass(frozen=True)
class Builds:
    """All images of a commit by service, and what they share: the tools that built them."""

    images: Mapping[str, Built]
    shared: Sequence[Reference]


def build(engine: Engine, system: System, commit: str, stop: threading.Event) -> Builds:
    """Build every service's image from a commit's tree; a service with the same source keeps its image.

    When stop is set, services whose build has not begun are left out, and another process is not waited for.
    """

    def build_service(service: Service) -> Built | None:
        return None if stop.is_set() else _build(engine, system, service, commit)

    try:
        with (
            one_builder(stop=stop),
            ThreadPoolExecutor(BUILDERS, thread_name_prefix="labkit-build") as pool,
        ):
            shared = pool.submit(_shared, engine)
            builds = pool.map(build_service, system.services.values())
            return Builds({built.service: built for built in builds if built is not None}, shared.result())
    except Stopped:
        return Builds({}, ())


def _build(engine: Engine, system: System, service: Service, commit: str) -> Built:
    started = time.monotonic()
    # The commit is a label of the image, but no part of its identity: the next commit may reuse the image.
    revision = {"org.opencontainers.image.revision": commit}
    result = service_image(engine, system, service.name, Path(service.path), revision)
    image, packages = result.image, engine.packages(result.image.ref)
    bases = base_images(engine, image, result.dockerfile)
    seconds = time.monotonic() - started
    return Built(
        service.name, image.ref, image.digest, result.source, packages, bases, result.reused, seconds
    )


def _shared(engine: Engine) -> list[Reference]:
    """Return the tools that build, each with the version that it reports itself."""
    words = engine.run(BUILD, VERSIONS).output.split()
    versions = dict(pairwise(words))  # "Python 3.11.2 pip 23.0.1 from …": each name is before its version
    return [
        Reference("tool", f"pkg:generic/python@{versions.get('Python', '')}"),
        Reference("tool", f"pkg:pypi/pip@{versions.get('pip', '')}"),
        Reference("tool", f"pkg:generic/docker@{engine.info()['ServerVersion']}"),
        Reference("tool", f"pkg:pypi/pipeline-labkit@{version_of('pipeline-labkit')}"),
    ]

"""The bill of materials of an image, in CycloneDX's JSON form, from what is really in the image.

Source of the form: CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from labkit.artifacts import normalized_name
from labkit.checks._report import CheckRun, Finding, Report, version_of
from labkit.engine import Engine, Package

PATH = "/usr/local/bin:/usr/bin:/bin"
"""The folders of an image that states none."""

NAMESPACE = uuid.UUID("6b0f4f2e-6d1c-5e5e-9d53-6f2b8f3b3d8a")
PINNED = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)[ \t]*(;[^\\\n]*)?", re.MULTILINE
)
"""A line of a lock file: name, version, and the marker that says where the package is needed."""


def bill_of_materials(
    engine: Engine, image: str, *, locked: str | None = None, packages: Sequence[Package] | None = None
) -> Report:
    """Make an image's bill of materials and compare it with the lock file that the image was built from.

    image is the image's reference. locked is the text of its requirements.lock; None compares nothing.
    packages are the image's if they were read already; None reads them from the image. The answer is fail
    when a package has no version, or when the image lacks a locked Python package or the service would import
    another version of it. evidence["document"] is the CycloneDX document, with every package in the image.
    """
    check = CheckRun("bill_of_materials", tool="labkit")
    packages = engine.packages(image) if packages is None else packages
    if not packages:
        return check.not_run(f"no package data could be read from {image}")
    built = engine.image(image)
    document = cyclonedx(image, built.digest, packages)
    return check.report(
        [*_unversioned(packages), *not_as_locked(imported(packages, built.environment), locked or "")],
        tool_version=version_of("pipeline-labkit"),
        evidence={"image": image, "components": len(document["components"]), "document": document},
    )


def cyclonedx(name: str, digest: str, packages: Sequence[Package]) -> dict[str, Any]:
    """Return a CycloneDX 1.6 document for an image; the same image always gives the same document.

    digest is the image's, "sha256:…". The document carries no time: its fact in the artifact database
    does.
    """
    # By package URL: an image's files can name a package twice, and CycloneDX wants each bom-ref once.
    components = {
        package.purl: _component(package) for package in sorted(packages, key=lambda package: package.purl)
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, digest)}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "name": "labkit", "version": version_of("pipeline-labkit")}
                ]
            },
            "component": {"type": "container", "bom-ref": digest, "name": name, "version": digest},
        },
        "components": list(components.values()),
        "dependencies": [{"ref": digest, "dependsOn": list(components)}],
    }


def _component(package: Package) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }


def _unversioned(packages: Sequence[Package]) -> list[Finding]:
    return [
        Finding("no version", f"{package.name} in the image states no version")
        for package in packages
        if not package.version
    ]


def imported(packages: Sequence[Package], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the version of each Python package that an image's own Python imports, by the package's name.

    An image may hold a package twice, in a virtual environment and beside its Python. The first folder on the
    module search path wins, and this follows from variables, the image's PYTHONPATH and PATH.
    """
    ahead = variables.get("PYTHONPATH", "").split(":")
    prefixes = [str(PurePosixPath(folder).parent) for folder in variables.get("PATH", PATH).split(":")]
    search = [*ahead, *(f"{prefix.rstrip('/')}/lib/" for prefix in prefixes)]

    def rank(package: Package) -> int:
        places = enumerate(search)
        folder = f"{package.folder}/"
        return next(
            (n for n, place in places if place and folder.startswith(f"{place.rstrip('/')}/")), len(search)
        )

    python = (package for package in packages if package.kind == "pypi")
    return {
        normalized_name(package.name): package.version for package in sorted(python, key=rank, reverse=True)
    }


def not_as_locked(versions: Mapping[str, str], locked: str) -> list[Finding]:
    """Return what a service imports in another version than a lock file's text says, or cannot import.

    versions is as from `imported`. A package with a marker may be missing: it may be for another system.
    """
    return [
        Finding("not as locked", f"{name} {version} is locked, the service imports {seen or 'none'}")
        for name, version, marker in sorted(PINNED.findall(locked))
        if (seen := versions.get(normalized_name(name))) != version and not (marker and seen is None)
    ]

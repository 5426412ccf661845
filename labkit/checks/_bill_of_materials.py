"""The bill of materials of an image, in CycloneDX's JSON form, from what is really in the image.

Source of the form: CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.checks._report import CheckRun, Finding, Report, version_of
from labkit.engine import Engine, Package

NAMESPACE = uuid.UUID("6b0f4f2e-6d1c-5e5e-9d53-6f2b8f3b3d8a")
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def bill_of_materials(
    engine: Engine, image: str, *, locked: str | None = None, packages: Sequence[Package] | None = None
) -> Report:
    """Make an image's bill of materials and compare it with the lock file that the image was built from.

    image is the image's reference. locked is the text of its requirements.lock; None compares nothing.
    packages are the image's if they were read already; None reads them from the image. The answer is fail
    when a package has no version, or when the image lacks a locked Python package or holds another version
    of it. evidence["document"] is the CycloneDX document.
    """
    check = CheckRun("bill_of_materials", tool="labkit")
    packages = engine.packages(image) if packages is None else packages
    if not packages:
        return check.not_run(f"no package data could be read from {image}")
    document = cyclonedx(image, engine.image(image).digest, packages)
    return check.report(
        [*_unversioned(packages), *_not_as_locked(packages, locked or "")],
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


def _not_as_locked(packages: Sequence[Package], locked: str) -> list[Finding]:
    pinned: Mapping[str, str] = {_normal(name): version for name, version in PINNED.findall(locked)}
    inside = {_normal(package.name): package.version for package in packages if package.kind == "pypi"}
    return [
        Finding("not as locked", f"{name} {version} is locked, the image holds {inside.get(name) or 'none'}")
        for name, version in sorted(pinned.items())
        if inside.get(name) != version
    ]


def _normal(name: str) -> str:
    """Return a Python package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()

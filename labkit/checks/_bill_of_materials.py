"""The bill of materials of an image, in CycloneDX's JSON form, from what is really in the image.

Source of the form: CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.checks._report import CheckRun, Finding, Report, version_of
from labkit.engine import Engine, Part

NAMESPACE = uuid.UUID("6b0f4f2e-6d1c-5e5e-9d53-6f2b8f3b3d8a")
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def bill_of_materials(
    engine: Engine, image: str, *, locked: str | None = None, parts: Sequence[Part] | None = None
) -> Report:
    """Make an image's bill of materials and compare it with the lock file that the image was built from.

    image is the image's reference. locked is the text of its requirements.lock; None compares nothing. parts
    are the image's parts if they were read already; None reads them from the image. The answer is fail when
    a part has no version, or when the image lacks a locked Python part or holds another version of it.
    evidence["document"] is the CycloneDX document.
    """
    check = CheckRun("bill_of_materials", tool="labkit")
    parts = engine.parts(image) if parts is None else parts
    if not parts:
        return check.not_run(f"no package data could be read from {image}")
    document = cyclonedx(image, engine.image(image).digest, parts)
    return check.report(
        [*_unversioned(parts), *_not_as_locked(parts, locked or "")],
        tool_version=version_of("pipeline-labkit"),
        evidence={"image": image, "components": len(document["components"]), "document": document},
    )


def cyclonedx(name: str, digest: str, parts: Sequence[Part]) -> dict[str, Any]:
    """Return a CycloneDX 1.6 document for an image; the same image always gives the same document.

    digest is the image's, "sha256:…". The document carries no time: its fact in the artifact database
    does.
    """
    # By package URL: an image's files can name a part twice, and CycloneDX wants each bom-ref once.
    components = {part.purl: _component(part) for part in sorted(parts, key=lambda part: part.purl)}
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


def _component(part: Part) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
    }


def _unversioned(parts: Sequence[Part]) -> list[Finding]:
    return [
        Finding("no version", f"{part.name} in the image states no version")
        for part in parts
        if not part.version
    ]


def _not_as_locked(parts: Sequence[Part], locked: str) -> list[Finding]:
    pinned: Mapping[str, str] = {_normal(name): version for name, version in PINNED.findall(locked)}
    inside = {_normal(part.name): part.version for part in parts if part.kind == "pypi"}
    return [
        Finding("not as locked", f"{name} {version} is locked, the image holds {inside.get(name) or 'none'}")
        for name, version in sorted(pinned.items())
        if inside.get(name) != version
    ]


def _normal(name: str) -> str:
    """Return a Python package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()

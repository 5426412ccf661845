"""Records what the images were built from: provenance in SLSA's form (https://slsa.dev/provenance/v1)."""

from typing import Any

from labkit.artifacts import ArtifactDatabase, Kind, Reference
from labkit.checks import version_of
from labkit.pipeline._build import Built
from labkit.pipeline._context import RunContext
from labkit.pipeline._definition import Stage

BUILD_TYPE = "https://labkit.dev/service-image/v1"


def await_images(context: RunContext, stage: Stage) -> None:
    """Wait until the images are built, and record once a run what went into each image.

    An image that was there before the run is recorded with the commit alone, so that it is known which commit
    runs: other commits of the same source, in other branches, have the same image.
    """
    with context.recorder.step(stage, "await the images"):
        images = context.images
    for built in images.values():
        if not known(context.artifacts, Kind.BUILT, built.digest, context.recorder.run):
            subject = context.image_subject(built.service, None, _references(context, built))
            context.recorder.record(Kind.BUILT, subject, stage.name, _provenance(context, built))


def known(artifacts: ArtifactDatabase, kind: Kind, digest: str, run: str | None = None) -> bool:
    """Return whether there is a fact of a kind about an image, recorded by this run, or with None by any."""
    return bool(artifacts.history(kind=kind, digest=digest, run=run, limit=1))


def _references(context: RunContext, built: Built) -> list[Reference]:
    path = str(context.system.services[built.service].path)
    if known(context.artifacts, Kind.BUILT, built.digest):
        return [context.code(path)]
    dependencies = [Reference("dependency", purl) for purl in dict.fromkeys(p.purl for p in built.packages)]
    shared = context.building.result().shared
    tests = context.tests(f"{path}/tests")
    return [context.code(path), *built.bases, *shared, *tests, *dependencies]


def _provenance(context: RunContext, built: Built) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"commit": context.revision.commit, "service": built.service},
            "internalParameters": {"source": built.source, "image": built.image},
        },
        "runDetails": {
            "builder": {
                "id": "https://labkit.dev/pipeline/v1",
                "version": {"labkit": version_of("pipeline-labkit")},
            },
            "metadata": {"invocationId": context.recorder.run},
        },
        "reused": built.reused,
        "seconds": round(built.seconds, 3),
    }

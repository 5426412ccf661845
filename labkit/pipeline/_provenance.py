"""Writes down what the images were made from: provenance in SLSA's form (https://slsa.dev/provenance/v1)."""

from typing import Any

from labkit.artifacts import ArtifactDatabase, Kind, Reference
from labkit.checks import version_of
from labkit.pipeline._build import Built
from labkit.pipeline._definition import Stage
from labkit.pipeline._trip import Trip

BUILD_TYPE = "https://labkit.dev/service-image/v1"


def await_images(trip: Trip, stage: Stage) -> None:
    """Wait until the images are built and, the first time, write down what went into each."""
    with trip.journal.step(stage, "await the images"):
        images = trip.images
    for built in images.values():
        if not known(trip.artifacts, Kind.BUILT, built.digest):
            about = trip.about(built.service, None, _went_into(trip, built))
            trip.journal.record(Kind.BUILT, about, stage.name, _provenance(trip, built))
    while trip.module_answers:
        # A module was tested before its image existed; what was found holds for the image of the same source.
        tested_in, report, tested = trip.module_answers.pop(0)
        about = trip.about(str(tested.service), tested.environment, [*tested.references])
        trip.journal.gate_answered(tested_in, report, [about], quiet=True)


def known(artifacts: ArtifactDatabase, kind: Kind, digest: str) -> bool:
    """Return whether the artifact database has a fact of a kind about an image already."""
    return bool(artifacts.history(kind=kind, digest=digest, limit=1))


def _went_into(trip: Trip, built: Built) -> list[Reference]:
    path = str(trip.system.services[built.service].path)
    dependencies = [Reference("dependency", package.purl) for package in built.packages]
    shared = trip.building.result().shared
    return [trip.code(path), *shared, *trip.tests(f"{path}/tests"), *dependencies]


def _provenance(trip: Trip, built: Built) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"commit": trip.revision.commit, "service": built.service},
            "internalParameters": {"source": built.source, "image": built.image},
        },
        "runDetails": {
            "builder": {
                "id": "https://labkit.dev/pipeline/v1",
                "version": {"labkit": version_of("pipeline-labkit")},
            },
            "metadata": {"invocationId": trip.journal.run},
        },
        "reused": built.reused,
        "seconds": round(built.seconds, 3),
    }

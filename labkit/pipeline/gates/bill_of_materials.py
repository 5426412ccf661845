"""The gate `bill_of_materials`: what is in each image, compared with the service's lock file."""

from collections.abc import Iterator
from dataclasses import replace

from labkit import checks
from labkit.artifacts import Kind
from labkit.pipeline._context import tool
from labkit.pipeline._provenance import known
from labkit.pipeline.gates import Answer, GateContext, gate


@gate("bill_of_materials", stages={"integration", "staging"})
def bill_of_materials(context: GateContext) -> Iterator[Answer]:
    """Make the bill of materials of each image and compare it with the service's lock file."""
    run = context.run
    for name, built in run.images.items():
        lock = context.folder / run.system.services[name].path / "requirements.lock"
        report = checks.bill_of_materials(
            run.engine,
            built.image,
            locked=lock.read_text(encoding="utf-8") if lock.is_file() else None,
            packages=built.packages,
        )
        # The document is long and the same in every stage: it is a fact of its own, once for each image.
        evidence = dict(report.evidence)
        document = evidence.pop("document", None)
        if document and not known(run.artifacts, Kind.BILL_OF_MATERIALS, built.digest):
            subject = run.image_subject(name, context.environment.name, [tool(report)])
            run.recorder.record(Kind.BILL_OF_MATERIALS, subject, context.stage.name, document)
        yield Answer(replace(report, evidence=evidence), service=name)

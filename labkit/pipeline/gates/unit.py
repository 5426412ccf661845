"""The gate `unit`: the unit tests of each changed module."""

from collections.abc import Iterator

from labkit import checks
from labkit.pipeline.gates import Answer, GateContext, gate


@gate("unit", stages={"development"})
def unit(context: GateContext) -> Iterator[Answer]:
    """Run the module's unit tests."""
    for service in context.services:
        yield Answer(checks.unit(context.environment), context.run.tests(f"{service.path}/tests"))

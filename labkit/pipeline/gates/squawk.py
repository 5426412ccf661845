"""The gate `squawk`: migrations that would hurt a production that serves requests."""

from collections.abc import Iterator

from labkit import checks
from labkit.pipeline.gates import Answer, GateContext, gate


@gate("squawk", stages={"integration", "staging"})
def squawk(context: GateContext) -> Iterator[Answer]:
    """Examine the database's migrations."""
    database = context.run.system.database
    # A system without a database has no *.sql beside its system.toml, and passes.
    yield Answer(checks.squawk(context.folder / database.migrations if database else context.folder))

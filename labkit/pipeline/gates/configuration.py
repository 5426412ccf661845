"""The gate `configuration`: settings that differ from production's."""

from collections.abc import Iterator

from labkit import checks
from labkit.pipeline.gates import Answer, GateContext, gate
from labkit.system import TomlTable


def _exceptions(table: TomlTable) -> dict[str, str]:
    return table.reasons("exceptions")


@gate("configuration", stages={"integration", "staging"}, options=_exceptions)
def configuration(context: GateContext) -> Iterator[Answer]:
    """Compare the environment's settings with production's.

    The options map each setting that may differ to the reason.
    """
    here = checks.settings(context.run.system, context.stage.environment)
    production = checks.settings(context.run.system, "production")
    yield Answer(checks.configuration(here, production, context.options, name=context.stage.name))

"""The gate `functional`: tests of the whole system."""

from collections.abc import Iterator

from labkit import checks
from labkit.pipeline.gates import Answer, GateContext, gate
from labkit.system import TomlTable


def _folder(table: TomlTable) -> str:
    return str(table.folder("folder", "functional", 'a folder of the commit, such as "functional"'))


@gate("functional", stages={"integration", "staging"}, options=_folder)
def functional(context: GateContext) -> Iterator[Answer]:
    """Run the tests of the whole system, one by one; the options are their folder in the commit."""

    def notify(identity: str, number: int, count: int) -> None:
        context.notify(f"{number} of {count}: {identity}")

    report = checks.functional(context.environment, context.folder / context.options, notify)
    yield Answer(report, context.run.tests(context.options))

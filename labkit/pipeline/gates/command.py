"""The gate `command`: what a table [gates.NAME] with `run` is; the exit code is the answer."""

from collections.abc import Iterator
from dataclasses import dataclass

from labkit import checks
from labkit.pipeline.gates import Answer, GateContext, gate
from labkit.system import TomlTable


@dataclass(frozen=True)
class CommandOptions:
    """The command line, the image to run it in (None: where the unit tests run), its seconds at most."""

    run: str
    image: str | None
    timeout_s: float


def _options(table: TomlTable) -> CommandOptions:
    return CommandOptions(
        run=table.text("run", 'a command, such as "python3 -m compileall ."'),
        image=table.text("image", 'an image that the engine has, such as "labkit/build:1"', default=None),
        timeout_s=table.number("timeout_s", default=600.0),
    )


# Not in production: what runs there beside the services would stay, as production does.
@gate("command", stages={"development", "integration", "staging"}, options=_options)
def command(context: GateContext) -> Iterator[Answer]:
    """Run a command on the commit's files.

    In development it runs in the module's container, on the module's files. Elsewhere it runs beside the
    services, on all files of the commit. With an image, it runs in a new container of that image.
    """
    options = context.options
    # The module's container has the module's files already.
    there = context.module is not None and options.image is None
    report = checks.command(
        context.environment,
        options.run,
        name=context.gate,
        files={} if there else {"": context.tested},
        image=options.image,
        timeout_s=options.timeout_s,
    )
    yield Answer(report)

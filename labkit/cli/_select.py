"""Which environment, service, version or run a command is about, and what the shell completes there.

Completion asks the artifact database, git and system.toml, never the engine: it has to answer at once.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit._git import git_text
from labkit.errors import LabError
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.environment import Environment

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def environment_of(root: Path | None, name: str | None) -> "Environment":
    """Return a live environment of the workspace at root; name None is the only complete one.

    :raises LabError: when there is none of that name; without a name, when there is none or more than one.
    """
    from labkit.environment import Environment  # noqa: PLC0415 - keeps `labkit --help` quick

    workspace = Workspace.open(root)
    if name is not None:
        return Environment.attach(name, workspace)
    names = [status.name for status in Environment.list(workspace) if status.complete]
    if not names:
        next_step = "labkit environment create --stage integration"
        raise LabError("an environment of this workspace", "there is none", next_step)
    if len(names) > 1:
        raise LabError("the name of one environment", "there are several", f"name one of: {', '.join(names)}")
    return Environment.attach(names[0], workspace)


def _complete(names: Callable[[Workspace], Iterable[str]]) -> Complete:
    """Return click's function for completion, which offers what `names` returns for the workspace."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        offered: list[str] = []
        with suppress(LabError, OSError):  # where there is no workspace, there is nothing to offer
            offered = [*names(Workspace.open(context.params.get("root")))]
        return [name for name in dict.fromkeys(offered) if name.startswith(incomplete)]

    return complete


def _environments(workspace: Workspace) -> list[str]:
    from labkit.artifacts import Kind  # noqa: PLC0415 - keeps `labkit --help` quick

    history = workspace.artifacts.history
    deleted = {fact.environment for fact in history(kind=Kind.ENVIRONMENT_DELETED)}
    created = [fact.environment for fact in history(kind=Kind.ENVIRONMENT_CREATED)]
    return [name for name in created if name and name not in deleted]


def _runs(workspace: Workspace) -> list[str]:
    from labkit.artifacts import Kind  # noqa: PLC0415 - keeps `labkit --help` quick

    started = workspace.artifacts.history(kind=Kind.RUN_STARTED, limit=10)
    return [fact.run for fact in reversed(started) if fact.run]


def _versions(workspace: Workspace) -> list[str]:
    names = git_text(workspace.shop, "for-each-ref", "--format=%(refname:short)", "refs/tags", "refs/heads")
    return names.splitlines()


environments = _complete(_environments)
runs = _complete(_runs)
services = _complete(lambda workspace: workspace.system.services)
toggles = _complete(lambda workspace: workspace.system.toggles)
versions = _complete(_versions)

in_environment = click.option(
    "--environment",
    metavar="NAME",
    shell_complete=environments,
    help="The environment; default: the only one of the workspace.",
)
the_environment = click.argument("name", required=False, shell_complete=environments)

"""`labkit database`: keep the state of an environment's database under a name, and restore it."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit.cli._select import environment_of, in_environment
from labkit.cli._show import as_json, in_workspace, print_json, print_table, say
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.postgres import Database

the_snapshot = click.argument("name", default="snapshot")


@click.group()
def database() -> None:
    """Snapshot and restore the database of an environment.

    A snapshot is a copy inside the database server: it lasts until the environment is cleaned up, and any
    process can restore it.
    """


@database.command()
@the_snapshot
@in_environment
@in_workspace
@as_json
def snapshot(name: str, environment: str | None, root: Path | None, *, as_json: bool) -> None:
    """Keep the present state under NAME. An older snapshot of that name is replaced.

    The connections to the database end; the services connect again.

    Example: labkit database snapshot before-the-test
    """
    where, kept = _database(root, environment)
    kept.snapshot(name)
    if as_json:
        print_json({"environment": where, "snapshot": name})
    else:
        say(f"kept as {name}; to restore it: labkit database restore {shlex.quote(name)}")


@database.command()
@the_snapshot
@in_environment
@in_workspace
@as_json
def restore(name: str, environment: str | None, root: Path | None, *, as_json: bool) -> None:
    """Restore the state that the snapshot NAME has kept: rows, sequences and schema.

    What was written since is lost. The connections to the database end; the services connect again.

    Example: labkit database restore before-the-test
    """
    where, kept = _database(root, environment)
    known = kept.snapshots()
    if name not in known:
        next_step = f"name one of them, or take it first: labkit database snapshot {shlex.quote(name)}"
        raise LabError(f"a snapshot: {', '.join(known) or 'there is none'}", repr(name), next_step)
    kept.restore(name)
    if as_json:
        print_json({"environment": where, "snapshot": name})
    else:
        say(f"{where} has the state of {name} again")


@database.command("list")
@in_environment
@in_workspace
@as_json
def list_snapshots(environment: str | None, root: Path | None, *, as_json: bool) -> None:
    """List the snapshots of the environment's database.

    Example: labkit database list
    """
    where, kept = _database(root, environment)
    names = kept.snapshots()
    if as_json:
        print_json([{"environment": where, "snapshot": name} for name in names])
        return
    print_table(("snapshot",), [(name,) for name in names], empty="there is no snapshot")


def _database(root: Path | None, environment: str | None) -> "tuple[str, Database]":
    """Return an environment's name and its database.

    :raises LabError: when it has none.
    """
    live = environment_of(root, environment)
    if live.database is None:
        next_step = "labkit environment create --stage integration"
        raise LabError("an environment with a database", f"{live.name} has none", next_step)
    return live.name, live.database

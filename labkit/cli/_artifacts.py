"""`labkit artifacts`: the chapter's questions to the artifact database."""

import shlex
import sys
from pathlib import Path

import click

from labkit.cli._select import runs, services
from labkit.cli._show import as_json, console, in_workspace, print_json, print_table
from labkit.errors import LabError
from labkit.system import STAGES
from labkit.workspace import Workspace

SHORT = 12


@click.group()
def artifacts() -> None:
    """Query the artifact database. It knows what runs, what went into it, and what happened."""


@artifacts.command("what-runs")
@click.argument("service", shell_complete=services)
@click.option(
    "--stage",
    type=click.Choice(STAGES),
    default="production",
    show_default=True,
    help="The stage that it runs in.",
)
@in_workspace
@as_json
def what_runs(service: str, stage: str, root: Path | None, *, as_json: bool) -> None:
    """Show what runs as SERVICE. The list is what went into it, such as code, packages, tests and tools.

    Example: labkit artifacts what-runs cart --stage staging
    """
    running = Workspace.open(root).artifacts.what_runs(service, stage)
    if running is None:
        raise LabError(
            f"a deployment of {service} in {stage}",
            "no such deployment is recorded, or it was removed",
            "deploy it with `labkit pipeline run`, or name another service or --stage",
        )
    if as_json:
        print_json(running.to_json())
        return
    commit = f", commit {running.commit[:SHORT]}" if running.commit else ""
    console.print(f"{service} in {stage} runs image {_short(running.image.digest)}{commit}", markup=False)
    for image in running.beside:
        console.print(f"beside it runs image {_short(image.digest)}: see labkit deployment status {service}")
    rows = [
        (role, reference.uri, _short(reference.digest))
        for role, references in running.references.items()
        for reference in references
    ]
    print_table(("role", "what", "digest"), rows, empty="nothing is recorded about this image")


@artifacts.command("where-is")
@click.argument("purl")
@in_workspace
@as_json
def where_is(purl: str, root: Path | None, *, as_json: bool) -> None:
    """List the services that contain PURL, a package URL or a name. Without a version it means all versions.

    Example: labkit artifacts where-is pkg:pypi/starlette
    """
    database = Workspace.open(root).artifacts
    try:
        places = database.where_is(purl)
    except LabError as problem:
        raise click.BadParameter(f"expected {problem.expected}; seen {problem.seen}") from problem
    if as_json:
        print_json([place.to_json() for place in places])
    if not places:
        raise _nowhere(purl, database.nearest(purl))
    if as_json:
        return
    rows = [
        (place.stage, place.service, _short(place.image.digest), reference.role, reference.uri)
        for place in places
        for reference in place.references
    ]
    print_table(("stage", "service", "image", "role", "what"), rows, empty="")


def _nowhere(text: str, nearest: list[str]) -> LabError:
    """Return the error for a package that nothing contains; nearest are names like it that something has."""
    seen = f"none; the nearest: {', '.join(nearest)}" if nearest else "none, and no name is like it"
    if nearest:
        next_step = f"labkit artifacts where-is {shlex.quote(nearest[0])}"
    else:
        next_step = "labkit artifacts what-runs SERVICE lists all that a service contains"
    return LabError(f"a deployed service that contains {text}", seen, next_step)


def _short(digest: str) -> str:
    return digest.partition(":")[2][:SHORT]


@artifacts.command()
@click.option("--run", metavar="RUN", shell_complete=runs, help="Only the facts of this pipeline run.")
@click.option(
    "--limit", type=click.IntRange(1), default=40, show_default=True, help="How many facts, the newest ones."
)
@in_workspace
@as_json
def history(run: str | None, limit: int, root: Path | None, *, as_json: bool) -> None:
    """List what happened, the oldest first.

    Example: labkit artifacts history --limit 100
    """
    database = Workspace.open(root).artifacts
    facts = database.history(run=run, limit=limit)
    if run is not None and not facts:
        from labkit.pipeline import Run  # noqa: PLC0415 - keeps `labkit --help` quick

        Run.read(database, run)  # raises the error that names the newest runs
    if as_json:
        print_json([fact.to_json() for fact in facts])
        return
    rows = [
        (fact.id, f"{fact.at:%H:%M:%S}", fact.kind.name.lower(), fact.stage or "", fact.subject.name, fact.by)
        for fact in facts
    ]
    print_table(("row", "at (UTC)", "what", "stage", "subject", "by"), rows, empty="nothing has happened yet")


@artifacts.command()
@in_workspace
@as_json
def verify(root: Path | None, *, as_json: bool) -> None:
    """Check signatures, chain and indexes. Print the first row that was edited, moved or removed.

    Example: labkit artifacts verify
    """
    result = Workspace.open(root).artifacts.verify()
    if as_json:
        print_json(result.to_json())
    elif result.ok:
        missing = f", none of the first {result.noted} missing" if result.noted is not None else ""
        console.print(f"{result.facts} facts, all signed, none changed{missing}")
        for line in result.unknown:
            console.print(f"not known: {line}", markup=False)
    else:
        place = "the database" if result.row is None else f"row {result.row}"
        console.print(f"{place}: {result.problem}", markup=False)
    sys.exit(0 if result.ok else 1)

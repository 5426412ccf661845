"""`labkit data`: generate production-like data, survey a database, obscure it, audit the result."""

import sys
from pathlib import Path

import click

from labkit.cli._show import as_json, console, print_json, print_table, step_printer
from labkit.workspace import Workspace


@click.group()
def data() -> None:
    """Make test databases: generate, survey, obscure and audit. A database is given as its URL."""


@data.command()
@click.argument("url")
@click.option("--customers", default=1000, show_default=True, help="How many people the data is about.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same data.")
@as_json
def generate(url: str, customers: int, seed: int, *, as_json: bool) -> None:
    """Fill the empty database at URL with a pharmacy's data about nobody."""
    from labkit import testdata  # noqa: PLC0415 - loads polars, which the other commands need not wait for

    made = testdata.generate(url, customers, seed=seed, progress=step_printer())
    if as_json:
        print_json(vars(made))
        return
    print_table(("table", "rows"), made.rows.items(), empty="no table")


@data.command()
@click.argument("url")
@as_json
def survey(url: str, *, as_json: bool) -> None:
    """Print a first policy for the database at URL: each column with a rule and the reason for it."""
    from labkit import testdata  # noqa: PLC0415 - as above

    found = testdata.survey(url)
    if as_json:
        print_json([{**vars(it), "rule": it.rule.toml()} for it in found.columns])
        return
    for cycle in found.cycles:
        step_printer()(f"a cycle of references: {' → '.join([*cycle, cycle[0]])}")
    click.echo(found.policy(), nl=False)


@data.command()
@click.argument("source")
@click.argument("target")
@click.option("--policy", "path", type=click.Path(path_type=Path), required=True, help="The rules, in TOML.")
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path), help="A file of 32 bytes; default: a forgotten key."
)
@as_json
def obscure(source: str, target: str, path: Path, key_file: Path | None, *, as_json: bool) -> None:
    """Copy the database at SOURCE into the empty one at TARGET, every column by its rule."""
    from labkit import testdata  # noqa: PLC0415 - as above

    key = None if key_file is None else key_file.read_bytes()
    done = testdata.obscure(source, target, testdata.Policy.load(path), key=key, progress=step_printer())
    if as_json:
        print_json(done.to_json())
        return
    print_table(("table", "rows"), done.rows.items(), empty="no table")
    console.print(f"obscured in {done.seconds} s, key {done.key_fingerprint} (its fingerprint, not the key)")


@data.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--policy", "path", type=click.Path(path_type=Path), help="The rules; default: by the columns' names."
)
@click.option("--no-attack", is_flag=True, help="Look nobody up with a list from outside.")
@click.option(
    "--workspace", "root", type=click.Path(path_type=Path), help="Record the report in this learner's folder."
)
@as_json
def audit(
    source: str, target: str, path: Path | None, root: Path | None, *, no_attack: bool, as_json: bool
) -> None:
    """Say what the test database at TARGET still tells of people, and leave with 1 if it is too much."""
    from labkit import testdata  # noqa: PLC0415 - as above

    policy = testdata.Policy.load(path) if path else None
    report = testdata.audit(source, target, policy, attack=not no_attack, progress=step_printer())
    if root:
        testdata.record(Workspace.open(root).artifacts, target, report)
    if as_json:
        print_json(report.to_json())
    else:
        print_table(("problem",), [(it,) for it in report.problems], empty="no problem was found")
        for line in report.lines:
            console.print(line, markup=False)
    sys.exit(0 if report.passed else 1)

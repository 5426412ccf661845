"""`labkit data`: generate production-like data, survey a database, obscure it, audit the result."""

import shlex
import sys
from pathlib import Path

import click

from labkit.cli._show import as_json, print_json, print_table, say, step_printer
from labkit.errors import LabError
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
    """Fill the empty database at URL with a pharmacy's data about invented people.

    Example: labkit data generate postgresql:///shop --customers 500
    """
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
    """Print a first policy for the database at URL: each column with a rule and the reason for it.

    Example: labkit data survey postgresql:///shop > policy.toml
    """
    from labkit import testdata  # noqa: PLC0415 - loads polars, as in generate

    surveyed = testdata.survey(url)
    if as_json:
        print_json(surveyed.to_json())
        return
    for cycle in surveyed.cycles:
        step_printer()(f"a cycle of references: {' → '.join([*cycle, cycle[0]])}")
    click.echo(surveyed.policy(), nl=False)


@data.command()
@click.argument("source")
@click.argument("target")
@click.option("--policy", "path", type=click.Path(path_type=Path), required=True, help="The rules, in TOML.")
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path),
    help="A file of 32 secret bytes; default: a new key that is not kept.",
)
@as_json
def obscure(source: str, target: str, path: Path, key_file: Path | None, *, as_json: bool) -> None:
    """Copy the database at SOURCE into the empty one at TARGET, and change each column by its rule.

    Example: labkit data obscure service=live service=test --policy p.toml
    """
    from labkit import testdata  # noqa: PLC0415 - loads polars, as in generate

    key = None if key_file is None else _read_key(key_file)
    done = testdata.obscure(source, target, testdata.Policy.load(path), key=key, progress=step_printer())
    if as_json:
        print_json(done.to_json())
        return
    print_table(("table", "rows"), done.rows.items(), empty="no table")
    say(f"obscured in {done.seconds} s, key {done.key_fingerprint} (its fingerprint, not the key)")


def _read_key(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        next_step = f"head -c 32 /dev/urandom > {shlex.quote(str(file))}"
        raise LabError(
            "a file of 32 secret bytes as --key", f"{fault.strerror}: {file}", next_step
        ) from fault


@data.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--policy",
    "path",
    type=click.Path(path_type=Path),
    help="The rules that were used, in TOML; default: judge columns by their names.",
)
@click.option(
    "--no-linkage-attack", is_flag=True, help="Do not try to re-identify people with a list from outside."
)
@click.option(
    "--workspace", "root", type=click.Path(path_type=Path), help="Record the report in this learner's folder."
)
@as_json
def audit(
    source: str, target: str, path: Path | None, root: Path | None, *, no_linkage_attack: bool, as_json: bool
) -> None:
    """Report what the test database at TARGET, made from SOURCE, still reveals about people.

    The exit code is 0 when the audit found no problem, and 1 when it found one.

    Example: labkit data audit postgresql:///shop postgresql:///test
    """
    from labkit import testdata  # noqa: PLC0415 - loads polars, as in generate

    policy = testdata.Policy.load(path) if path else None
    report = testdata.audit(
        source, target, policy, linkage_attack=not no_linkage_attack, progress=step_printer()
    )
    if root:
        testdata.record(Workspace.open(root).artifacts, target, report)
    if as_json:
        print_json(report.to_json())
    else:
        problems = [(problem,) for problem in report.problems]
        print_table(("problem",), problems, empty="no problem was found")
        for line in report.lines:
            say(line)
    sys.exit(0 if report.passed else 1)

"""`labkit deployment reconcile`: give a load balancer that was restarted its instances again."""

from pathlib import Path

import click

from labkit.cli._select import environment_of, in_environment
from labkit.cli._show import as_json, in_workspace, print_json, print_table


@click.command()
@in_environment
@in_workspace
@as_json
def reconcile(environment: str | None, root: Path | None, *, as_json: bool) -> None:
    """Attach the instances of all services again to a load balancer that was restarted.

    It has forgotten them, and answers 503. The next deployment, pipeline run or this command gives them back
    to it, with their versions; those that were on standby stay on standby. Delays and failures that were set,
    and routes made by hand, are lost.

    Example: labkit deployment reconcile
    """
    from labkit import deployment  # noqa: PLC0415 - keeps `labkit --help` quick

    live = environment_of(root, environment)
    attached = deployment.reconcile(live)
    if as_json:
        print_json({"environment": live.name, "attached": attached})
        return
    print_table(("instance", "now"), [*attached.items()], empty="the load balancer has forgotten nobody")

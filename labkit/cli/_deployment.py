"""`labkit deployment`: replace the instances of a service by those of another version, while they serve."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labkit.cli._deployment_reconcile import reconcile
from labkit.cli._deployment_status import status
from labkit.cli._select import environment_of, in_environment, services, versions
from labkit.cli._show import as_json, in_workspace, print_json, progress, say, step_printer

if TYPE_CHECKING:
    from labkit.deployment import Deployment, Fleet, Step

HEALTH_S = 10.0
ORDERS = {"oldest": "oldest_first", "newest": "newest_first", "idle": "idle_first"}


@click.group()
def deployment() -> None:
    """Replace a service's instances by another version.

    The service answers requests meanwhile. Ctrl-C finishes the step in hand and stops. As many instances as
    before serve then, perhaps of both versions. The same command goes on from there.
    """


deployment.add_command(status)
deployment.add_command(reconcile)


@dataclass(frozen=True)
class _Upgrade:
    """What every strategy is told: the options that all of them have."""

    service: str
    version: str
    environment: str | None
    root: Path | None
    ready_s: float
    drain_s: float
    health: str | None
    as_json: bool

    def run(self, strategy: Callable[..., "Deployment"], **particulars: object) -> None:
        """Deploy the version by a strategy of `labkit.deployment`, and leave with the exit code."""
        from labkit.deployment import Fleet, image_of  # noqa: PLC0415 - keeps `labkit --help` quick

        fleet = Fleet(environment_of(self.root, self.environment), self.service)
        image = image_of(fleet.workspace, self.service, self.version, progress=step_printer())
        health = _by_command(self.health, fleet.environment.urls[self.service]) if self.health else lambda: ""
        times = {"ready_s": self.ready_s, "drain_s": self.drain_s}
        _deploy(fleet, partial(strategy, fleet, image, health=health, **times, **particulars), self.as_json)


def _strategy(command: Callable[..., None]) -> Callable[..., None]:
    """Add the arguments and options that all strategies have, and hand them to a command as one upgrade."""
    names = [field.name for field in fields(_Upgrade)]

    @wraps(command)
    def call(**given: Any) -> None:  # noqa: ANN401 - click's own values
        command(_Upgrade(**{name: given.pop(name) for name in names}), **given)

    for option in (
        as_json,
        in_workspace,
        in_environment,
        click.option(
            "--health", metavar="COMMAND", help="Withdraw the version when this shell command fails."
        ),
        click.option("--drain-s", default=10.0, show_default=True, help="Seconds for open requests to end."),
        click.option(
            "--ready-s", default=30.0, show_default=True, help="Seconds for an instance to be ready."
        ),
        click.argument("version", shell_complete=versions),
        click.argument("service", shell_complete=services),
    ):
        call = option(call)
    return call


@deployment.command()
@click.option(
    "--surge",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="How many more instances than before may run.",
)
@click.option(
    "--unavailable",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="How many fewer than before may serve.",
)
@click.option(
    "--order",
    type=click.Choice([*ORDERS]),
    default="oldest",
    show_default=True,
    help="Which old instances go first.",
)
@_strategy
def rolling(upgrade: _Upgrade, *, surge: int, unavailable: int, order: str) -> None:
    """Replace the instances of SERVICE by VERSION, some at a time.

    VERSION is a tag, a branch or a commit of the workspace's shop repository. The shell command of --health
    is run between two steps, and finds the service's address in $LABKIT_URL.

    Example: labkit deployment rolling cart v2 --surge 2
    """
    from labkit import deployment as strategies  # noqa: PLC0415 - keeps `labkit --help` quick

    if surge + unavailable == 0:
        message = "give 1 or more for --surge or --unavailable"
        raise click.UsageError(message)
    chosen = getattr(strategies, ORDERS[order])
    upgrade.run(strategies.rolling, surge=surge, unavailable=unavailable, order=chosen)


@deployment.command("blue-green")
@click.option("--keep", is_flag=True, help="Leave the old instances on standby, for a quick roll-back.")
@_strategy
def blue_green(upgrade: _Upgrade, *, keep: bool) -> None:
    """Start VERSION beside the instances of SERVICE, and switch all requests to it at one moment.

    VERSION is a tag, a branch or a commit of the workspace's shop repository. The shell command of --health
    is run right after the switch, and finds the service's address in $LABKIT_URL.

    Example: labkit deployment blue-green cart v2 --keep
    """
    from labkit import deployment as strategies  # noqa: PLC0415 - keeps `labkit --help` quick

    upgrade.run(strategies.blue_green, keep=keep)


@deployment.command()
@click.option(
    "--instances",
    type=click.IntRange(1),
    multiple=True,
    help="So many canaries for everybody; again: a step.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    multiple=True,
    help="This part (0 to 1) of the clients; again: a step.",
)
@click.option("--group", help="The clients that name this group in the header X-Group.")
@click.option("--user", multiple=True, help="The user of this name, by the header X-User; may come again.")
@click.option("--discovery", metavar="NAME", help="The clients that find the service under this name.")
@click.option(
    "--watch-s",
    type=click.FloatRange(0, min_open=True),
    default=20.0,
    show_default=True,
    help="Seconds to watch each step.",
)
@click.option(
    "--least-requests",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="So many requests have to reach the canary in a step; fewer are no evidence.",
)
@_strategy
def canary(upgrade: _Upgrade, *, watch_s: float, least_requests: int, **groups: Any) -> None:  # noqa: ANN401 - click's own values
    """Serve some clients of SERVICE by VERSION first, watch, then serve everybody by it.

    VERSION is a tag, a branch or a commit of the workspace's shop repository. Give one kind of client, or
    none for one canary that anybody may meet. What speaks against the version is the load balancer's health
    check, and the shell command of --health, which finds the service's address in $LABKIT_URL. A canary that
    no request reached is taken back: send some by `labkit load run`.

    Example: labkit deployment canary cart v2 --share 0.1 --share 0.5
    """
    from labkit import deployment as strategies  # noqa: PLC0415 - keeps `labkit --help` quick

    chosen = {name: value for name, value in groups.items() if value}
    if len(chosen) > 1:
        message = f"give one kind of client, not {' and '.join(f'--{name}' for name in chosen)}"
        raise click.UsageError(message)
    for name in ("instances", "share"):
        if sorted({*groups[name]}) != [*groups[name]]:
            message = f"the steps of --{name} have to grow"
            raise click.UsageError(message)
    kinds: Mapping[str, Callable[[Any], strategies.Group]] = {
        "instances": lambda numbers: strategies.everybody(*numbers),
        "share": lambda parts: strategies.share(*parts),
        "group": strategies.group,
        "user": lambda names: strategies.users(*names),
        "discovery": strategies.discovery,
    }
    to = next((kinds[name](value) for name, value in chosen.items()), None)
    upgrade.run(strategies.canary, to=to, watch_s=watch_s, least_requests=least_requests)


@deployment.command("roll-back")
@click.argument("service", shell_complete=services)
@in_environment
@in_workspace
@as_json
def roll_back(service: str, environment: str | None, root: Path | None, *, as_json: bool) -> None:
    """Serve again by the version that SERVICE had before its last deployment.

    Example: labkit deployment roll-back cart
    """
    from labkit import deployment as strategies  # noqa: PLC0415 - keeps `labkit --help` quick

    fleet = strategies.Fleet(environment_of(root, environment), service)
    _deploy(fleet, partial(strategies.roll_back, fleet), as_json)


def _deploy(fleet: "Fleet", deploy: Callable[..., "Deployment"], as_json: bool) -> None:  # noqa: FBT001 - private
    """Run a deployment with progress, print its result, and leave with the exit code."""
    try:
        done = deploy(on_event=_print_step)
    except KeyboardInterrupt:
        say(f"{fleet!r}; the same command goes on from there", to=progress)
        raise
    deployed = done.result == "deployed"
    if as_json:
        print_json({"environment": fleet.environment.name, **done.to_json()})
    elif done.from_image is None and deployed:
        say(f"{done.service} ran {done.to_image} already")
    else:
        words = f"{done.service}: {done.to_image} {done.result} in {done.seconds:.1f} s"
        say(f"{words}: {done.reason}" if done.reason else words)
    sys.exit(0 if deployed else 1)


def _print_step(step: "Step") -> None:
    line = f"{step.at_s:6.1f} s  {step.instance or step.image:<12} {step.words}"
    say(line, to=progress)


def _by_command(command: str, url: str) -> Callable[[], str]:
    """Return a health function that runs a shell command; its failure is the reason to withdraw a version."""

    def health() -> str:
        # In a session of its own, so that Ctrl-C ends the deployment and not the command, which then fails.
        with subprocess.Popen(
            ["sh", "-c", command],
            env=os.environ | {"LABKIT_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=HEALTH_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return f"the health command took longer than {HEALTH_S:g} s"
        if process.returncode == 0:
            return ""
        last = output.strip().rpartition("\n")[2] or f"exit code {process.returncode}"
        return f"the health command failed: {last}"

    return health

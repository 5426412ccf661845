"""`labkit toggle`: list the feature toggles of an environment, set one, switch one consistently."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labkit.cli._select import environment_of, in_environment, services, toggles
from labkit.cli._show import as_json, in_workspace, print_json, print_table, say
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.toggles import ToggleStore
    from labkit.workspace import Workspace

NOT_SET = "off"
"""How a toggle stands that nobody has set."""

the_toggle = click.argument("name", shell_complete=toggles)
on_or_off = click.Choice(["on", "off"])


@click.group()
def toggle() -> None:
    """List, set and switch the feature toggles of an environment."""


@toggle.command("list")
@in_environment
@in_workspace
@as_json
def list_toggles(environment: str | None, root: Path | None, *, as_json: bool) -> None:
    """List the toggles: how each one stands, its owner, and the day by which it is to be removed.

    A toggle past its day is listed with the places in the code that still ask for it.

    Example: labkit toggle list
    """
    workspace, store = _store(root, environment)
    listed = _toggles(workspace, store)
    if as_json:
        print_json(listed)
        return
    rows = [
        (one["name"], one["value"], one["owner"] or "", one["remove_by"] or "", " ".join(one["places"]))
        for one in listed
    ]
    columns = ("toggle", "value", "owner", "remove by", "past its day, still in")
    print_table(columns, rows, empty="system.toml declares no toggle, and none is set")


@toggle.command("set")
@the_toggle
@click.argument("value", type=on_or_off, required=False)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    help="On for this part (0 to 1) of the keys, such as customers' ids.",
)
@in_environment
@in_workspace
@as_json
def set_toggle(
    name: str,
    value: str | None,
    share: float | None,
    environment: str | None,
    root: Path | None,
    *,
    as_json: bool,
) -> None:
    """Set the toggle NAME on or off, or on for a share. Each instance follows when it hears of the change.

    Example: labkit toggle set basket_discount --share 0.1
    """
    if (value is None) == (share is None):
        message = "give either on or off, or --share"
        raise click.UsageError(message)
    workspace, store = _store(root, environment)
    _refuse_unknown(workspace, store, name)
    revision = store.set(name, on=value == "on", share=share)
    _print_result(store, name, revision, as_json=as_json)


@toggle.command()
@the_toggle
@click.argument("value", type=on_or_off)
@click.argument("service", nargs=-1, required=True, shell_complete=services)
@click.option(
    "--deadline-s",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Seconds for all instances to be ready.",
)
@in_environment
@in_workspace
@as_json
def switch(
    name: str,
    value: str,
    service: tuple[str, ...],
    deadline_s: float,
    environment: str | None,
    root: Path | None,
    *,
    as_json: bool,
) -> None:
    """Switch the toggle NAME on or off for all instances of each SERVICE at one moment.

    Name the services whose code asks for the toggle. When an instance of them is not ready in time, nothing
    is switched.

    Example: labkit toggle switch basket_discount on cart
    """
    from labkit.toggles import switch as switch_toggle  # noqa: PLC0415 - keeps `labkit --help` quick

    workspace, store = _store(root, environment)
    _refuse_unknown(workspace, store, name)
    if unknown := [one for one in service if one not in workspace.system.services]:
        known = ", ".join(workspace.system.services)
        raise LabError(f"services of the system: {known}", ", ".join(unknown), "name some of them")
    revision = switch_toggle(store, name, service, on=value == "on", deadline_s=deadline_s)
    _print_result(store, name, revision, as_json=as_json)


def _store(root: Path | None, environment: str | None) -> "tuple[Workspace, ToggleStore]":
    from labkit.toggles import ToggleStore  # noqa: PLC0415 - keeps `labkit --help` quick

    live = environment_of(root, environment)
    return live.workspace, ToggleStore(live.coordinator)


def _toggles(workspace: "Workspace", store: "ToggleStore") -> list[dict[str, Any]]:
    """Return the toggles that are declared or set, by name, as JSON data."""
    from labkit.toggles import stale  # noqa: PLC0415 - keeps `labkit --help` quick

    system, values = workspace.system, store.all()
    places = {one.name: one.places for one in stale(system)}
    return [
        {
            "name": name,
            "value": values.get(name, NOT_SET),
            "owner": system.toggles[name].owner if name in system.toggles else None,
            "remove_by": system.toggles[name].remove_by if name in system.toggles else None,
            "stale": name in places,
            "places": places.get(name, ()),
        }
        for name in sorted({*system.toggles, *values})
    ]


def _refuse_unknown(workspace: "Workspace", store: "ToggleStore", name: str) -> None:
    """Refuse a toggle that is neither declared nor set: no code would ever ask for a mistyped one.

    :raises LabError: for that.
    """
    known = sorted({*workspace.system.toggles, *store.all()})
    if name not in known:
        next_step = f"name one of them, or declare [toggles.{name}] in {workspace.shop / 'system.toml'}"
        raise LabError(f"a toggle: {', '.join(known) or 'none is declared'}", repr(name), next_step)


def _print_result(store: "ToggleStore", name: str, revision: int, *, as_json: bool) -> None:
    value = store.all()[name]
    if as_json:
        print_json({"name": name, "value": value, "revision": revision})
    else:
        say(f"{name} is {value} (revision {revision})")

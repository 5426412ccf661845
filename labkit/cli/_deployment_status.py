"""`labkit deployment status`: which versions serve, who gets how much, and how the last deployment ended."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labkit.cli._select import environment_of, in_environment, services
from labkit.cli._show import as_json, in_workspace, print_json, print_table, say

if TYPE_CHECKING:
    from labkit.deployment import Fleet
    from labkit.environment import Instance


@click.command()
@click.argument("service", required=False, shell_complete=services)
@in_environment
@in_workspace
@as_json
def status(service: str | None, environment: str | None, root: Path | None, *, as_json: bool) -> None:
    """Show the instances of SERVICE, or of all services, and the last deployment of each.

    "healthy" needs requests in the last seconds, of which at most 1 % failed. Without any request it is
    "no evidence". The share of an instance is the part of its service's requests that it gets.

    Example: labkit deployment status cart
    """
    from labkit.deployment import Fleet  # noqa: PLC0415 - keeps `labkit --help` quick

    live = environment_of(root, environment)
    states = [_state(Fleet(live, name)) for name in ([service] if service else live.services)]
    if as_json:
        print_json(states)
        return
    rows = [
        (state["service"], one["name"], one["version"], one["state"], f"{one['share']:.0%}", one["requests"])
        for state in states
        for one in state["instances"]
    ]
    columns = ("service", "instance", "version", "state", "share", "requests")
    print_table(columns, rows, empty="no service runs here")
    for state in states:
        say(f"{state['service']}: {_in_words(state)}")


def _state(fleet: "Fleet") -> dict[str, Any]:
    """Return the state of a fleet as JSON data."""
    from labkit.balancer import TRAFFIC_S  # noqa: PLC0415 - keeps `labkit --help` quick
    from labkit.deployment import latest, status  # noqa: PLC0415 - as above

    environment, instances, last = fleet.environment, fleet.instances, latest(fleet)
    servers, shares = fleet.balancer.servers(fleet.service), _shares(fleet, instances)
    traffic = fleet.balancer.traffic(fleet.service)
    return {
        "environment": environment.name,
        "service": fleet.service,
        "status": str(status(fleet)),
        "traffic": {"seconds": TRAFFIC_S, "requests": traffic.requests, "failed": traffic.failed},
        "versions": fleet.versions,
        "instances": [
            {
                "name": one.name,
                "version": one.version,
                "image": one.image,
                "state": one.state,
                "share": round(shares[one.name], 4),
                "requests": servers[one.name].requests if one.name in servers else 0,
            }
            for one in instances
        ],
        "deployment": last
        and {
            "state": last.predicate.get("deployment") or last.predicate["result"],
            "to_image": last.predicate["to_image"],
            "reason": last.predicate["reason"],
            "at": last.at,
            "by": last.by,
        },
    }


def _shares(fleet: "Fleet", instances: "Sequence[Instance]") -> dict[str, float]:
    """Return the part (0 to 1) of the requests that each instance gets; canaries have their own."""
    routed = fleet.balancer.routed()
    own = {one.name: routed[one.name] for one in instances if one.name in routed}
    others = [one.name for one in instances if one.state == "UP" and one.name not in own]
    rest = (1 - sum(own.values())) / max(1, len(others))
    return {one.name: own.get(one.name, rest if one.name in others else 0.0) for one in instances}


def _in_words(state: Mapping[str, Any]) -> str:
    last, traffic = state["deployment"], state["traffic"]
    failed = (
        f"{traffic['failed']} of {traffic['requests']} requests failed in the last {traffic['seconds']} s"
    )
    now = f"{state['status']}; {failed}"
    if last is None:
        return f"{now}; no deployment since it was created"
    words = f"{now}; last deployment: {last['to_image']} {last['state']}"
    because = f": {last['reason']}" if last["reason"] else ""
    return f"{words}{because} ({last['at']:%Y-%m-%d %H:%M:%S} UTC, by {last['by']})"

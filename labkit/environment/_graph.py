"""Who calls whom: the service graph, read from the logs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

CLIENTS = "clients"
"""Who calls from outside."""

BROKEN = 500
"""HTTP's first status that is the server's fault."""


@dataclass(frozen=True)
class Call:
    """One line of the service graph: who calls whom, as "cart/v1", how often, and how that went.

    caller is "clients" for requests from outside. called has no version for an external service, nor when
    no instance was there to answer. failed counts the answers with status 500 or higher. p50_ms is the
    median time until the answer, in milliseconds.
    """

    caller: str
    called: str
    requests: int
    failed: int
    p50_ms: float


def calls_of(lines: Iterable[Mapping[str, Any]]) -> list[Call]:
    """Return the calls in these log lines, those from outside first; other lines are ignored."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        if "status" in line and "ms" in line:
            groups[line.get("caller") or CLIENTS, _called(line)].append(line)
    calls = [
        Call(
            caller=caller,
            called=called,
            requests=len(group),
            failed=sum(line["status"] >= BROKEN for line in group),
            p50_ms=median(line["ms"] for line in group),
        )
        for (caller, called), group in groups.items()
    ]
    return sorted(calls, key=lambda call: (call.caller != CLIENTS, call.caller, call.called))


def _called(line: Mapping[str, Any]) -> str:
    """Return who was called, also when the balancer answered because the service has no instance left."""
    service = line.get("backend") or line["service"]
    version = line.get("version", "unknown")
    return f"{service}/{version}" if version != "unknown" else str(service)

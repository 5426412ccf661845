"""Finds the gates and strategies that pipeline.toml names, wherever they are, and reads their tables."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from labkit._open_table import OpenTable, T
from labkit.deployment import STRATEGIES, Deployment, Strategy, WatchLimits
from labkit.errors import LabError
from labkit.pipeline._registry import GATES, Gate
from labkit.system import TomlTable, nearest

ROLLING = "rolling"


@dataclass(frozen=True)
class ProductionStrategy:
    """A strategy with what its table says.

    deploy takes a fleet, an image, health and on_event. limits are the most that customers may measure
    during a deployment; a version with which they measure more is withdrawn.
    """

    deploy: partial[Deployment]
    limits: WatchLimits


def check_gate(stage: TomlTable, name: str, kind: str, declared: TomlTable) -> None:
    """Refuse a gate in a stage's list that cannot run in its kind of environment.

    declared is the table [gates].

    :raises LabError: when there is no such gate.
    """
    gate = _gate(stage, "gates", name, declared)
    if gate is None or kind not in gate.stages:
        expected = f"gates that can run in a {kind} environment: {', '.join(_possible(kind))}"
        own = f', or write [gates.{name}] with run = "COMMAND"' if gate is None else ""
        stage.refuse("gates", expected, name, f"remove {name!r} or correct it{own}")


def read_gates(declared: TomlTable, listed: Iterable[str]) -> tuple[dict[str, Gate], dict[str, Any]]:
    """Return the gates that stages list or that have a table, and the options of each, by name.

    :raises LabError: when a table belongs to no gate, or has a mistake.
    """
    gates: dict[str, Gate] = {}
    for name in [*listed, *declared.written]:
        gate = _gate(declared, name, name, declared)
        if gate is None:
            names = GATES.names()
            next_step = nearest(name, names) or f'write run = "COMMAND" in [gates.{name}], or take it out'
            declared.refuse(name, f"a gate: one of {', '.join(names)}, or a command", name, next_step)
        gates[name] = gate
    return gates, {name: _options(declared.table(name), gate.read_options) for name, gate in gates.items()}


def read_strategies(declared: TomlTable, named: Iterable[str]) -> dict[str, ProductionStrategy]:
    """Return the strategies that production names or that have a table, by name.

    :raises LabError: when there is no such strategy, or its table has a mistake.
    """
    return {name: _strategy(declared, name) for name in [*named, *declared.written]}


def find_strategy(place: TomlTable, key: str, name: str) -> Strategy:
    """Return the strategy that a key of a table names.

    :raises LabError: when there is none.
    """
    strategy = _find(STRATEGIES, place, key, name)
    if strategy is None:
        names = STRATEGIES.names()
        expected = f"a strategy: one of {', '.join(names)}"
        place.refuse(key, expected, name, nearest(name, names) or f"write {ROLLING}")
    return strategy


def _strategy(declared: TomlTable, name: str) -> ProductionStrategy:
    strategy, table = find_strategy(declared, name, name), declared.table(name)
    limits = WatchLimits(
        error_share=table.number("error_share", default=0.0, zero=True),
        p99_ms=table.number("p99_ms", default=5000.0),
    )
    return ProductionStrategy(partial(strategy.deploy, **_options(table, strategy.read_options)), limits)


def _gate(place: TomlTable, key: str, name: str, declared: TomlTable) -> Gate | None:
    """Return the gate of this name: labkit's own, a package's, or the command of a table with `run`."""
    gate = _find(GATES, place, key, name)
    if gate is None and declared.has(name) and declared.table(name).has("run"):
        command = GATES.find("command")
        return replace(command, name=name) if command else None
    return gate


def _find(names: OpenTable[T], place: TomlTable, key: str, name: str) -> T | None:
    try:
        return names.find(name)
    except LabError as fault:
        place.refuse(key, fault.expected, fault.seen, fault.next_step)


def _possible(kind: str) -> list[str]:
    """Return the gates for a kind of environment; those of packages are not imported for that."""
    known = {name: GATES.known(name) for name in GATES.names()}
    return [name for name, gate in known.items() if gate is None or kind in gate.stages]


def _options(table: TomlTable, read: Callable[[TomlTable], Any]) -> Any:  # noqa: ANN401 - each one's own
    options = read(table)
    table.refuse_unknown()
    return options

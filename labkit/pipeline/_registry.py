"""The table of the gates: what a gate is, and how one is registered."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from labkit._open_table import OpenTable
from labkit.artifacts import Reference
from labkit.checks import Report
from labkit.errors import LabError
from labkit.system import STAGES, TomlTable


@dataclass(frozen=True)
class Answer:
    """One answer of a gate: the report, and what it rests on besides the tool, such as tests.

    service is the one service whose image the answer is about. None means what the gate was asked about: the
    module in development, all services elsewhere.
    """

    report: Report
    references: Sequence[Reference] = ()
    service: str | None = None


Ask = Callable[[Any], Iterable[Answer]]
"""Asks a gate, given a `GateContext`: any, because the pipeline that one holds is made of gates."""

ReadOptions = Callable[[TomlTable], Any]
A = TypeVar("A", bound=Ask)


@dataclass(frozen=True)
class Gate:
    """One gate: its name, the kinds of environment (of `STAGES`) that it can run in, and what it asks.

    read_options reads the gate's table in pipeline.toml, [gates.NAME], which is empty when nobody wrote it.
    """

    name: str
    stages: frozenset[str]
    ask: Ask
    read_options: ReadOptions


GATES: OpenTable[Gate] = OpenTable("labkit.gates")


def gate(name: str, *, stages: Collection[str], options: ReadOptions = lambda _: None) -> Callable[[A], A]:
    """Register a function as the gate of this name, which a stage of pipeline.toml then lists.

    The function gets a `GateContext` and yields one `Answer` or more. stages are the kinds of environment
    that it can run in. options reads the table [gates.NAME] and returns what the context has as `options`; a
    key that it does not read is refused. By default there are no options.

    :raises LabError: when a stage is none of `STAGES`, or another module has a gate of this name.
    """
    if unknown := set(stages) - set(STAGES):
        expected = f"stages = some of {', '.join(STAGES)}"
        raise LabError(expected, ", ".join(sorted(unknown)), f"correct stages in @gate({name!r})")

    def register(ask: A) -> A:
        GATES.add(name, Gate(name, frozenset(stages), ask, options), ask.__module__)
        return ask

    return register

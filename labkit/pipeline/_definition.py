"""The pipeline as data: pipeline.toml names the stages, what triggers each, and the gates in each."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from labkit.errors import LabError
from labkit.load import Arrival, Request
from labkit.pipeline._declared import (
    ROLLING,
    ProductionStrategy,
    check_gate,
    find_strategy,
    read_gates,
    read_strategies,
)
from labkit.pipeline._reader import PipelineTable
from labkit.pipeline._registry import Gate
from labkit.system import STAGES, TomlTable


@dataclass(frozen=True)
class Stage:
    """One stage: its name, the kind of its environment (one of `STAGES`), its trigger, its gates in order.

    strategy is how production replaces its instances, "" in the other stages.
    """

    name: str
    environment: str
    trigger: str
    gates: tuple[str, ...]
    strategy: str = ""


@dataclass(frozen=True)
class Traffic:
    """The requests of simulated customers to the system's entry: requests a second, and their weights."""

    rate_per_s: float
    mix: Mapping[Arrival, float]


@dataclass(frozen=True)
class Pipeline:
    """A pipeline as its pipeline.toml describes it.

    gates are those that a stage lists or that have a table, options what the table of each says, as the gate
    reads it. strategies are those that production names or that have a table. All three by name.
    """

    stages: tuple[Stage, ...]
    traffic: Traffic
    gates: Mapping[str, Gate]
    options: Mapping[str, Any]
    strategies: Mapping[str, ProductionStrategy]

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read pipeline.toml, given as a file or as its folder.

        :raises LabError: when there is none, or when it has a mistake: with the file, the key and the fix.
        """
        file = Path(path)
        file = file / "pipeline.toml" if file.is_dir() else file
        return cls._from(PipelineTable(_read(file), file.name))

    @classmethod
    def _from(cls, top: TomlTable) -> Self:
        _refuse_approval(top)
        stages = _stages(top)
        gates, options = read_gates(top.table("gates"), [gate for stage in stages for gate in stage.gates])
        pipeline = cls(
            stages=stages,
            traffic=_traffic(top.table("traffic")),
            gates=gates,
            options=options,
            strategies=read_strategies(
                top.table("strategies"), [stage.strategy for stage in stages if stage.strategy]
            ),
        )
        top.refuse_unknown()  # last, because a table knows its keys by having been asked for them
        return pipeline


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise LabError(
            "a pipeline.toml beside system.toml in the commit",
            f"no {file.name} in the folder {file.parent.name}",
            "copy the course's labs/shop/pipeline.toml and commit it",
        ) from fault
    except tomllib.TOMLDecodeError as fault:
        raise LabError(
            f"{file.name} is TOML", str(fault), f"correct that line of {file.name} and commit"
        ) from fault


def _refuse_approval(top: TomlTable) -> None:
    """Refuse what no commit decides: a commit that says that nobody has to approve it needs no approval."""
    for key in ("approval", "approval_timeout_s"):
        if top.has(key):
            value = str(top.value(key)).lower()
            next_step = f"remove {key}, commit, and write {key} = {value} in .labkit/settings.toml"
            top.refuse(key, "not here, because the workspace decides who approves", top.value(key), next_step)


def _traffic(table: TomlTable) -> Traffic:
    mix: dict[Arrival, float] = {}
    for entry in table.array("requests") if table.has("requests") else []:
        text = entry.text("send")
        try:
            request = replace(Request.parse(text), body=entry.value("body"))
        except LabError as fault:
            entry.refuse("send", fault.expected, text, fault.next_step)
        mix[request] = entry.number("weight", default=1.0)
        entry.refuse_unknown()
    traffic = Traffic(table.number("rate_per_s", default=10.0), mix or {Request("GET", "/"): 1.0})
    table.value("requests")  # known also where nobody wrote it, so that a misspelt key is compared with it
    table.refuse_unknown()
    return traffic


def _stages(top: TomlTable) -> tuple[Stage, ...]:
    declared = top.table("gates")
    stages: list[Stage] = []
    for table in top.array("stages"):
        stage = _stage(table)
        for gate in stage.gates:
            check_gate(table, gate, stage.environment, declared)
        _check_place(table, stage, stages)
        table.refuse_unknown()
        stages.append(stage)
    return tuple(stages)


def _stage(table: TomlTable) -> Stage:
    name = table.text("name")
    kind = table.text("environment", default=name)
    if kind not in STAGES:
        key = "environment" if table.has("environment") else "name"
        next_step = f'write environment = "…" with one of {", ".join(STAGES)}, or name the stage so'
        table.refuse(key, f"a kind of environment, one of {', '.join(STAGES)}", kind, next_step)
    strategy = ""
    if kind == "production":
        strategy = table.text("strategy", default=ROLLING)
        find_strategy(table, "strategy", strategy)
    return Stage(name, kind, table.text("trigger"), table.texts("gates"), strategy)


def _check_place(table: TomlTable, stage: Stage, before: list[Stage]) -> None:
    # Stages form one line. The key is there to be read, and to fail when somebody reorders the stages.
    trigger = f"{before[-1].name}.cleaned-up" if before else "commit"
    if stage.trigger != trigger:
        expected = (
            f"the clean-up of the stage before, {trigger!r}" if before else "'commit', as the first stage"
        )
        table.refuse("trigger", expected, stage.trigger, f'write trigger = "{trigger}"')
    if stage.name in {other.name for other in before}:
        table.refuse("name", "a name that no other stage has", stage.name, "give the stage another name")
    if any(other.environment == "production" for other in before):
        table.refuse("name", "production as the last stage", stage.name, "move it before production")

"""The pipeline as data: pipeline.toml names the stages, what triggers each, and the gates in each."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from labkit.errors import LabError
from labkit.load import Arrival, Request
from labkit.pipeline._reader import PipelineTable
from labkit.system import STAGES

GATES: Mapping[str, frozenset[str]] = {
    "unit": frozenset({"development"}),
    "bill_of_materials": frozenset({"integration", "staging"}),
    "squawk": frozenset({"integration", "staging"}),
    "functional": frozenset({"integration", "staging"}),
    "configuration": frozenset({"integration", "staging"}),
    "load_smoke": frozenset({"integration", "staging"}),
    "watch": frozenset({"production"}),
}
"""Each gate and the kinds of environment that it can run in."""


@dataclass(frozen=True)
class Stage:
    """One stage: its name, the kind of its environment (one of `STAGES`), its trigger, its gates in order."""

    name: str
    environment: str
    trigger: str
    gates: tuple[str, ...]


@dataclass(frozen=True)
class Traffic:
    """The requests of simulated customers to the system's entry: requests a second, and their weights."""

    rate_per_s: float
    mix: Mapping[Arrival, float]


@dataclass(frozen=True)
class TrafficLimits:
    """What traffic may show at most during duration_s: share of failed requests (0 to 1), 99th percentile."""

    duration_s: float
    error_share: float
    p99_ms: float


@dataclass(frozen=True)
class Pipeline:
    """A pipeline as its pipeline.toml describes it.

    functional is the folder of the functional tests. exceptions maps the settings that may differ from
    production's to the reason.
    """

    stages: tuple[Stage, ...]
    approval: bool
    approval_timeout_s: float
    traffic: Traffic
    functional: str
    load_smoke: TrafficLimits
    watch: TrafficLimits
    exceptions: Mapping[str, str]

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read pipeline.toml, given as a file or as its folder.

        :raises LabError: when there is none, or when it has a mistake: with the file, the key and the fix.
        """
        file = Path(path)
        file = file / "pipeline.toml" if file.is_dir() else file
        return cls._from(PipelineTable(_read(file), file.name))

    @classmethod
    def _from(cls, top: PipelineTable) -> Self:
        gates = top.table("gates")
        functional, configuration = gates.table("functional"), gates.table("configuration")
        pipeline = cls(
            stages=_stages(top),
            approval=top.boolean("approval", default=False),
            approval_timeout_s=top.number("approval_timeout_s", default=86400.0),
            traffic=_traffic(top.table("traffic")),
            functional=functional.text("folder", default="functional"),
            load_smoke=_limits(gates.table("load_smoke")),
            watch=_limits(gates.table("watch")),
            exceptions=configuration.reasons("exceptions"),
        )
        # Last, because a table knows its keys by having been asked for them.
        for table in (functional, configuration, gates, top):
            table.refuse_unknown()
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


def _limits(table: PipelineTable) -> TrafficLimits:
    limits = TrafficLimits(
        duration_s=table.number("duration_s", default=5.0),
        error_share=table.number("error_share", default=0.0, zero=True),
        p99_ms=table.number("p99_ms", default=2000.0),
    )
    table.refuse_unknown()
    return limits


def _traffic(table: PipelineTable) -> Traffic:
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


def _stages(top: PipelineTable) -> tuple[Stage, ...]:
    tables = top.array("stages")
    stages: list[Stage] = []
    for table in tables:
        stage = _stage(table)
        _check_place(table, stage, stages)
        table.refuse_unknown()
        stages.append(stage)
    return tuple(stages)


def _stage(table: PipelineTable) -> Stage:
    name = table.text("name")
    kind = table.text("environment", default=name)
    if kind not in STAGES:
        key = "environment" if table.has("environment") else "name"
        next_step = f'write environment = "…" with one of {", ".join(STAGES)}, or name the stage so'
        table.refuse(key, f"a kind of environment, one of {', '.join(STAGES)}", kind, next_step)
    gates = table.texts("gates")
    for gate in gates:
        if kind not in GATES.get(gate, ()):
            possible = sorted(name for name, kinds in GATES.items() if kind in kinds)
            expected = f"gates that can run in a {kind} environment: {', '.join(possible)}"
            table.refuse("gates", expected, gate, f"remove {gate!r} or correct it")
    return Stage(name, kind, table.text("trigger"), gates)


def _check_place(table: PipelineTable, stage: Stage, before: list[Stage]) -> None:
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

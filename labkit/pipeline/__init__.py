"""The pipeline: stages and gates as data, and the execution of one commit through them.

`run` takes a commit from development to production. `Run.read` and `runs` read from the artifact database how
runs went. `approve` lets a waiting run go on, `reject` ends it.
"""

from labkit.pipeline._approval import approve, reject
from labkit.pipeline._declared import ProductionStrategy
from labkit.pipeline._definition import Pipeline, Stage, Traffic
from labkit.pipeline._limits import TrafficLimits
from labkit.pipeline._record import Run, StageRun, runs
from labkit.pipeline._recorder import PipelineEvent
from labkit.pipeline._registry import GATES, Gate
from labkit.pipeline._run import run
from labkit.pipeline.gates import Answer, GateContext, gate

__all__ = [
    "GATES",
    "Answer",
    "Gate",
    "GateContext",
    "Pipeline",
    "PipelineEvent",
    "ProductionStrategy",
    "Run",
    "Stage",
    "StageRun",
    "Traffic",
    "TrafficLimits",
    "approve",
    "gate",
    "reject",
    "run",
    "runs",
]

"""The pipeline: stages and gates as data, and a commit on its way through them.

`run` takes a commit from development to production; `Run.read` and `runs` tell from the artifact database
what became of it; `approve` lets one that waits go on.
"""

from labkit.pipeline._approval import approve, reject
from labkit.pipeline._definition import GATES, Limits, Pipeline, Stage, Traffic
from labkit.pipeline._journal import PipelineEvent
from labkit.pipeline._record import Run, StageRun, runs
from labkit.pipeline._run import run

__all__ = [
    "GATES",
    "Limits",
    "Pipeline",
    "PipelineEvent",
    "Run",
    "Stage",
    "StageRun",
    "Traffic",
    "approve",
    "reject",
    "run",
    "runs",
]

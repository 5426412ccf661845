"""Takes one commit through the stages; the first red gate stops it, and every step is recorded."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labkit.artifacts import Subject
from labkit.engine import Engine, Owner
from labkit.errors import LabError
from labkit.pipeline._build import build
from labkit.pipeline._context import RunContext, RunStopped, why
from labkit.pipeline._definition import Pipeline, Stage
from labkit.pipeline._gates import Gates
from labkit.pipeline._production import ask_first, production
from labkit.pipeline._record import Run
from labkit.pipeline._recorder import OnEvent, RunRecorder
from labkit.pipeline._source import Revision, Source
from labkit.pipeline._stages import development, with_all_services
from labkit.system import System
from labkit.workspace import Workspace

KINDS = {
    "development": development,
    "integration": with_all_services,
    "staging": with_all_services,
    "production": production,
}


def run(workspace: Workspace, commit: str = "HEAD", on_event: OnEvent | None = None) -> Run:
    """Take a commit of the workspace's shop repository through the pipeline that the commit itself declares.

    commit is an id, a tag, a branch or HEAD. The run's facts go into the workspace's artifact database.
    on_event is called with every event while it happens, from several threads but one at a time; None calls
    nobody. Returns the run, passed or failed. Ctrl-C cleans up, records the run as stopped and is raised on.

    :raises LabError: before anything is created: when there is no such commit, when it is the one that is
        checked out and has changes that are not committed, when another run of this workspace has not ended,
        or when system.toml or pipeline.toml has a mistake.
    """
    source = Source(workspace.shop)
    revision = source.revision(commit)
    source.refuse_changes(commit)
    with workspace.lock("pipeline"), source.tree(revision.commit, workspace.checkout) as folder:
        _refuse_missing(folder, revision)
        system, pipeline = System.load(folder), Pipeline.load(folder)
        for stage in pipeline.stages:
            system.configuration(stage.environment)  # refuses a parameter without a value, before the others
        subject = Subject(system.name, revision.digest)
        recorder = RunRecorder(workspace.artifacts, secrets.token_hex(4), subject, on_event)
        _execute(RunContext(workspace, Engine.find(), source, revision, folder, system, pipeline, recorder))
    return Run.read(workspace.artifacts, recorder.run)


def _refuse_missing(folder: Path, revision: Revision) -> None:
    for name in ("system.toml", "pipeline.toml"):
        if not (folder / name).is_file():
            next_step = f"copy one, the course's labs/shop/{name}, change it for your system and commit it"
            raise LabError(
                f"a {name} at the top of the commit", f"{revision.commit[:12]} has none", next_step
            )


def _execute(context: RunContext) -> None:
    """Run the stages and record how the run ended, whatever ended it."""
    context.recorder.run_started(
        commit=context.revision.commit,
        subject_line=context.revision.subject_line,
        author=context.revision.author,
        stages=[stage.name for stage in context.pipeline.stages],
        entry=context.system.entry,
        approval=context.workspace.settings.approval,
        owner=str(Owner.process()),
    )
    state, reason = "failed", ""
    try:
        _run_stages(context)
        state = "passed"
    # Not raised on: a red run is a result, and the caller reads it from the record.
    except (RunStopped, LabError) as stop:
        reason = str(stop)  # of a LabError its three lines
    except KeyboardInterrupt as stop:
        state, reason = "stopped", why(stop)
        raise
    except BaseException as fault:
        reason = why(fault)
        raise
    finally:
        context.recorder.run_finished(state, reason)


def _run_stages(context: RunContext) -> None:
    """Run the stages one after another while the images are built in another thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="labkit-images") as builder:
        context.building = builder.submit(
            build, context.engine, context.system, context.revision.commit, context.stop
        )
        try:
            ask_first(context)
            for stage in context.pipeline.stages:
                _run_stage(context, stage)
        finally:
            context.stop.set()  # leaving the block waits for the builder: after a red gate it ends early


def _run_stage(context: RunContext, stage: Stage) -> None:
    """Run one stage; whatever ends it, its gates without an answer are recorded as not run."""
    gates = Gates(context, stage)
    context.recorder.stage_started(stage, stage.trigger)
    try:
        KINDS[stage.environment](context, stage, gates)
    except BaseException as fault:
        gates.close(why(fault))
        context.recorder.stage_finished(stage, "failed", why(fault))
        raise
    context.recorder.stage_finished(stage, "passed")

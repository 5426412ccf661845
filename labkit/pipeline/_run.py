"""Takes one commit through the stages; the first red gate stops it, and every step is written down."""

import secrets
from concurrent.futures import ThreadPoolExecutor

from labkit.artifacts import Subject
from labkit.engine import Engine, Owner
from labkit.errors import LabError
from labkit.pipeline._build import build
from labkit.pipeline._definition import Pipeline, Stage
from labkit.pipeline._gates import Gates
from labkit.pipeline._journal import Journal, OnEvent
from labkit.pipeline._production import production
from labkit.pipeline._record import Run
from labkit.pipeline._source import Source
from labkit.pipeline._stages import development, with_all_services
from labkit.pipeline._trip import Stopped, Trip, why
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

    The run's facts go into the workspace's artifact database; on_event hears every step while it happens,
    from several threads but one at a time. Returns the run, passed or failed. Raises LabError, before
    anything is made, when there is no such commit, when the working tree has changes that are not committed,
    when another run of this workspace is on its way, or when system.toml or pipeline.toml has a mistake.
    Ctrl-C cleans up, records the run as stopped and is raised on.
    """
    source = Source(workspace.shop)
    revision = source.revision(commit)
    source.refuse_changes()
    with workspace.lock("pipeline"), source.tree(revision.commit) as folder:
        system, pipeline = System.load(folder), Pipeline.load(folder)
        subject = Subject(system.name, revision.digest)
        journal = Journal(workspace.artifacts, secrets.token_hex(4), subject, on_event)
        _travel(Trip(workspace, Engine.find(), source, revision, folder, system, pipeline, journal))
    return Run.read(workspace.artifacts, journal.run)


def _travel(trip: Trip) -> None:
    trip.journal.run_started(
        commit=trip.revision.commit,
        subject_line=trip.revision.subject_line,
        author=trip.revision.author,
        stages=[stage.name for stage in trip.pipeline.stages],
        approval=trip.pipeline.approval,
        owner=str(Owner.process()),
    )
    state, reason = "failed", ""
    try:
        _through_all(trip)
        state = "passed"
    except (Stopped, LabError) as stop:
        reason = why(stop)
    except KeyboardInterrupt as stop:
        state, reason = "stopped", why(stop)
        raise
    except BaseException as fault:
        reason = why(fault)
        raise
    finally:
        trip.journal.run_finished(state, reason)


def _through_all(trip: Trip) -> None:
    """Go through the stages while the images are being built beside them."""
    with ThreadPoolExecutor(1, thread_name_prefix="labkit-images") as builder:
        trip.building = builder.submit(build, trip.engine, trip.system, trip.revision.commit, trip.stop)
        try:
            for stage in trip.pipeline.stages:
                _through(trip, stage)
        finally:
            trip.stop.set()


def _through(trip: Trip, stage: Stage) -> None:
    """Go through one stage; whatever ends it, its gates without an answer are recorded as not run."""
    gates = Gates(trip, stage)
    trip.journal.stage_started(stage, stage.trigger)
    try:
        KINDS[stage.environment](trip, stage, gates)
    except BaseException as fault:
        gates.close(why(fault))
        trip.journal.stage_finished(stage, "failed", why(fault))
        raise
    trip.journal.stage_finished(stage, "passed")

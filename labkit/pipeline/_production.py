"""Production: created once and kept; upgraded by a strategy under load, then judged by its gates."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from labkit import deployment
from labkit.engine import Owner
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.load import Load, RunningLoad, apply
from labkit.pipeline._approval import await_decision
from labkit.pipeline._context import RunContext, RunStopped
from labkit.pipeline._definition import Stage
from labkit.pipeline._gates import Gates, record_module_answers
from labkit.pipeline._provenance import await_images
from labkit.pipeline._roll_out import in_words, refuse_losses, roll_out

FIRST_CUSTOMER_S = 30.0  # a busy machine starts the load's process slowly
POLL_S = 0.1


def production(context: RunContext, stage: Stage, gates: Gates) -> None:
    """Bring the commit into production and watch it; production stays whatever its gates answer."""
    if context.workspace.settings.approval:
        _await_approval(context, stage)
    await_images(context, stage)
    record_module_answers(context)
    environment = _running(context)
    if environment is None:
        environment = context.create(stage, owner=Owner.workspace(context.workspace.id))
    deployment.reconcile(environment)  # with a balancer that was restarted meanwhile
    rollout = refuse_losses(context, environment, stage.trigger)
    try:
        with _customers(context, stage, environment) as load:
            roll_out(context, stage, rollout, environment, load)
            gates.ask_all(environment, load=load)
    except RunStopped as fault:
        message = f"{fault}; production stays and runs {in_words(context, environment)}"
        raise RunStopped(message) from fault
    except LabError as fault:
        seen = f"{fault.seen}; production stays and runs {in_words(context, environment)}"
        raise LabError(fault.expected, seen, fault.next_step) from fault


def ask_first(context: RunContext) -> None:
    """Refuse a commit that would lose production's data, before any stage of its run begins.

    :raises LabError: with what would be lost, and the next step.
    """
    stages = (stage for stage in context.pipeline.stages if stage.environment == "production")
    stage, environment = next(stages, None), _running(context)
    if stage and environment:
        refuse_losses(context, environment, stage.trigger)


def _await_approval(context: RunContext, stage: Stage) -> None:
    """Wait until somebody decides.

    :raises RunStopped: when the run is rejected, or when nobody decides in time.
    """
    recorder, timeout_s = context.recorder, context.workspace.settings.approval_timeout_s
    recorder.stage_started(stage, f"approval: labkit pipeline approve {recorder.run}", state="waiting")
    with recorder.step(stage, "approval"):
        fact = await_decision(context.workspace, recorder.run, timeout_s)
    if fact is None:
        message = f"{stage.name}: nobody approved within {timeout_s:g} s"
        raise RunStopped(message)
    if fact.predicate["decision"] != "approved":
        message = f"{stage.name}: rejected by {fact.by}: {fact.predicate['reason']}"
        raise RunStopped(message)
    recorder.stage_started(stage, f"approved by {fact.by}")


def _running(context: RunContext) -> Environment | None:
    """Return the workspace's production environment; None when there is none yet."""
    for status in Environment.list(context.workspace):
        if status.stage == "production" and status.complete:
            return Environment.attach(status.name, context.workspace)
    return None


@contextmanager
def _customers(context: RunContext, stage: Stage, environment: Environment) -> Iterator[RunningLoad]:
    """Let simulated customers send requests during the block, which begins with their first answer."""
    traffic, host = context.pipeline.traffic, urlsplit(environment.url).hostname or ""
    with apply(Load(traffic.mix, traffic.rate_per_s, None), environment.url, hosts=[host]) as load:
        with context.recorder.step(stage, "await the first customer"):
            deadline = time.monotonic() + FIRST_CUSTOMER_S
            # An upgrade that ended before the first request would count no failed one.
            while not load.snapshot().requests and load.is_running and time.monotonic() < deadline:
                time.sleep(POLL_S)
        yield load

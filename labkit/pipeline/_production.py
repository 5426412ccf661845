"""Production: created once and kept; upgraded by a strategy under load, then judged by its gates."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from labkit import deployment
from labkit.deployment import Fleet, Step
from labkit.engine import Owner
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.load import Load, RunningLoad, apply
from labkit.pipeline._approval import await_decision
from labkit.pipeline._context import RunContext, RunStopped
from labkit.pipeline._definition import Stage
from labkit.pipeline._gates import Gates, record_module_answers
from labkit.pipeline._provenance import await_images

FIRST_CUSTOMER_S = 30.0  # a busy machine starts the load's process slowly
POLL_S = 0.1


def production(context: RunContext, stage: Stage, gates: Gates) -> None:
    """Bring the images into production and watch it; production stays whatever its gates answer."""
    if context.workspace.settings.approval:
        _await_approval(context, stage)
    await_images(context, stage)
    record_module_answers(context)
    environment = _running(context)
    if environment is None:
        environment = context.create(stage, owner=Owner.workspace(context.workspace.id))
    _refuse_other_system(context, environment)
    deployment.reconcile(environment)  # with a balancer that was restarted meanwhile
    try:
        with _customers(context, stage, environment) as load:
            _migrate(context, stage, environment)
            for name in _outdated(context, environment):
                _upgrade(context, stage, environment, name, load)
            gates.ask_all(environment, load=load)
    except RunStopped as fault:
        message = f"{fault}; production stays and runs {_fleets(environment)}"
        raise RunStopped(message) from fault
    except LabError as fault:
        seen = f"{fault.seen}; production stays and runs {_fleets(environment)}"
        raise LabError(fault.expected, seen, fault.next_step) from fault


def _fleets(environment: Environment) -> str:
    """Return in words what production runs, service by service."""
    return ", ".join(repr(Fleet(environment, name)) for name in environment.urls)


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


def _refuse_other_system(context: RunContext, environment: Environment) -> None:
    """Refuse a commit whose changes an upgrade of instances cannot bring into production.

    :raises LabError: when the commit has other services or another configuration than production.
    """
    running, declared = dict(environment.configuration), context.system.configuration("production")
    changed = sorted(name for name in {*running, *declared} if running.get(name) != declared.get(name))
    services = {service.name for service in context.system.services_of("production")}
    changed += sorted({*environment.urls} ^ services)
    if changed:
        raise LabError(
            f"{environment.name} with the services and the configuration of the commit's system.toml",
            f"these differ: {', '.join(changed)}",
            f"labkit environment clean-up {environment.name}, then labkit pipeline run, which creates it",
        )


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


def _migrate(context: RunContext, stage: Stage, environment: Environment) -> None:
    """Apply the commit's new migrations, before the instances that need them start.

    The instances of the previous version serve meanwhile, so they must work with both schemas.
    """
    if context.system.database and environment.database:
        with context.recorder.step(stage, "migrate the database"):
            environment.database.migrate(context.system.root / context.system.database.migrations)


def _outdated(context: RunContext, environment: Environment) -> list[str]:
    """Return the services of which an instance runs another image than the commit's.

    By digest, not by name: a tag can be given to another image.
    """
    return [
        name
        for name, built in context.images.items()
        if any(
            context.engine.image(instance.image).digest != built.digest
            for instance in environment.instances(name)
        )
    ]


def _upgrade(
    context: RunContext, stage: Stage, environment: Environment, service: str, load: RunningLoad
) -> None:
    """Replace the instances of a service by the stage's strategy; the deployment records it.

    :raises RunStopped: when the deployment rolled the service back.
    """

    def notify(step: Step) -> None:
        context.recorder.notify(
            stage.name, "running", f"{service}: {step.instance or 'a new instance'} {step.words}"
        )

    strategy = context.pipeline.strategies[stage.strategy]
    within = deployment.within_limits(load, strategy.limits)

    def health() -> str:
        return within() if load.is_running else "the customers' requests ended: nothing shows how it serves"

    fleet, image = Fleet(environment, service), context.images[service].image
    with context.recorder.step(stage, f"upgrade {service}"):
        done = strategy.deploy(fleet, image, health=health, on_event=notify)
    if done.result is deployment.Result.ROLLED_BACK:
        message = f"{service} was rolled back by {stage.strategy}: {done.reason}"
        raise RunStopped(message)

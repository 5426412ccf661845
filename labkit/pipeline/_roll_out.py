"""Brings a commit into a living production: its services, its configuration, its migrations.

The database comes first, then what is new, then each service behind those that it calls, and last goes what
nobody calls any more. So at every moment each instance finds what it calls.
"""

from collections.abc import Iterator

from labkit import deployment
from labkit.deployment import Fleet, Step
from labkit.environment import Environment, Rollout
from labkit.load import RunningLoad
from labkit.pipeline._context import RunContext, RunStopped
from labkit.pipeline._definition import Stage


def refuse_losses(context: RunContext, environment: Environment, because: str) -> Rollout:
    """Return the way that brings production to the commit, unless something would be lost on it.

    :raises LabError: with what would be lost, before anything is touched.
    """
    rollout, declared = environment.rollout(context.system, because=because), context.system.database
    rollout.refuse_losses()
    if declared and environment.database:
        environment.database.check(context.system.root / declared.migrations)
    return rollout


def roll_out(
    context: RunContext, stage: Stage, rollout: Rollout, environment: Environment, load: RunningLoad
) -> None:
    """Take the steps, each of which the next run can take again.

    :raises RunStopped: when the stage's strategy rolled a service back.
    :raises LabError: when a step fails.
    """
    change, recorder = rollout.change, context.recorder
    _migrate(context, stage, environment)
    with recorder.step(stage, "start what is new"):
        rollout.begin(lambda words: recorder.notify(stage.name, "running", words))
    for name in change.order:
        if name in change.added:
            with recorder.step(stage, f"launch {name}"):
                image, count = context.images[name].image, change.resized[name]
                deployment.launch(environment, name, image, count)
            continue
        if _is_outdated(context, environment, name):
            _upgrade(context, stage, environment, name, load)
        if name in change.resized:
            with recorder.step(stage, f"scale {name} to {change.resized[name]}"):
                deployment.scale(Fleet(environment, name), change.resized[name])
    for name in change.removed:
        with recorder.step(stage, f"remove {name}"):
            if environment.instances(name):
                deployment.retire(Fleet(environment, name))
    with recorder.step(stage, "remove what nobody needs any more"):
        rollout.finish(lambda words: recorder.notify(stage.name, "running", words))


def in_words(context: RunContext, environment: Environment) -> str:
    """Return what production runs, service by service, and which of that is not as the commit has it."""
    return ", ".join(_lines(context, environment))


def _lines(context: RunContext, environment: Environment) -> Iterator[str]:
    declared = {service.name for service in context.system.services_of("production")}
    for name in environment.services:
        if not environment.instances(name):
            yield f"no instance of {name} yet"
        elif name not in declared:
            yield f"{Fleet(environment, name)!r} (not removed yet)"
        elif _is_outdated(context, environment, name):
            yield f"{Fleet(environment, name)!r} (not changed yet)"
        else:
            yield f"{Fleet(environment, name)!r}"


def _migrate(context: RunContext, stage: Stage, environment: Environment) -> None:
    """Apply the commit's new migrations, before the instances that need them start.

    The instances of the previous version serve meanwhile, so they must work with both schemas.
    """
    if context.system.database and environment.database:
        with context.recorder.step(stage, "migrate the database"):
            environment.database.migrate(context.system.root / context.system.database.migrations)


def _is_outdated(context: RunContext, environment: Environment, service: str) -> bool:
    """Return whether an instance runs another image than the commit's, or has other settings.

    By digest, not by name: a tag can be given to another image.
    """
    digest = context.images[service].digest
    return any(
        not instance.is_current or context.engine.image(instance.image).digest != digest
        for instance in environment.instances(service)
    )


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

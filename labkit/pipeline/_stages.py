"""Development, integration and staging: each creates its environment, asks its gates there, cleans it up."""

from concurrent.futures import ThreadPoolExecutor

from labkit.pipeline._context import RunContext
from labkit.pipeline._definition import Stage
from labkit.pipeline._gates import Gates, record_module_answers
from labkit.pipeline._provenance import await_images

MODULES_AT_ONCE = 2


def development(context: RunContext, stage: Stage, gates: Gates) -> None:
    """Create an environment for each changed module, two at a time, and ask the gates in each.

    All modules are tested even when one is red, so that the learner reads everything at once.
    """
    with ThreadPoolExecutor(MODULES_AT_ONCE, thread_name_prefix="labkit-module") as pool:
        pending = [
            pool.submit(_test_module, context, stage, gates, module) for module in changed_modules(context)
        ]
        try:
            faults = [future.exception() for future in pending]
        except BaseException:  # Ctrl-C comes in this thread alone; the modules that wait must not start
            context.stop.set()
            raise
    for fault in faults:
        if fault is not None:
            raise fault


def changed_modules(context: RunContext) -> list[str]:
    """Return the services whose folder differs from what runs in production; all when that leaves none."""
    services = context.system.services.values()
    return [service.name for service in services if context.has_changed(service)] or [
        service.name for service in services
    ]


def _test_module(context: RunContext, stage: Stage, gates: Gates, module: str) -> None:
    if context.stop.is_set():
        return
    with context.environment(stage, module) as environment:
        gates.ask_all(environment, module)


def with_all_services(context: RunContext, stage: Stage, gates: Gates) -> None:
    """Create the environment of integration or staging from the images and ask the gates in order."""
    await_images(context, stage)
    record_module_answers(context)
    with context.environment(stage) as environment:
        gates.ask_all(environment)

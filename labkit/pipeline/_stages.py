"""Development, integration and staging: each makes its environment, asks its gates there, cleans it up."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from labkit.pipeline._definition import Stage
from labkit.pipeline._gates import MODULE_GATES, SYSTEM_GATES, Gates
from labkit.pipeline._provenance import await_images
from labkit.pipeline._trip import Trip

MODULES_AT_ONCE = 2


def development(trip: Trip, stage: Stage, gates: Gates) -> None:
    """Give each changed module an environment of its own, two at a time, and ask the gates in each.

    All modules are tested even when one is red, so that the learner reads everything at once.
    """
    with ThreadPoolExecutor(MODULES_AT_ONCE, thread_name_prefix="labkit-module") as pool:
        pending = [pool.submit(_module, trip, stage, gates, module) for module in changed_modules(trip)]
        try:
            faults = [future.exception() for future in pending]
        except BaseException:
            trip.stop.set()
            raise
    for fault in faults:
        if fault is not None:
            raise fault


def changed_modules(trip: Trip) -> list[str]:
    """Return the services whose folder differs from what runs in production; all when that leaves none."""
    services = trip.system.services.values()
    return [service.name for service in services if trip.changed(service)] or [
        service.name for service in services
    ]


def _module(trip: Trip, stage: Stage, gates: Gates, module: str) -> None:
    if trip.stop.is_set():
        return
    with trip.environment(stage, module) as environment:
        for gate in stage.gates:
            gates.ask(gate, partial(MODULE_GATES[gate], trip, stage, environment, module), module)


def with_all_services(trip: Trip, stage: Stage, gates: Gates) -> None:
    """Make the environment of integration or staging from the images and ask the gates in order."""
    await_images(trip, stage)
    with trip.environment(stage) as environment:
        for gate in stage.gates:
            gates.ask(gate, partial(SYSTEM_GATES[gate], trip, stage, environment))

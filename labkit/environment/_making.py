"""Prepares a creation, runs it, and takes everything back when it fails."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labkit.engine import BUILD, PYTHON, SERVERS, Engine, Label, Owner
from labkit.environment import _record
from labkit.environment._apart import apart
from labkit.environment._creation import Creation, Progress
from labkit.environment._images import build, service_images, versions
from labkit.environment._part import Scope
from labkit.environment._plan import Plan
from labkit.environment._starter import SERVICE_S
from labkit.environment._status import statuses
from labkit.errors import LabError
from labkit.system import System
from labkit.workspace import Workspace

Save = Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Order:
    """What somebody asked for: see Environment.create."""

    system: System
    stage: str
    workspace: Workspace
    images: Mapping[str, str] | None = None
    module: str | None = None
    owner: Owner | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    real: Collection[str] = ()
    because: str = ""
    ready_s: float = SERVICE_S
    progress: Progress = lambda _: None


def plan_of_order(order: Order) -> Plan:
    """Return what the environment is to have; what cannot work is a LabError, and no engine is asked."""
    return Plan.make(order.system, order.stage, order.module, order.config, order.because, order.real)


def make(engine: Engine, order: Order, plan: Plan) -> Scope:
    """Create the environment that was planned, record it, and return where it is.

    Whatever ends the creation, an error, Ctrl-C or a dead engine: what was started is removed before that
    goes on.
    """
    scope = _scope(engine, order, plan)

    def work(stop: threading.Event) -> Scope:
        engine.sweep(order.workspace.id)
        _record.lost(order.workspace)
        _refuse_second_production(engine, order)
        creation = _creation(engine, order, plan, scope)
        try:
            creation.run(stop)
            _record.created(order.workspace, plan, scope.labels[Label.OWNER], scope.parts(), creation.seconds)
        except BaseException as fault:
            _take_back(engine, scope, fault)
            raise
        return scope

    return apart(work, lambda made: delete(made, plan, order.workspace))


def delete(scope: Scope, plan: Plan | None, workspace: Workspace, save: Save = lambda: ()) -> None:
    """Remove an environment and record that; save is asked before for the names of what it saved."""
    parts = scope.parts()
    saved = save() if parts else ()
    removed = scope.engine.remove(scope.identity)
    if removed and plan:
        _record.deleted(workspace, plan, parts, removed, saved)


def _scope(engine: Engine, order: Order, plan: Plan) -> Scope:
    owner = order.owner or (
        Owner.workspace(order.workspace.id) if plan.stage == "production" else Owner.process()
    )
    labels = {
        Label.WORKSPACE: order.workspace.id,
        Label.ENVIRONMENT: plan.name,
        Label.OWNER: str(owner),
        Label.STAGE: plan.stage,
    }
    texts = {str(name): value for name, value in labels.items()}
    return Scope(engine, plan.name, texts, network="" if plan.module else plan.name)


def outside_of(workspace: str, plan: Plan) -> str:
    """Return the network of the real external services, "" where none is real.

    Production's is the workspace's one network of that kind; another stage, for which the system declares a
    read-only service as real, gets its own, so that nothing of it outlives it.
    """
    if not plan.providers:
        return ""
    name = f"labkit-outside-{workspace}"
    return name if plan.stage == "production" else f"{name}-{plan.name}"


def _creation(engine: Engine, order: Order, plan: Plan, scope: Scope) -> Creation:
    """Gather the images; that each is there is found out now, before anything starts."""
    if plan.module:
        engine.image(BUILD)
        images: dict[str, str] = {}
    else:
        engine.image(SERVERS)
        engine.image(PYTHON)
        images = service_images(engine, order.system, order.stage, order.images)
        images |= _providers(engine, order.system, plan)
    return Creation(
        engine=engine,
        scope=scope,
        plan=plan,
        system=order.system,
        images=images,
        versions=versions(engine, images),
        outside=outside_of(order.workspace.id, plan),
        progress=order.progress,
        ready_s=order.ready_s,
    )


def _providers(engine: Engine, system: System, plan: Plan) -> dict[str, str]:
    """Return the image of each provider; a folder that several share is built once."""
    folders = {it.name: Path(system.external[it.name].provider or "") for it in plan.providers}
    built = build(engine, system, {folder.name: folder for folder in folders.values()})
    return {name: built[folder.name] for name, folder in folders.items()}


def _refuse_second_production(engine: Engine, order: Order) -> None:
    if order.stage != "production":
        return
    for status in statuses(engine, order.workspace.id):
        if status.stage == "production":
            mend = f"upgrade it, or clean it up first: labkit environment clean-up {status.name}"
            raise LabError("at most one production in a workspace", f"{status.name} lives", mend)


def _take_back(engine: Engine, scope: Scope, fault: BaseException) -> None:
    """Remove what was started; when the engine does not let us, say so beside the fault that began it."""
    try:
        engine.remove(scope.identity)
    except Exception as problem:  # noqa: BLE001 - the first fault is the one to tell
        fault.add_note(f"Something of {scope.environment} may be left: {problem}")
        if isinstance(fault, LabError):
            fault.next_step += (
                f"; then clean up what is left: labkit environment clean-up {scope.environment}"
            )

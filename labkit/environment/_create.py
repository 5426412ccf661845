"""Creates an environment: all elements start at once, except those that depend on others."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from labkit._uninterruptible import Stopped, uninterruptible
from labkit.balancer import Balancer
from labkit.containers import Element, Namespace
from labkit.engine import (
    BUILD,
    PYTHON,
    SERVERS,
    WORKSPACE,
    Engine,
    Label,
    Owner,
    Progress,
    build_service_images,
    image_versions,
)
from labkit.environment import _record
from labkit.environment._order import StartOrder
from labkit.environment._plan import Plan
from labkit.environment._status import EnvironmentStatus, statuses
from labkit.environment.elements import elements_of
from labkit.environment.elements.instance import Instance
from labkit.environment.elements.runner import APP, Module
from labkit.errors import LabError
from labkit.postgres import Database, Postgres
from labkit.system import System
from labkit.workspace import Workspace

INSTALL = """\
python3 -c 'import pytest' 2>/dev/null || pip install --quiet pytest
grep -Eqv '^[[:space:]]*(#|$)' requirements.lock 2>/dev/null || exit 0
python3 -m venv --system-site-packages --without-pip /venv
pip --python /venv/bin/python3 install -q --no-deps --ignore-installed --require-hashes -r requirements.lock
"""

Save = Callable[[], list[str]]
FIRST = {"database": 0, "service": 1}
"""The roles that take longest to get ready, in the order in which they start, before all others."""


@dataclass
class Creation:
    """One creation of an environment of a system by a plan.

    owner None is this process, for production the workspace. ready_s is how long each instance may take to be
    ready, in seconds. progress gets a line for each element that is ready, and for what takes longer.
    """

    engine: Engine
    system: System
    plan: Plan
    workspace: Workspace
    owner: Owner | None
    ready_s: float
    progress: Progress
    _seconds: dict[str, float] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=dict)

    def run(self, images: Mapping[str, str] | None) -> tuple[Namespace, Plan]:
        """Create and record the environment; return its namespace, and its plan with the images.

        images maps each service to its image; None builds them. When an error or Ctrl-C ends the creation,
        everything that was started is removed before the exception goes on.

        :raises LabError: as Environment.create says.
        """
        namespace = self._namespace()

        def work(stop: threading.Event) -> tuple[Namespace, Plan]:
            self.engine.sweep(self.workspace.id)
            alive = statuses(self.engine, self.workspace.id)
            _record.lost(self.workspace, [status.name for status in alive if status.complete])
            self._refuse_second_production(alive)
            plan = replace(self.plan, images=self._gather(images, stop))
            if stop.is_set():
                raise Stopped
            try:
                # Nothing removes what a workspace owns: so it is this process's until it is whole.
                owner = self.engine.claim(namespace.labels) if _stays(namespace) else namespace.owner
                self._create(replace(namespace, stop=stop), plan)
                _record.created(self.workspace, plan, owner, namespace.containers(), self._seconds)
                if _stays(namespace):
                    self.engine.release(namespace.labels)
                    _record.handed_over(self.workspace, plan, namespace.owner)
            except BaseException as fault:
                take_back(namespace, fault)
                raise
            return namespace, plan

        return uninterruptible(work, lambda made: delete(*made, self.workspace))

    def _namespace(self) -> Namespace:
        workspace, plan = self.workspace.id, self.plan
        by_default = Owner.workspace(workspace) if plan.stage == "production" else None
        labels = {
            Label.WORKSPACE: workspace,
            Label.ENVIRONMENT: plan.name,
            Label.OWNER: str(self.owner or by_default or Owner.process()),
            Label.STAGE: plan.stage,
        }
        texts = {str(name): value for name, value in labels.items()}
        return Namespace(self.engine, plan.name, texts, network="" if plan.module else plan.name)

    def _refuse_second_production(self, alive: Iterable[EnvironmentStatus]) -> None:
        if self.plan.stage != "production":
            return
        for status in alive:
            if status.stage == "production":
                clean_up = f"labkit environment clean-up {status.name}"
                seen, next_step = f"{status.name} is alive", f"upgrade it, or clean it up first: {clean_up}"
                if not status.complete:
                    seen = f"{status.owner} creates or removes {status.name} now"
                    next_step = f"try again when it has ended, or remove what it has made: {clean_up}"
                raise LabError("at most one production in a workspace", seen, next_step)

    def _gather(self, images: Mapping[str, str] | None, stop: threading.Event) -> dict[str, str]:
        """Return the image of each service, provider and declared container.

        A missing image is an error now, before anything starts.
        """
        if self.plan.module:
            self.engine.image(BUILD)
            return {}
        for ref in (SERVERS, PYTHON):
            self.engine.image(ref)
        given = {} if images is None else _given(self.system, self.plan.stage, images)
        declared = {name: one.image for name, one in self.system.containers.items() if one.image}
        folders = {
            **{
                external.name: self.system.external[external.name].provider
                for external in self.plan.providers
            },
            **{name: container.path for name, container in self.system.containers.items() if container.path},
        }
        if images is None:
            folders |= {one.name: one.path for one in self.system.services_of(self.plan.stage)}
        gathered = given | declared | build(self.engine, self.system, folders, self.progress, stop)
        self._versions = image_versions(
            self.engine, gathered
        )  # raises ImageMissing for one that is not there
        return gathered

    def _create(self, namespace: Namespace, plan: Plan) -> None:
        began = time.monotonic()
        if plan.module is None:
            self._start_all(namespace, plan)
        else:
            self._start_module(namespace, plan)
        self._seconds["all"] = time.monotonic() - began
        if namespace.stop.is_set():
            raise Stopped

    def _start_all(self, namespace: Namespace, plan: Plan) -> None:
        with self._step("network"):
            namespace.create_network(namespace.network, plan.to_labels())
            if outside := plan.outside(namespace.workspace):
                namespace.create_network(outside, {})
        elements = elements_of(plan, namespace)
        balancer = next(element for element in elements if isinstance(element, Balancer))
        elements += self._instances(namespace, plan, balancer)
        # Before the first start, because services need the passwords of servers that start beside them.
        namespace.secrets.update({one.name: one.make_secret() for one in elements if one.make_secret})
        elements.sort(key=lambda element: FIRST.get(element.role, len(FIRST)))
        order = StartOrder(elements, self.system.dependencies())
        # A thread for each: one waits in its own for others, which must not queue behind it.
        with ThreadPoolExecutor(len(elements), thread_name_prefix="labkit-create") as pool:
            try:
                _all([pool.submit(self._start, element, order) for element in elements])
            except BaseException:
                namespace.stop.set()
                raise

    def _instances(self, namespace: Namespace, plan: Plan, balancer: Balancer) -> Iterator[Instance]:
        for service, name in plan.instances():
            image, version = plan.images[service], self._versions[service]
            yield Instance(namespace, plan, service, name, image, version, lambda: balancer)

    def _start(self, element: Element, order: StartOrder) -> None:
        """Start an element after what it depends on; its container is created meanwhile."""
        with order.making_ready(element), self._step(element.name):
            element.prepare()
            order.await_dependencies(element)
            element.start()
            if isinstance(element, Instance):
                order.await_ready(element.balancer().name)
                element.await_health_check(self.ready_s)
                element.balancer().enable(element)
            elif isinstance(element, Postgres) and self.system.database:
                migrations = self.system.root / self.system.database.migrations
                Database(self.system.database.name, element).create(migrations)

    def _start_module(self, namespace: Namespace, plan: Plan) -> None:
        with self._step("module"):
            module = Module(namespace, plan).start()
            module.put(APP, {"": self.system.root / self.system.services[module.service].path})
        with self._step("requirements"):
            done = module.execute(INSTALL, workdir=APP)
        if not done.ok:
            expected = f"the locked requirements of {module.service} are installed"
            next_step = (
                "correct requirements.lock; packages come from the wheelhouse alone (labkit images build)"
            )
            raise LabError(expected, done.output.strip(), next_step)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - began
        self.progress(f"{name} is ready")


def build(
    engine: Engine,
    system: System,
    folders: Mapping[str, object],
    progress: Progress,
    stop: threading.Event,
) -> dict[str, str]:
    """Build the image of each folder; one that several external services share is built once."""
    paths = {name: Path(str(folder)) for name, folder in folders.items()}
    # External services that share a folder are one program: its image has the name of the folder.
    names = {path: path.name if name in system.external else name for name, path in paths.items()}
    wanted = {names[path]: path for path in paths.values()}
    built = build_service_images(engine, system, wanted, progress, stop)
    return {name: built[names[path]] for name, path in paths.items()}


def _given(system: System, stage: str, images: Mapping[str, str]) -> dict[str, str]:
    """Return the image of each service of a stage, out of the images that the caller gave.

    :raises LabError: when one is missing, or belongs to no service.
    """
    needed = [service.name for service in system.services_of(stage)]
    for name in images:
        if name not in system.services:
            expected = f"images of services: {', '.join(system.services)}"
            raise LabError(expected, repr(name), f"take {name} out of images")
    if missing := [name for name in needed if name not in images]:
        seen = f"none of {', '.join(missing)}"
        raise LabError(f"an image of each of {', '.join(needed)}", seen, "give it in images")
    return {name: images[name] for name in needed}


def _all(tasks: list["Future[None]"]) -> None:
    """Wait for all tasks; raise the first failure at once, but a Stopped only when nothing else failed."""
    finished, pending = wait(tasks, return_when=FIRST_EXCEPTION)
    failures = [fault for task in finished if (fault := task.exception())]
    if pending and all(isinstance(fault, Stopped) for fault in failures):
        finished, _ = wait(tasks)
        failures = [fault for task in finished if (fault := task.exception())]
    for failure in sorted(failures, key=lambda fault: isinstance(fault, Stopped)):
        raise failure


def _stays(namespace: Namespace) -> bool:
    """Return whether the environment outlives the process that creates it, because its workspace owns it."""
    return namespace.owner.kind == WORKSPACE


def take_back(namespace: Namespace, fault: BaseException) -> None:
    """Remove what was started; if that fails, add a note to the original error."""
    try:
        namespace.engine.remove(namespace.identity)
    except Exception as problem:  # noqa: BLE001 - the first error is the one to raise
        fault.add_note(f"Something of {namespace.name} may be left: {problem}")
        if isinstance(fault, LabError):
            left = f"; then clean up what is left: labkit environment clean-up {namespace.name}"
            fault.next_step += left


def delete(namespace: Namespace, plan: Plan | None, workspace: Workspace, save: Save = list) -> None:
    """Remove an environment and record that. save is called before, and returns the names of what it saved.

    plan None, for an environment of which only parts remain, records nothing.
    """
    containers = namespace.containers()
    saved = save() if containers else []
    claims = Counter[str]()
    if containers and _stays(namespace):  # half removed, it is no longer anybody's
        owner, claims = namespace.engine.claim(namespace.labels), Counter(volume=1)
        if plan:
            _record.handed_over(workspace, plan, owner)
    removed = namespace.engine.remove(namespace.identity) - claims
    if removed and plan:
        _record.deleted(workspace, plan, containers, removed, saved)

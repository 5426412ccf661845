"""Creates an environment: everything is started at once, and each part is waited for on its own."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from labkit.engine import Engine
from labkit.environment._balancer import Balancer
from labkit.environment._elements import module
from labkit.environment._faults import Reach, unused
from labkit.environment._part import PLAN, Scope, refusals
from labkit.environment._plan import Plan, PlannedService
from labkit.environment._readiness import Watcher
from labkit.environment._run import execute, put
from labkit.environment._starter import Starter
from labkit.environment._wait import Stopped
from labkit.errors import LabError
from labkit.system import System

T = TypeVar("T")
Progress = Callable[[str], None]

LOOPBACK = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
"""Ports published from such a network are reached from this machine alone."""

INSTALL = """\
python3 -c 'import pytest' 2>/dev/null || pip install --quiet pytest
grep -Eqv '^[[:space:]]*(#|$)' requirements.lock 2>/dev/null || exit 0
python3 -m venv --system-site-packages /venv
/venv/bin/pip install --quiet --require-hashes --requirement requirements.lock
"""
APP = "/app"


@dataclass
class Creation:
    """One creation; images and versions are of services and providers, seconds gathers what a step took."""

    engine: Engine
    scope: Scope
    plan: Plan
    system: System
    images: dict[str, str]
    versions: dict[str, str]
    outside: str
    progress: Progress
    ready_s: float
    seconds: dict[str, float] = field(default_factory=dict)
    _balancer: "Future[Balancer]" = field(default_factory=Future)  # instances wait for it

    def run(self, stop: threading.Event) -> None:
        """Start everything and return when all is ready.

        :raises Stopped: when stop was set meanwhile.
        """
        began = time.monotonic()
        if self.plan.module is None:
            self._whole(stop)
        else:
            self._module(self.plan.module)
        self.seconds["all"] = time.monotonic() - began
        if stop.is_set():
            raise Stopped

    def _whole(self, stop: threading.Event) -> None:
        with self._step("network"):
            create_network(self.scope, self.scope.network, {PLAN: self.plan.to_label()})
            if self.outside:
                create_network(self.scope, self.outside, {})
        # A thread for each: those that wait for the balancer must never keep the balancer waiting.
        with ThreadPoolExecutor(self._elements, thread_name_prefix="labkit-create") as pool:
            try:
                reach = Reach(self.scope, self._balancer.result, unused)
                self._submit(pool, Starter(reach, self.plan, Watcher(self.engine, stop), self.outside))
            except BaseException:
                stop.set()
                raise

    @property
    def _elements(self) -> int:
        return (
            len(list(self.plan.instances()))
            + len(self.plan.providers)
            + len(("balancer", "database", "stub", "etcd"))
        )

    def _submit(self, pool: ThreadPoolExecutor, starter: Starter) -> None:
        """Start the elements at once: first those that take longest from start to ready."""
        tasks: list[Future[object]] = []

        def do(step: str, work: Callable[[], object]) -> "Future[object]":
            tasks.append(pool.submit(self._timed, step, work))
            return tasks[-1]

        if self.system.database and self.plan.database:
            do("database", partial(starter.database, self.system.root / self.system.database.migrations))
        for service, name in self.plan.instances():
            do(name, partial(self._instance, starter, service, name))
        if self.plan.stubs:
            do("stub", partial(starter.stubs, self.system.external))
        for external in self.plan.providers:
            do(external.name, partial(starter.provider, external, self.images[external.name]))
        do("balancer", partial(_fulfil, self._balancer, starter.balancer))
        if self.plan.coordinator:
            do("coordinator", starter.coordinator)
        _all(tasks)

    def _instance(self, starter: Starter, service: PlannedService, name: str) -> None:
        image = self.images[service.name]
        instance = starter.instance(service, name, image, self.versions[service.name])
        balancer = self._balancer.result()
        balancer.introduce(instance)
        starter.await_instance(instance, balancer, self.ready_s)
        balancer.admit(instance)

    def _module(self, name: str) -> None:
        with self._step("module"):
            part = self.scope.start(module(self.plan))
            folder = self.system.root / self.system.services[name].path
            put(self.engine, part.id, APP, {path.name: path for path in sorted(folder.iterdir())})
        with self._step("requirements"):
            done = execute(self.engine, part.id, INSTALL, workdir=APP)
        if not done.ok:
            mend = "correct requirements.lock; packages come from the wheelhouse alone (labkit images build)"
            raise LabError(f"the locked requirements of {name} are installed", done.output.strip(), mend)

    def _timed(self, step: str, work: Callable[[], object]) -> object:
        with self._step(step):
            return work()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self.progress(f"{name} is ready")


def _fulfil(promise: "Future[T]", start: Callable[[], T]) -> None:
    try:
        promise.set_result(start())
    except BaseException:
        promise.set_exception(Stopped())  # the cause is raised here; for those who wait it is only the end
        raise


def _all(tasks: list["Future[object]"]) -> None:
    """Wait for all tasks; raise the first failure at once, and a Stopped only when nothing else failed."""
    finished, pending = wait(tasks, return_when=FIRST_EXCEPTION)
    failures = [fault for task in finished if (fault := task.exception())]
    if pending and all(isinstance(fault, Stopped) for fault in failures):
        finished, _ = wait(tasks)
        failures = [fault for task in finished if (fault := task.exception())]
    for failure in sorted(failures, key=lambda fault: isinstance(fault, Stopped)):
        raise failure


def create_network(scope: Scope, name: str, labels: dict[str, str]) -> None:
    """Create a network of an environment; a local engine publishes ports from it on loopback alone."""
    engine = scope.engine
    with refusals(engine, f"the network {name} is created"):
        engine.client.networks.create(
            name,
            driver="bridge",
            check_duplicate=True,
            options=LOOPBACK if engine.local else {},
            labels={**scope.labels, **labels},
        )

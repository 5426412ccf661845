"""What a live environment has: its elements, as the engine and they themselves tell at this moment."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from threading import Event, Lock
from typing import Any

from labkit.coordination import Coordinator
from labkit.engine import Label
from labkit.environment import _record, _starter
from labkit.environment._balancer import Balancer
from labkit.environment._database import Database
from labkit.environment._faults import Reach
from labkit.environment._graph import Call, calls_of
from labkit.environment._instance import Instance
from labkit.environment._inventory import Element, ask, elements_of
from labkit.environment._logs import read_logs
from labkit.environment._making import outside_of
from labkit.environment._part import Part, Scope
from labkit.environment._plan import Plan
from labkit.environment._readiness import Watcher
from labkit.environment._recording import record
from labkit.environment._replicas import Replicas
from labkit.environment._starter import Starter
from labkit.environment._stub import Stub
from labkit.errors import LabError
from labkit.system import Recording
from labkit.workspace import Workspace


class Live:
    """A live environment to look at; it holds no state, each answer is read anew."""

    def __init__(self, workspace: Workspace, scope: Scope, plan: Plan | None) -> None:
        self._workspace, self._scope, self._plan_found = workspace, scope, plan
        self._engine = scope.engine
        self._one_harness = Lock()

    @property
    def workspace(self) -> Workspace:
        """The workspace that it belongs to."""
        return self._workspace

    @property
    def name(self) -> str:
        """The environment's name, unique in its workspace."""
        return self._scope.environment

    @property
    def stage(self) -> str:
        """The stage: development, integration, staging or production."""
        return self._scope.labels[Label.STAGE]

    @property
    def configuration(self) -> Mapping[str, str]:
        """The configuration that was bound at creation, as environment variables."""
        return self._plan.configuration

    @property
    def url(self) -> str:
        """Where clients reach the system: the entry service, through the load balancer."""
        if not self._plan.entry:
            raise self._absent("an entry service")
        return self.urls[self._plan.entry]

    @cached_property
    def urls(self) -> dict[str, str]:
        """Where each service is reached through the load balancer, by name."""
        if not self._plan.services:
            return {}
        ports = self._part("balancer").ports
        return {it.name: f"http://{self._engine.host}:{ports[it.port]}" for it in self._plan.services}

    @cached_property
    def balancer(self) -> Balancer:
        """The load balancer."""
        return _starter.balancer_of(self._scope, self._part("balancer"))

    @cached_property
    def database(self) -> Database | None:
        """The database, None when the system has none or the stage needs none."""
        if not self._plan.database:
            return None
        return _starter.database_of(self._scope, self._plan, self._part("database"), self._used)

    @cached_property
    def coordinator(self) -> Coordinator | None:
        """The coordinator, None in a stage without one."""
        if not self._plan.coordinator:
            return None
        return _starter.coordinator_of(self._scope, self._part("coordinator"))

    def refresh(self) -> None:
        """Ask the engine again where the elements are: one that was restarted is published elsewhere."""
        for name in ("urls", "balancer", "database", "coordinator"):
            self.__dict__.pop(name, None)

    @property
    def stubs(self) -> list[str]:
        """The names of the external services that a stub answers for."""
        return [it.name for it in self._plan.stubs]

    def stub(self, name: str) -> Stub:
        """Return the stub of an external service.

        :raises LabError: when that is real here, or there is none of that name.
        """
        if name not in self.stubs:
            listed = ", ".join(self.stubs) or "none, for the external services are real here"
            raise LabError(f"a stub of {self.name}: {listed}", repr(name), "name one of them")
        return _starter.stubs_of(self._scope, self._plan, self._part("stub"), self._used)[name]

    def record(self, name: str, requests: Iterable[str]) -> Recording:
        """Ask an external service that is real here, and return its answers for a stub to give.

        requests are such as "GET /rates/EUR".

        :raises LabError: when it is not real here, or not read-only, or does not answer with JSON.
        """
        external = {it.name: it for it in self._plan.providers}.get(name)
        if external is None:
            seen = f"{name!r}; real here: {', '.join(it.name for it in self._plan.providers) or 'none'}"
            mend = f"create an environment with real=[{name!r}] and record there"
            raise LabError(f"an external service that is real in {self.name}", seen, mend)
        made = record(external, self._engine.host, self._part(name).ports[external.port], requests)
        self._used("record", external=name, requests=list(made.answers))
        return made

    def instances(self, service: str) -> list[Instance]:
        """Return the instances of a service by number, as they are now."""
        return self._replicas(Event()).of(service)

    def elements(self) -> list[Element]:
        """Return every element as it is now, by role and name; what should be there and is not is missing."""
        parts = self._scope.parts()
        run = {part.name for part in parts if part.state == "running"}
        known = ask(self.balancer if "balancer" in run else None, self._running_coordinator(parts))
        return elements_of(self._reach, self._plan_found, parts, known)

    def element(self, name: str) -> Element:
        """Return one element by its name, such as "database" or "cart-2".

        :raises LabError: when there is none of that name.
        """
        found = {it.name: it for it in self.elements()}
        if name not in found:
            raise LabError(f"an element of {self.name}: {', '.join(found)}", repr(name), "name one of them")
        return found[name]

    def logs(self, service: str | None = None, *, request_id: str | None = None) -> list[dict[str, Any]]:
        """Return what was logged, oldest first, each line with at least time, service and instance.

        service is a service, or an element such as "database"; None means all of them. With request_id it is
        what was logged for this one request, wherever that came by. Lines that are no JSON have their text as
        message.
        """
        chosen = [part for part in self._speaking() if service in {None, part.service, part.role, part.name}]
        lines = read_logs(self._engine, chosen)
        return lines if request_id is None else [it for it in lines if it.get("request_id") == request_id]

    def calls(self, last_s: float | None = None) -> list[Call]:
        """Return who called whom, the service graph, as the logs tell; the lines of an instance go with it.

        last_s is for how many seconds back; None is all that the logs hold.
        """
        return calls_of(read_logs(self._engine, self._speaking(), last_s))

    def __repr__(self) -> str:
        """Return name and stage."""
        return f"<Environment {self.name} ({self.stage})>"

    def _speaking(self) -> list[Part]:
        return [part for part in self._scope.parts() if part.role != "harness"]

    @cached_property
    def _used(self) -> Callable[..., None]:
        return partial(_record.used, self._workspace, self._plan)

    @property
    def _plan(self) -> Plan:
        if self._plan_found is None:
            raise LabError(self.name, "only parts of it", f"labkit environment clean-up {self.name}")
        return self._plan_found

    def _part(self, name: str) -> Part:
        for part in self._scope.parts():
            if part.name == name:
                return part
        raise self._absent(f"the element {name}")

    def _absent(self, what: str) -> LabError:
        seen = f"the stage {self.stage} has none, or it was cleaned up"
        return LabError(f"{what} of {self.name}", seen, "labkit environment list shows what is alive")

    def _replicas(self, stop: Event) -> Replicas:
        outside = outside_of(self._scope.labels[Label.WORKSPACE], self._plan)
        starter = Starter(self._reach, self._plan, Watcher(self._engine, stop), outside)
        return Replicas(starter, self.balancer, lambda: self._running_coordinator(self._scope.parts()))

    def _running_coordinator(self, parts: Iterable[Part]) -> Coordinator | None:
        """Return the coordinator, None when there is none, or it was paused, killed or removed."""
        run = {part.name for part in parts if part.state == "running"}
        return self.coordinator if "coordinator" in run else None

    @property
    def _reach(self) -> Reach:
        return Reach(self._scope, lambda: self.balancer, self._used)

"""Starts the elements of an environment, each with its own way to say that it is ready."""

from collections.abc import Mapping
from http.client import OK, HTTPConnection, HTTPException
from pathlib import Path

from labkit.coordination import PORT as COORDINATOR_PORT
from labkit.coordination import Coordinator
from labkit.environment import _elements as elements
from labkit.environment._balancer import Balancer
from labkit.environment._database import Database
from labkit.environment._database_container import DatabaseContainer
from labkit.environment._faults import Reach, Used, unused
from labkit.environment._haproxy import CONTROL_PORT, WAITING
from labkit.environment._instance import Instance
from labkit.environment._part import Part, Scope
from labkit.environment._plan import Plan, PlannedExternal, PlannedService
from labkit.environment._readiness import SERVER_S, Watcher
from labkit.environment._server import Server
from labkit.environment._stub import Stub
from labkit.system import External

SERVICE_S = 30.0
"""How long an instance of the system's services may take to be ready, in seconds."""

HTTP_S = 2.0


class Starter:
    """Starts elements of one environment; outside is the network of the external services."""

    def __init__(self, reach: Reach, plan: Plan, watcher: Watcher, outside: str = "") -> None:
        self.scope, self.plan, self.outside = reach.scope, plan, outside
        self.reach = reach
        self._watch = watcher

    def balancer(self) -> Balancer:
        """Start the load balancer and wait for its runtime API."""
        part = self.scope.start(elements.balancer(self.plan))
        made = balancer_of(self.scope, part)
        self._watch.until(part, "answers its runtime API", made.answers, SERVER_S)
        return made

    def database(self, migrations: Path) -> Database:
        """Start the database server, wait until it answers, make the database and apply the migrations."""
        part = self.scope.start(elements.database())
        made = database_of(self.scope, self.plan, part)
        self._watch.until(part, "answers SQL", made.answers, SERVER_S)
        made.create(migrations)
        return made

    def coordinator(self) -> Coordinator:
        """Start the coordinator and wait until it has a leader."""
        part = self.scope.start(elements.coordinator())
        made = coordinator_of(self.scope, part)
        self._watch.until(part, "has a leader", made.answers, SERVER_S)
        return made

    def stubs(self, external: Mapping[str, External]) -> None:
        """Start the stubs of the external services that are not real here, and wait for each."""
        part = self.scope.start(elements.stubs(self.plan, external))
        for stub in stubs_of(self.scope, self.plan, part).values():
            self._watch.until(part, f"answers for {stub.name}", stub.answers, SERVER_S)

    def provider(self, external: PlannedExternal, image: str) -> None:
        """Start what stands for a real external service, in the network outside, and wait for its answer."""
        outside = Scope(self.scope.engine, self.scope.environment, self.scope.labels, self.outside)
        part = outside.start(elements.provider(self.plan, external, image))
        where = (self.scope.engine.host, part.ports[external.port])
        self._watch.until(part, "answers GET /readyz with 200", lambda: _ok(*where, "/readyz"), SERVICE_S)

    def instance(self, service: PlannedService, name: str, image: str, version: str) -> Instance:
        """Start an instance of a service; whether it is ready is the balancer's to say."""
        wanted = elements.instance(self.plan, service, name, image, version, self.outside)
        return instance_of(self.plan, self.scope.start(wanted), self.reach)

    def await_instance(self, instance: Instance, balancer: Balancer, seconds: float, room: str = "") -> None:
        """Wait until the balancer, which knows the instance in a room ("" takes requests), finds it ready."""
        service = self.plan.service(instance.service)
        part = self.scope.parts({"id": instance.container})[0]
        what = f"answers GET {service.ready} with 200"
        self._watch.until(
            part,
            what,
            lambda: balancer.finds_ready(instance, room),
            seconds,
            lambda: balancer.last_check(instance, room),
        )

    def await_waiting(self, instance: Instance, balancer: Balancer, seconds: float) -> None:
        """Wait in the balancer's waiting room until an instance is ready; it gets no requests by that."""
        balancer.introduce(instance, WAITING)
        try:
            self.await_instance(instance, balancer, seconds, WAITING)
        finally:
            balancer.leave_waiting(instance)


def balancer_of(scope: Scope, part: Part) -> Balancer:
    """Return the load balancer that runs in a container; while it does not, nothing answers at its port."""
    return Balancer(scope.engine.host, part.ports.get(CONTROL_PORT, 0))


def database_of(scope: Scope, plan: Plan, part: Part, used: Used = unused) -> Database:
    """Return the database that runs in a container."""
    server = Server(scope.engine.host, DatabaseContainer.port(part), DatabaseContainer(scope))
    return Database(plan.database, server, used)


def coordinator_of(scope: Scope, part: Part) -> Coordinator:
    """Return the coordinator that runs in a container."""
    return Coordinator(scope.engine.host, part.ports[COORDINATOR_PORT])


def stubs_of(scope: Scope, plan: Plan, part: Part, used: Used = unused) -> dict[str, Stub]:
    """Return the stubs that run in a container, by the name of the external service."""
    return {it.name: Stub(it.name, scope.engine.host, part.ports[it.port], used) for it in plan.stubs}


def instance_of(plan: Plan, part: Part, reach: Reach, state: str = "") -> Instance:
    """Return the instance that runs in a container."""
    port = plan.service(part.service).port
    return Instance(
        name=part.name,
        service=part.service,
        image=part.image,
        version=part.version,
        address=f"{part.address}:{port}" if part.address else "",
        state=state or part.state,
        container=part.id,
        reach=reach,
    )


def _ok(host: str, port: int, path: str) -> bool:
    line = HTTPConnection(host, port, timeout=HTTP_S)
    try:
        line.request("GET", path)
        return line.getresponse().status == OK
    except HTTPException as problem:
        raise ConnectionError(str(problem) or "no answer") from problem
    finally:
        line.close()

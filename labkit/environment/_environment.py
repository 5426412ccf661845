"""One environment's life: create, use, clean up."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from threading import Event, Lock
from types import TracebackType
from typing import Any, Self

from labkit.engine import Completed, Label, Owner
from labkit.environment import _record, _starter
from labkit.environment._apart import apart
from labkit.environment._balancer import Balancer
from labkit.environment._capture import Capture
from labkit.environment._coordinator import Coordinator
from labkit.environment._creation import Progress
from labkit.environment._database import Database
from labkit.environment._harness import place_of
from labkit.environment._images import versions
from labkit.environment._instance import Instance
from labkit.environment._logs import read_logs
from labkit.environment._making import Order, delete, make, outside_of, plan_of_order
from labkit.environment._part import IDENTITY, Part, Scope, find_engine
from labkit.environment._plan import Plan
from labkit.environment._readiness import Watcher
from labkit.environment._replicas import Replicas
from labkit.environment._run import TIMEOUT_S, Files
from labkit.environment._saving import save_results
from labkit.environment._starter import SERVICE_S, Starter
from labkit.environment._status import EnvironmentStatus, plan_of, statuses, traces
from labkit.environment._stub import Stub
from labkit.errors import LabError
from labkit.system import System
from labkit.workspace import Workspace

# Inside of the class, `list` is the verb.
Instances = list[Instance]
Lines = list[dict[str, Any]]
Names = list[str]


class Environment:
    """A live environment, made by `create` or found again by `attach`; leaving its `with` block cleans it up.

    It holds no state of its own: what it answers is read from the engine and its elements each time.
    """

    def __init__(self, workspace: Workspace, scope: Scope, plan: Plan | None) -> None:
        self._workspace, self._scope, self._plan_found = workspace, scope, plan
        self._engine = scope.engine
        self._one_harness = Lock()

    @classmethod
    def create(  # noqa: PLR0913 - one verb, and each keyword has a sentence below
        cls,
        system: System,
        stage: str,
        *,
        images: Mapping[str, str] | None = None,
        module: str | None = None,
        owner: Owner | None = None,
        workspace: Workspace | None = None,
        config: Mapping[str, object] | None = None,
        because: str = "asked for by hand",
        ready_s: float = SERVICE_S,
        progress: Progress | None = None,
    ) -> Self:
        """Create an environment and return it when all of it is ready.

        images maps each service to its image; None builds them from the system's folders (at no cost when
        these are unchanged). module names the one service of a development environment. owner None is this
        process, so that nothing outlives it; for production it is the workspace. workspace None is the one
        that Workspace.open finds. config overrides configuration parameters. because is the event that caused
        the creation, which is recorded. ready_s is how long each instance may take to be ready,
        in seconds. progress gets a sentence for each element that is ready.

        :raises LabError: for a configuration that cannot work (nothing has started by then), an image that is
            missing, a part that does not get ready, or an engine that is gone. All that was started is
            removed before.
        """
        workspace = workspace or Workspace.open()
        order = Order(
            system=system,
            stage=stage,
            workspace=workspace,
            images=images,
            module=module,
            owner=owner,
            config=config or {},
            because=because,
            ready_s=ready_s,
            progress=progress or (lambda _: None),
        )
        plan = plan_of_order(order)  # before the engine is asked: what cannot work must not start
        return cls(workspace, make(find_engine(), order, plan), plan)

    @staticmethod
    def list(workspace: Workspace) -> list[EnvironmentStatus]:
        """Return the live environments of a workspace, the oldest first."""
        return statuses(find_engine(), workspace.id)

    @classmethod
    def attach(cls, name: str, workspace: Workspace | None = None) -> Self:
        """Return a live environment that this or another process created; workspace None is as in create.

        :raises LabError: when there is none of that name in the workspace.
        """
        workspace, engine = workspace or Workspace.open(), find_engine()
        found = traces(engine, {Label.WORKSPACE: workspace.id, Label.ENVIRONMENT: name})
        if not found:
            known = ", ".join(status.name for status in statuses(engine, workspace.id)) or "none is alive"
            raise LabError(
                f"an environment of this workspace: {known}", repr(name), "labkit environment list"
            )
        plan = Plan.from_label(text) if (text := plan_of(found)) else None
        common = {str(it): found[0].labels.get(it, "") for it in (*IDENTITY, Label.OWNER, Label.STAGE)}
        return cls(workspace, Scope(engine, name, common, "" if plan and plan.module else name), plan)

    @classmethod
    def clean_up_all(cls, workspace: Workspace) -> Names:
        """Clean up every environment of a workspace, production too; return their names.

        One that its reaper removes in the same moment is left to it.
        """
        names = [status.name for status in cls.list(workspace)]
        for name in names:
            try:
                cls.attach(name, workspace).clean_up()
            except LabError:
                if name in [status.name for status in cls.list(workspace)]:
                    raise
        return names

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

    @property
    def stubs(self) -> Names:
        """The names of the external services that a stub answers for."""
        return [it.name for it in self._plan.stubs]

    def stub(self, name: str) -> Stub:
        """Return the stub of an external service.

        :raises LabError: when that is real here, or there is none of that name.
        """
        if name not in self.stubs:
            listed = ", ".join(self.stubs) or "none, for the external services are real here"
            raise LabError(f"a stub of {self.name}: {listed}", repr(name), "name one of them")
        return _starter.stubs_of(self._scope, self._plan, self._part("stub"))[name]

    def instances(self, service: str) -> Instances:
        """Return the instances of a service by number, as they are now."""
        return self._replicas(Event()).of(service)

    def add_instance(
        self, service: str, image: str, *, version: str | None = None, deadline_s: float = SERVICE_S
    ) -> Instance:
        """Start one more instance of a service and return it when it is ready; it gets no requests yet.

        version None is what the image says of itself.

        :raises NotReady: when it is not ready within deadline_s seconds; it is removed by then.
        """
        told = version or versions(self._engine, {service: image})[service]
        return apart(
            lambda stop: self._replicas(stop).add(service, image, told, deadline_s), self.remove_instance
        )

    def remove_instance(self, instance: Instance) -> None:
        """Take an instance out of the balancer and remove it; drain it first to lose no request."""
        apart(lambda stop: self._replicas(stop).remove(instance))

    def _replicas(self, stop: Event) -> Replicas:
        outside = outside_of(self._scope.labels[Label.WORKSPACE], self._plan)
        starter = Starter(self._scope, self._plan, Watcher(self._engine, stop), outside)
        return Replicas(starter, self.balancer, self.coordinator)

    def logs(self, service: str | None = None) -> Lines:
        """Return what was logged, oldest first, each line with at least time, service and instance.

        service is a service, or an element such as "database"; None means all of them. Lines that are no JSON
        have their text as message.
        """
        parts = [part for part in self._scope.parts() if part.role != "harness"]
        chosen = [part for part in parts if service in {None, part.service, part.role, part.name}]
        return read_logs(self._engine, chosen)

    def run(
        self,
        command: Sequence[str] | str,
        *,
        image: str | None = None,
        files: Files | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Completed:
        """Run a command in the module's container at /app, or beside the services; return what came of it.

        Beside the services means a container inside their network that stays until clean-up, each run in a
        folder of its own; with image, a container of that image that goes with the command. files are put
        into the folder first.
        """
        with self._one_harness:
            place = place_of(self._scope, self._plan, image)
        done = place.run(command, files or {}, environment or {}, timeout_s)
        words = command if isinstance(command, str) else shlex.join(command)
        self._used("run", command=words, exit_code=done.exit_code, seconds=round(done.seconds, 3))
        return done

    def capture(self) -> Capture:
        """Open a door before the balancer that writes down what comes in, for a replay; one at a time.

        Clients use the capture's own url; what enters by the environment's is not written down.
        """
        entry = self._plan.service(self._plan.entry)
        return apart(lambda stop: Capture.start(self._scope, entry, self._used, stop), Capture.stop)

    def clean_up(self, *, save: Path | None = None) -> None:
        """Remove everything of this environment and record that; doing it again does nothing.

        save is a folder for what is to outlive it: the logs and the calls of the stubs, as JSON.

        :raises LabError: when something cannot be removed; it names what is left.
        """

        def saved() -> Names:
            return save_results(self, save) if save else []

        apart(lambda _: delete(self._scope, self._plan_found, self._workspace, saved))

    def __enter__(self) -> Self:
        """Return the environment."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clean up, also after an error."""
        self.clean_up()

    def __repr__(self) -> str:
        """Return name and stage."""
        return f"<Environment {self.name} ({self.stage})>"

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

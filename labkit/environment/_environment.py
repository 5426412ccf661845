"""One environment's life: create, use, clean up."""

import builtins
import json
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from threading import Event, Lock
from typing import Any, Self, TypeVar

from labkit._tar import Files
from labkit._uninterruptible import uninterruptible
from labkit.balancer import CHECKED, Balancer
from labkit.containers import (
    Container,
    ContainerInfo,
    Element,
    Namespace,
    adopt,
    read_logs,
)
from labkit.coordination import Coordinator
from labkit.engine import Completed, Engine, Label, Owner, Progress, image_versions
from labkit.environment import _record
from labkit.environment._create import Creation, delete
from labkit.environment._elements import Elements
from labkit.environment._graph import Call, calls_of
from labkit.environment._inventory import ElementStatus, status_of
from labkit.environment._plan import Plan
from labkit.environment._plans import CHANGING
from labkit.environment._recording import record
from labkit.environment._rollout import Rollout
from labkit.environment._status import EnvironmentStatus, labelled, statuses
from labkit.environment.elements.capture import Capture, RecordingProxy
from labkit.environment.elements.instance import READY_S, Instance
from labkit.environment.elements.runner import APP, Module, Runner
from labkit.environment.elements.stubs import Stub, Stubs
from labkit.errors import LabError
from labkit.etcd import Etcd
from labkit.postgres import Database, Postgres
from labkit.system import Recording, System
from labkit.workspace import Workspace

COMMAND_S = 600.0
WORK = "/work"
E = TypeVar("E", bound=Element)
SPEECHLESS = ("harness",)
"""Roles whose containers log nothing."""


class Environment:
    """A live environment, from `create` or `attach`; leaving its `with` block cleans it up.

    It holds no state of its own: its answers are read from the engine and the elements each time.
    """

    def __init__(self, workspace: Workspace, namespace: Namespace, plan: Plan | None) -> None:
        """Represent a live environment; create and attach call this.

        plan None means that the network that carried the plan is gone: all that is left is to clean up.
        """
        self._workspace, self._plan_found = workspace, plan
        # Without a plan there is no stage and no digest to record a use of.
        self._namespace = replace(namespace, on_use=self._record_use if plan else namespace.on_use)
        self._engine = namespace.engine
        self._one_runner = Lock()

    # ---- create, find ----

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
        real: Collection[str] = (),
        because: str = "asked for by hand",
        ready_s: float = READY_S,
        progress: Progress | None = None,
    ) -> Self:
        """Create an environment and return it when all of it is ready.

        images maps each service to its image; None builds them from the system's folders, whose unchanged
        images are used again. module is the service of a development environment, None for every other stage.
        owner None is this process, so that nothing outlives it; for production it is the workspace. workspace
        None is the one that Workspace.open finds. config overrides configuration parameters; None overrides
        none. real names read-only external services to be called for real here, beside those that system.toml
        makes real. because is the event that caused the creation; it is recorded. ready_s is how long each
        instance may take to be ready, in seconds. progress gets a sentence for each element that is ready,
        and for what takes longer; None is silence.

        :raises LabError: when the configuration cannot work, or a read-write external service is to be real
            outside production; nothing has started by then. Also when an image is missing, an element does
            not get ready, or the engine is gone; everything that was started is removed by then.
        """
        workspace = workspace or Workspace.open()
        # Planned before the engine is asked: what cannot work must not start.
        plan = Plan.make(system, stage, module, config or {}, because, real)
        creation = Creation(
            Engine.find(), system, plan, workspace, owner, ready_s, progress or (lambda _: None)
        )
        return cls(workspace, *creation.run(images))

    @classmethod
    def attach(cls, name: str, workspace: Workspace | None = None) -> Self:
        """Return a live environment that any process created; workspace None is as in create.

        :raises LabError: when there is none of that name in the workspace.
        """
        workspace, engine = workspace or Workspace.open(), Engine.find()
        things = labelled(engine, {Label.WORKSPACE: workspace.id, Label.ENVIRONMENT: name})
        if not things:
            known = ", ".join(status.name for status in statuses(engine, workspace.id)) or "none is alive"
            expected = f"an environment of this workspace: {known}"
            raise LabError(expected, repr(name), "labkit environment list")
        plans = (Plan.from_labels(thing.labels) for thing in things if thing.kind != "volume")
        plan = next((plan for plan in plans if plan), None)
        carried = (Label.WORKSPACE, Label.ENVIRONMENT, Label.OWNER, Label.STAGE)
        labels = {str(label): things[0].labels.get(label, "") for label in carried}
        return cls(workspace, Namespace(engine, name, labels, "" if plan and plan.module else name), plan)

    @staticmethod
    def list(workspace: Workspace) -> builtins.list[EnvironmentStatus]:
        """Return the live environments of a workspace, the oldest first."""
        return statuses(Engine.find(), workspace.id)

    # ---- what it is ----

    @property
    def workspace(self) -> Workspace:
        """The workspace to which it belongs."""
        return self._workspace

    @property
    def name(self) -> str:
        """The environment's name, unique in its workspace."""
        return self._namespace.name

    @property
    def stage(self) -> str:
        """The stage: development, integration, staging or production."""
        return self._namespace.labels[Label.STAGE]

    @property
    def owner(self) -> str:
        """Its owner, a process or the workspace, in the words of its label; see engine.Owner."""
        return self._namespace.labels[Label.OWNER]

    @property
    def configuration(self) -> Mapping[str, str]:
        """The configuration that new instances get, as environment variables.

        It is bound at creation; a pipeline run that changes production's replaces all its instances.
        """
        return self._plan.configuration

    @property
    def url(self) -> str:
        """Where clients reach the system: the entry service, through the load balancer.

        It is another one after a restart of the balancer.

        :raises NoAnswer: when the balancer does not run.
        """
        if not self._plan.entry:
            raise self._elements.absent("an entry service")
        entry = self._plan.entry
        return self._urls({entry: self.balancer_of(entry)})[entry]

    @property
    def urls(self) -> dict[str, str]:
        """Where each service is reached through the load balancer, by name."""
        return self._urls(self._elements.balancers())

    @property
    def services(self) -> builtins.list[str]:
        """The names of its services."""
        return [service.name for service in self._plan.services]

    # ---- its elements ----

    @cached_property
    def _elements(self) -> Elements:
        return Elements(self._namespace, self._plan_found)

    @property
    def balancer(self) -> Balancer:
        """The load balancer of all services that it was created with."""
        return self._elements.balancer

    def balancer_of(self, service: str) -> Balancer:
        """Return the load balancer of a service: one that was added later has its own.

        :raises LabError: when there is no service of that name.
        """
        return self._elements.balancer_of(service)

    @property
    def database(self) -> Database | None:
        """The database, None when the system has none or the stage needs none."""
        return self._database if self._plan.database else None

    @property
    def coordinator(self) -> Coordinator | None:
        """A client of the coordinator, None in a stage without one.

        :raises NoAnswer: when the coordinator does not run.
        """
        return self._elements.one(Etcd).client() if self._plan.coordinator else None

    def elements(self) -> builtins.list[ElementStatus]:
        """Return the status of every element, by role and name; one that should be there may be "missing"."""
        elements = self._elements.all().values()
        running = {element.name for element in elements if element.engine_state == "running"}
        coordinator = self.coordinator if "coordinator" in running else None
        balancers = [one for one in elements if isinstance(one, Balancer) and one.name in running]
        return status_of(elements, balancers, coordinator)

    def element(self, name: str) -> Element:
        """Return one element by its name, such as "database" or "cart-2", with its verbs.

        :raises LabError: when there is none of that name.
        """
        elements = self._elements.all()
        if name not in elements:
            known = ", ".join(sorted(elements))
            raise LabError(f"an element of {self.name}: {known}", repr(name), "name one of them")
        if isinstance(instance := elements[name], Instance):  # whose state the balancer knows
            copies = self.instances(instance.service)
            return next((copy for copy in copies if copy.name == name), instance)
        return elements[name]

    def connected(self) -> builtins.list[Element]:
        """Return the elements that have a connection to the database now.

        A snapshot or a restore ends it; an element that does not connect again by itself needs a restart().
        """
        clients = self.database.clients() if self.database else set[str]()
        return [element for element in self._elements.all().values() if element.ip in clients]

    def add(self, container: Container, name: str | None = None) -> Container:
        """Start your own testcontainers container in this environment, and return it when it is ready.

        Services find it by its name. name None takes the name that you gave it (`with_name`), else that of
        its class, such as "redis" of RedisContainer, else that of its image. It is listed, recorded, found by
        `element` and cleaned up as all other elements are.

        :raises LabError: when it is no container of testcontainers, was started, or the name is taken.
        :raises NotReady: when it ends, or is not ready in time; nothing of it is left.
        """
        element: Any = adopt(container, self._namespace, name, self._elements.all())

        def work(stop: Event) -> Container:
            element.namespace = replace(self._namespace, stop=stop)
            with element.all_or_nothing():  # its own class may wait for more after the start
                element.start()
            element.namespace = self._namespace
            return container

        added = uninterruptible(work, lambda _: element.stop())
        self._elements.added[element.name] = element
        self._namespace.on_use("add", element=element.name, image=element.image)
        return added

    def start(self, progress: Progress | None = None) -> builtins.list[str]:
        """Start again what has ended, as after a restart of the engine, and return the names of that.

        Each element has what it had. The services start last. A balancer has forgotten its servers by then:
        `deployment.reconcile` gives them back. progress gets a sentence for each element; None is silence.

        :raises NotReady: when one is not ready in time; those before it run.
        """
        progress = progress or (lambda _: None)
        ended = [one for one in self._elements.all().values() if one.engine_state == "exited"]
        ended.sort(key=lambda one: (isinstance(one, Instance), one.name))
        instances = [one for one in ended if isinstance(one, Instance)]
        for element in ended[: len(ended) - len(instances)]:
            element.start()
            progress(f"{element.name} is started again")
        known = [self._database.server] if self._plan.database else []
        for server in (*known, *([self.balancer] if self._plan.entry else ())):
            server.reload()  # the ports at which it is reached are others by now
        for instance in instances:  # all of them first, because they may wait for each other
            instance.start()
        for instance in instances:
            instance.await_health_check(READY_S, CHECKED)
            progress(f"{instance.name} is started again")
        return [element.name for element in ended]

    def instances(self, service: str) -> builtins.list[Instance]:
        """Return the instances of a service by number, as they are now."""
        return self._elements.instances(service)

    def forgotten(self) -> builtins.list[Instance]:
        """Return the instances that a balancer which was restarted knows no more, of all services.

        `deployment.reconcile` gives them back to it.

        :raises NoAnswer: when the balancer does not answer.
        """
        return self._elements.forgotten()

    def add_instance(
        self,
        service: str,
        image: str,
        *,
        version: str | None = None,
        settings: str = "",
        deadline_s: float = READY_S,
    ) -> Instance:
        """Start one more instance of a service and return it when it is ready; it gets no requests yet.

        version None is that of the image: its version label, else its tag. settings are another instance's,
        which this one gets too: "" starts it as the environment's plan says now.

        :raises NotReady: when it is not ready within deadline_s seconds. It has been killed and removed by
            then: it has served nobody.
        """
        version = version or image_versions(self._engine, {service: image})[service]
        start = partial(self._elements.add_instance, service, image, version, settings, deadline_s)
        return uninterruptible(start, self.remove_instance)

    def remove_instance(self, instance: Instance) -> str:
        """Remove an instance, from the balancer too; drain it first so that no request is lost.

        It is asked to end by SIGTERM, or the STOPSIGNAL of its image. It is killed when it has not ended
        within its service's grace_s seconds (system.toml). Return what is worth a word about its end, such as
        "did not end on SIGTERM, killed after 10 s", which is recorded too; "" when it ended as it was asked.
        """
        remark = uninterruptible(lambda _: self._elements.remove_instance(instance))
        if remark:
            self._namespace.on_use("remove", element=instance.name, remark=remark)
        return remark

    def rollout(self, system: System, *, because: str = "asked for by hand") -> Rollout:
        """Return the way that brings this living environment to what a system declares by now.

        because is the event that caused it.

        :raises LabError: when the system's configuration cannot work, or this is not production.
        """
        if self.stage not in CHANGING:
            next_step = "create another one with the system as it is now, and clean this one up"
            raise LabError("production, which lives on while its system changes", self.stage, next_step)
        wanted = Plan.make(system, self.stage, None, {}, because)
        return Rollout(self._workspace, self._namespace, self._elements, system, wanted)

    @property
    def stubs(self) -> builtins.list[str]:
        """The names of the external services that a stub answers for."""
        return [external.name for external in self._plan.stubs]

    def stub(self, name: str) -> Stub:
        """Return the stub of an external service.

        :raises LabError: when the service is real here, or there is none of that name.
        """
        if name not in self.stubs:
            listed = ", ".join(self.stubs) or "none, for the external services are real here"
            raise LabError(f"a stub of {self.name}: {listed}", repr(name), "name one of them")
        return self._elements.one(Stubs).stub(name)

    def record(self, name: str, requests: Iterable[str]) -> Recording:
        """Ask an external service that is real here, and return its answers for a stub to replay.

        Each request is a text such as "GET /rates/EUR".

        :raises LabError: when the service is not real here, is not read-only, or does not answer with JSON.
        """
        external = {provider.name: provider for provider in self._plan.providers}.get(name)
        if external is None:
            known = ", ".join(provider.name for provider in self._plan.providers) or "none"
            next_step = f"create an environment with real=[{name!r}] and record there"
            expected = f"an external service that is real in {self.name}"
            raise LabError(expected, f"{name!r}; real here: {known}", next_step)
        port = self._elements.all()[name].get_exposed_port(external.port)
        recording = record(external, self._engine.host, port, requests)
        self._namespace.on_use("record", external=name, requests=[*recording.answers])
        return recording

    # ---- use ----

    def run(
        self,
        command: Sequence[str] | str,
        *,
        image: str | None = None,
        files: Files | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = COMMAND_S,
    ) -> Completed:
        """Run a command in the module's container at /app, or beside the services; return its result.

        Beside the services, the command runs in the test runner: a container in their network that stays
        until clean-up. Each command has a folder of its own. With image, the command runs in a new container
        of that image, which is removed afterwards. files are copied into the folder first; None means none.
        environment are further variables; None adds none. A command that takes longer than timeout_s seconds
        is ended, and its result has timed_out.

        :raises ImageMissing: when the engine does not have the image.
        :raises NoAnswer: when the container in which it would run is paused, killed or removed.
        """
        files, variables = files or {}, environment or {}
        if image is not None:
            done = self._engine.run(
                image,
                ["sh", "-c", command] if isinstance(command, str) else list(command),
                files={f"{WORK}/{name}": content for name, content in files.items()},
                environment={**self._plan.variables(self._namespace.secret), **variables},
                network=self._namespace.network or None,
                labels={**self._namespace.labels, Label.ROLE: Runner.role},
                timeout_s=timeout_s,
                workdir=WORK,
            )
        else:
            with self._one_runner:
                module = self._elements.one(Module) if self._plan.module else None
                place = module or Runner(self._namespace, self._plan).ensure()
            folder = APP if module else Runner.fresh_folder()
            if place.engine_state != "running":
                raise place.no_answer()
            place.put(folder, files)
            # The test runner may be older than the plan.
            given = variables if module else {**self._plan.variables(self._namespace.secret), **variables}
            done = place.execute(command, workdir=folder, variables=given, timeout_s=timeout_s)
        words = command if isinstance(command, str) else shlex.join(command)
        self._namespace.on_use("run", command=words, exit_code=done.exit_code, seconds=round(done.seconds, 3))
        return done

    def capture(self) -> Capture:
        """Start a recording proxy in front of the balancer, which records what comes in; one at a time.

        Clients use the capture's own url: requests to the environment's url are not recorded.

        :raises LabError: when a capture is open already, or the stage has no service that clients reach.
        """
        if not self._plan.entry:
            raise self._elements.absent("an entry service")
        plan = self._plan
        entry, port = plan.entry, plan.listens(plan.entry)

        def work(stop: Event) -> Capture:
            proxy = RecordingProxy(replace(self._namespace, stop=stop), entry, port).start()
            proxy.namespace = self._namespace
            return Capture(proxy)

        return uninterruptible(work, Capture.stop)

    def logs(
        self, service: str | None = None, *, request_id: str | None = None
    ) -> builtins.list[dict[str, Any]]:
        """Return what was logged, oldest first, each line with at least time, service and instance.

        service is a service, or an element such as "database"; None means all of them. request_id selects
        every line that was logged for that request, in any service; None selects all. A line that is no JSON
        has its text as message. The logs of a removed instance are gone.
        """
        chosen = [one for one in self._logging() if service in {None, one.service, one.role, one.name}]
        lines = read_logs(self._engine, chosen)
        return (
            lines if request_id is None else [line for line in lines if line.get("request_id") == request_id]
        )

    def calls(self, last_s: float | None = None) -> builtins.list[Call]:
        """Return who called whom, the service graph, read from the logs.

        last_s is how many seconds to look back; None reads the whole logs. The calls of a removed instance
        are gone with its logs.
        """
        return calls_of(read_logs(self._engine, self._logging(), last_s))

    # ---- clean up ----

    def clean_up(self, *, save: Path | None = None) -> None:
        """Remove everything of this environment and record that; a second call does nothing.

        Its containers are killed, not asked to end: nobody is served any more.

        save is a folder into which the logs and the calls of the stubs are written first, as JSON; None saves
        nothing.

        :raises LabError: when something cannot be removed; the error names what is left.
        """

        def saved() -> builtins.list[str]:
            return self._save(save) if save else []

        plan = next(iter(self._elements.plans.all()), None)
        uninterruptible(lambda _: delete(self._namespace, plan, self._workspace, saved))

    @classmethod
    def clean_up_all(
        cls, workspace: Workspace, may_go: Callable[[EnvironmentStatus], bool] = lambda _: True
    ) -> builtins.list[str]:
        """Clean up every environment of a workspace, production too; return their names.

        may_go gets the status of each and returns whether it is removed; by default all are. One that its
        reaper is removing at that moment is left to the reaper.
        """
        names = [status.name for status in cls.list(workspace) if may_go(status)]
        for name in names:
            try:
                cls.attach(name, workspace).clean_up()
            except LabError:
                if name in [status.name for status in cls.list(workspace)]:
                    raise
        return names

    def _save(self, folder: Path) -> builtins.list[str]:
        """Write the logs and the calls of the stubs into a folder, as JSON; return the names of the files.

        The calls of a stub that no longer answers are null.
        """
        folder.mkdir(parents=True, exist_ok=True)
        logs, calls = folder / f"{self.name}.logs.jsonl", folder / f"{self.name}.calls.json"
        logs.write_text("".join(f"{json.dumps(line)}\n" for line in self.logs()), encoding="utf-8")
        calls.write_text(
            json.dumps({name: self._calls_of_stub(name) for name in self.stubs}, indent=1), encoding="utf-8"
        )
        return [logs.name, calls.name]

    def _calls_of_stub(self, name: str) -> builtins.list[dict[str, Any]] | None:
        try:
            return self.stub(name).calls()
        except LabError:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clean_up()

    def __repr__(self) -> str:
        return f"<Environment {self.name} ({self.stage})>"

    # ---- how the elements are found ----

    @property
    def _plan(self) -> Plan:
        return self._elements.plan

    @cached_property
    def _database(self) -> Database:
        return Database(self._plan.database, self._elements.one(Postgres))

    def _urls(self, balancers: Mapping[str, Balancer]) -> dict[str, str]:
        for balancer in set(balancers.values()):
            balancer.reload()  # it may have been restarted, by another process too: its ports are others then
        return {
            name: f"http://{self._engine.host}:{balancer.get_exposed_port(self._plan.listens(name))}"
            for name, balancer in balancers.items()
        }

    def _record_use(self, what: str, **details: Any) -> None:  # noqa: ANN401 - JSON data
        _record.used(self._workspace, self._plan, what, **details)

    def _logging(self) -> builtins.list[ContainerInfo]:
        return [one for one in self._namespace.containers() if one.role not in SPEECHLESS]

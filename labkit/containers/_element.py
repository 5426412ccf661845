"""An element: testcontainers' container, bound to one environment and to its engine."""

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, TypeVar

from docker import APIClient
from docker.errors import APIError, NotFound, NullResource
from docker.types import EndpointConfig
from testcontainers.core.container import DockerContainer

from labkit._tar import Files, pack
from labkit.containers._errors import ENGINE_ERRORS, NotReady, refusals, ryuk_missing
from labkit.containers._execute import execute
from labkit.containers._finish import finish
from labkit.containers._info import ContainerInfo
from labkit.containers._logs import LAST_LINES, last_lines
from labkit.containers._namespace import SECRET, Namespace
from labkit.engine import BEGINS_AS_ROOT, WORK, Completed, Engine, Label, is_source, restricted
from labkit.errors import LabError, NoAnswer
from labkit.system import Limits

Answer = TypeVar("Answer")

MISSING = "missing"
"""The state of an element that the environment should have, and that has no container."""

COMMAND_S = 600.0
"""How long a command in a container may take, in seconds."""

RESTART_GRACE_S = 2
"""How long the processes of a container that is restarted may take to end by themselves, in seconds."""

NEXT_STEPS = {
    "exited": "environment.element({0!r}).start(), or for all that has ended: labkit environment start {1}",
    "paused": "environment.element({0!r}).resume()",
    "disconnected": "environment.element({0!r}).reconnect()",
}
"""State of an element that does not answer → the next step that brings it back."""


class Element(DockerContainer):
    """One container of an environment, started here or attached to: testcontainers' own with more verbs.

    It differs from its parent in three points. Its client is the engine's own. No image is pulled and no Ryuk
    is started for it, because labkit's reaper removes it by its labels. It belongs to a namespace, which
    gives it its name, labels and network.

    Its properties (state, ip, image …) are what the engine listed when it was started or attached to;
    `reload` lists again. Its verbs act on the container as it is at that moment. Each fault, from `pause` to
    `remove`, is recorded as a use of the environment.
    """

    role = "added"
    """What it is for, as its label says."""

    # Class attributes, because `adopt` makes elements of containers whose __init__ has run without these.
    service = ""
    version = ""
    namespace: Namespace
    name: str
    info: ContainerInfo | None = None
    """What the engine listed; None before the start, and when there is no container."""

    limits: Limits = WORK
    """The most that it may use; settings by with_kwargs replace them."""

    capabilities: Sequence[str] = BEGINS_AS_ROOT
    """The capabilities that are left to it."""

    make_secret: Callable[[], str] | None = None
    """Makes the secret that its container keeps; None for an element that needs none."""

    _prepared = False

    def __init__(
        self,
        namespace: Namespace,
        name: str,
        image: str,
        *,
        command: Sequence[str] | str | None = None,
        variables: Mapping[str, str] | None = None,
        ports: Sequence[int] = (),
        aliases: Sequence[str] = (),
        user: str | None = None,
    ) -> None:
        """Describe a container that is not started yet.

        command and user None are the image's own. variables None means no environment variables. ports are
        the container's ports to publish. aliases are further names in the network.
        """
        super().__init__(
            image,
            docker_client_kw=_unasked(namespace.engine),
            command=command if command is None or isinstance(command, str) else list(command),  # type: ignore[arg-type]  # it takes a list too
            env=dict(variables or {}),
            ports=list(ports),
        )
        if user:
            self.with_kwargs(user=user)
        self.join(namespace, name, aliases)

    def join(self, namespace: Namespace, name: str, aliases: Sequence[str] = ()) -> None:
        """Take a name in a namespace, and use its engine; labels and network come with the start."""
        self.namespace, self.name = namespace, name
        self._aliases = [*aliases, *(self._network_aliases or ())]
        self.get_docker_client().client = namespace.engine.client
        self.with_name(f"{namespace.name}.{name}")

    def attach(self, info: ContainerInfo | None) -> Self:
        """Become the element of this container, and return it; None means that there is no container."""
        self.info = info
        if info is not None:
            self.image, self.service, self.version = info.image, info.service, info.version
            container = {"Id": info.id}
            self._container = self.namespace.engine.client.containers.prepare_model(container)
        return self

    @property
    def secret(self) -> str:
        """The secret that its container keeps, "" while there is none; see Namespace.secret."""
        return self.namespace.secret(self.name)

    # ---- as it was listed ----

    @property
    def container(self) -> str:
        """The id of its container, "" when there is none."""
        return self.info.id if self.info else ""

    @property
    def state(self) -> str:
        """Its state, for most elements as the engine says; see engine_state."""
        return self.engine_state

    @property
    def engine_state(self) -> str:
        """The engine's word (running, paused, exited …), "disconnected", or "missing"."""
        if self.info is None:
            return MISSING
        off = self.info.state == "running" and self.namespace.network and not self.ip
        return "disconnected" if off else self.info.state

    @property
    def ip(self) -> str:
        """Its IP address in the namespace's network, "" while it has none."""
        return self.info.addresses.get(self.namespace.network, "") if self.info else ""

    @property
    def started_at(self) -> datetime:
        """When its container was started last."""
        with refusals(self.namespace.engine, f"{self.name} has been started"):
            state = self._api.inspect_container(self.container)["State"]
        return datetime.fromisoformat(state["StartedAt"])

    def reload(self) -> None:
        """List its container again: a restart changes its ports and perhaps its address."""
        self.attach(self.namespace.container(self.name))

    def get_exposed_port(self, port: int) -> int:
        """Return the port at which a port of the container is reached from this machine.

        :raises NoAnswer: when the engine published none, because the container does not run.
        """
        info = self.info  # another thread may list it again meanwhile
        if info is None or port not in info.ports:
            self.reload()
            info = self.info
        if info is None or port not in info.ports:
            raise self.no_answer()
        return info.ports[port]

    def no_answer(self, seen: str = "") -> NoAnswer:
        """Return the error for an element that does not answer; seen, unless "", is added to its state."""
        with suppress(LabError):  # when the engine is lost too, the last known state must do
            self.reload()
        state = "its container is gone" if self.info is None else f"its container is {self.engine_state}"
        again = (
            f"create it again; what is left of it goes by: labkit environment clean-up {self.namespace.name}"
        )
        return NoAnswer(
            f"{self.name} of {self.namespace.name} answers",
            f"{state}: {seen}" if seen else state,
            NEXT_STEPS.get(self.engine_state, again).format(self.name, self.namespace.name),
        )

    def ask(self, send: Callable[[], Answer]) -> Answer:
        """Return the result of send, which asks at a published port; an OSError means that nothing answers.

        A restarted container has other ports: then it is asked once more, there.

        :raises NoAnswer: when nothing answers.
        """
        try:
            return send()
        except NoAnswer:
            raise
        except OSError as problem:
            error = self.no_answer(str(problem))  # it lists the container again, and so finds a new port
            if self.engine_state != "running":
                raise error from problem
        try:
            return send()
        except OSError as problem:
            raise error from problem

    def prepare(self) -> None:
        """Create its container, and do not start it yet: that is half of a start's work.

        :raises ImageMissing: when the engine does not have its image; none is pulled.
        :raises NameTaken: when the namespace has a container of this name.
        """
        self._configure()  # testcontainers' hook: a container class sets its variables there
        with refusals(self.namespace.engine, f"{self.name} of {self.namespace.name} is created", self.image):
            self._container = self._create()
        self._prepared = True

    def start_again(self) -> None:
        """Start its container again, which has ended; its ports and its address may be others then."""
        with refusals(self.namespace.engine, f"{self.name} of {self.namespace.name} starts again"):
            self._api.start(self.get_container_id())
        self.reload()

    # ---- testcontainers' verbs ----

    def start(self) -> Self:
        """Start it, wait as its wait strategy says, and return it; a failure leaves nothing behind.

        One that was killed is started again, with the files that it has. One that runs stays as it is.

        :raises ImageMissing: when the engine does not have its image; none is pulled.
        :raises NameTaken: when the namespace has a container of this name.
        :raises NotReady: when it is not ready in time.
        """
        if self.info is not None:
            self.reload()
        if self.info is not None:
            if self.info.state != "running":
                self._do("start", self._start_again)
            return self
        if not self._prepared:
            self.prepare()
        self._prepared = False
        expected = f"{self.name} of {self.namespace.name} starts"
        with refusals(self.namespace.engine, expected), self.all_or_nothing():
            for transfer in self._transferable_specs:
                self._transfer_into_container(*transfer)
            self._before_start()
            self.get_wrapped_container().start()
            self.reload()
            if self._wait_strategy is not None:
                self._wait_strategy.wait_until_ready(self)
        return self

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Remove the container when the block fails, so that it can be started again.

        :raises NotReady: for the TimeoutError or RuntimeError of testcontainers' own waits.
        :raises LabError: when its class starts something that needs Ryuk, and Ryuk's image cannot be had.
        """
        try:
            yield
        except BaseException as problem:
            seen = "" if self._container is None else self._last_words()
            with suppress(LabError):  # the first error is the one to raise
                self.stop()
            self._container = self.info = None
            if isinstance(problem, TimeoutError | RuntimeError) and not isinstance(problem, LabError):
                next_step = "correct what its last lines say, or wait for something else, then add it again"
                raise NotReady(f"{self.name} is ready", f"{problem}\n{seen}".strip(), next_step) from problem
            # Its own class may start a second container by testcontainers alone.
            if isinstance(problem, ENGINE_ERRORS) and (error := ryuk_missing(problem)):
                raise error from problem
            raise

    def _last_words(self) -> str:
        with suppress(APIError):
            return "\n".join(last_lines(self.namespace.engine, self.get_container_id(), LAST_LINES))
        return ""

    def _create(self) -> Any:  # noqa: ANN401 - a container of the untyped library
        given, variables = dict(self._kwargs), dict(self.env)
        if self.make_secret is not None:
            variables[SECRET] = self.secret or self.make_secret()
            self.namespace.secrets[self.name] = variables[SECRET]
        labels = {**given.pop("labels", {}), **self._labels(), **self.namespace.labels}
        network: dict[str, object] = {"network_mode": "none"}
        if name := self.namespace.network:
            names = EndpointConfig(self._api_version, aliases=[self.name, *self._aliases])
            network = {"network": name, "networking_config": {name: names}}
        return self.namespace.engine.client.containers.create(
            self.image,
            self._command,
            **{"hostname": self.name, **restricted(given, self.limits, self.capabilities), **network},
            name=self._name,
            environment=variables,
            ports=self.ports,
            volumes=dict(self.volumes),
            tmpfs=self.tmpfs,
            labels=labels,
        )

    def _labels(self) -> dict[str, str]:
        own = {Label.ROLE: self.role, Label.SERVICE: self.service, Label.VERSION: self.version}
        return {str(name): value for name, value in own.items() if value}

    def _before_start(self) -> None:
        """Do what an element needs between its creation and its start; most need nothing."""

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:  # noqa: FBT001, FBT002 - the parent has them by position
        """Remove its container, as testcontainers does; the engine's connection stays open."""
        if self._container is not None:
            with refusals(self.namespace.engine, f"{self.name} is removed"), suppress(NotFound):
                self._api.remove_container(self.get_container_id(), v=delete_volume, force=force)

    def finish(self, within_s: float) -> str:
        """Ask it to end by its stop signal, which is SIGTERM unless the image says otherwise.

        It is killed when it has not ended within within_s seconds, and at once when it is paused, where no
        other signal arrives. Return what is worth a word about its end; "" when it ended as it was asked to,
        or its container is gone. The stopped container stays.
        """
        with refusals(self.namespace.engine, f"{self.name} ends"), suppress(NotFound, NullResource):
            return finish(self._api, self.container, within_s)
        return ""

    def get_container_host_ip(self) -> str:
        """Return the host at which published ports are reached."""
        return self.namespace.engine.host

    # ---- faults: what happens to containers sooner or later, done on purpose to see what follows ----

    def pause(self) -> None:
        """Freeze all its processes: its connections stay open, but it does not answer until resume().

        :raises LabError: when its container is gone, or is in a state that does not allow it; as every fault.
        """
        self._do("pause", lambda: self._api.pause(self.container))

    def resume(self) -> None:
        """Let its frozen processes continue."""
        self._do("resume", lambda: self._api.unpause(self.container))

    def kill(self) -> None:
        """End its processes at once, as kill -9 does; the container and its log stay until start()."""
        self._do("kill", lambda: self._api.kill(self.container))

    def restart(self) -> None:
        """End its processes, by SIGTERM and a grace time before SIGKILL; start it again, until it is ready.

        :raises NotReady: when it is not ready in time.
        """
        self._do("restart", self._restart)

    def _restart(self) -> None:
        self._api.restart(self.container, timeout=RESTART_GRACE_S)
        self.reload()
        if self._wait_strategy is not None:
            self._wait_strategy.wait_until_ready(self)

    def disconnect(self) -> None:
        """Take it off the environment's network: it runs, but nobody there reaches it until reconnect()."""
        network = self.namespace.network
        self._do("disconnect", lambda: self._api.disconnect_container_from_network(self.container, network))

    def reconnect(self) -> None:
        """Put it into the network again; its address there may have changed."""
        self._do("reconnect", self._reconnect)

    def _reconnect(self) -> None:
        names = [self.name, *self._aliases]
        self._api.connect_container_to_network(self.container, self.namespace.network, aliases=names)
        self._come_back()

    def _start_again(self) -> None:
        self.start_again()
        self._come_back()
        if self._wait_strategy is not None:
            self._wait_strategy.wait_until_ready(self)

    def _come_back(self) -> None:
        """Be found where it is now: its address and its ports may have changed."""
        self.reload()

    def remove(self) -> None:
        """Remove its container; the data in it is lost."""
        self._do("remove", lambda: self._api.remove_container(self.container, v=True, force=True))

    def _do(self, fault: str, work: Callable[[], object], **details: object) -> None:
        expected = f"{self.name} can {fault}"
        next_step = "environment.elements() shows the state of each element"
        with refusals(self.namespace.engine, expected):
            try:
                work()
            except (NotFound, NullResource) as problem:
                raise LabError(expected, "its container is gone", next_step) from problem
            except APIError as problem:
                raise LabError(expected, str(problem.explanation or problem), next_step) from problem
        self.namespace.on_use(fault, element=self.name, **details)

    # ---- commands and files inside ----

    def execute(
        self,
        command: Sequence[str] | str,
        *,
        workdir: str = "/",
        variables: Mapping[str, str] | None = None,
        timeout_s: float = COMMAND_S,
    ) -> Completed:
        """Run a command in the running container and return its result; a str is a script for sh.

        variables None adds none. After timeout_s seconds timeout(1) ends the command; the result then has
        timed_out.
        """
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        with refusals(self.namespace.engine, f"{words[0]} runs in {self.name}"):
            return execute(self._api, self.container, words, workdir, dict(variables or {}), timeout_s)

    def put(self, folder: str, files: Files) -> None:
        """Copy files into a folder of the container, which is created; a Path to a folder is copied whole."""
        packed: dict[str, bytes | Path] = {f"{folder}/": b""}
        packed |= {f"{folder}/{name}": content for name, content in files.items()}
        # With times: Python takes a compiled module for current when the source has the same time and size.
        archive = pack(packed, times=True, include=is_source)
        with refusals(self.namespace.engine, f"files are copied into {self.name}"):
            self._api.put_archive(self.container, "/", archive)

    def read(self, path: str) -> bytes:
        """Return a file of the container.

        :raises LabError: when there is none, or the container is gone.
        """
        with refusals(self.namespace.engine, f"{path} of {self.name} is read"):
            chunks, _ = self._api.get_archive(self.container, path)
            store = io.BytesIO(b"".join(chunks))
        with tarfile.open(fileobj=store) as archive:
            file = archive.extractfile(archive.next() or "")
            return file.read() if file else b""

    # ---- the container as an image ----

    def to_image(self) -> str:
        """Make an image of the container as it is, with the container's labels, and return the image's id."""
        with refusals(self.namespace.engine, f"an image of {self.name} is made"):
            return str(self._api.commit(self.container)["Id"])

    def remove_image(self, image: str) -> None:
        """Remove an image; one that a container uses stays until clean-up, which finds it by its labels."""
        with refusals(self.namespace.engine, f"the image of {self.name} is removed", image):
            try:
                self._api.remove_image(image)
            except APIError as problem:
                if problem.status_code != HTTPStatus.CONFLICT:
                    raise

    @property
    def _api(self) -> APIClient:
        return self.namespace.engine.client.api

    @property
    def _api_version(self) -> str:
        return str(self._api._version)  # noqa: SLF001 - the library has no public name for it

    def __eq__(self, other: object) -> bool:
        """Return whether the other is an element of the same name and container."""
        return isinstance(other, Element) and (self._name, self.container) == (other._name, other.container)

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        """Return kind, name and state."""
        return f"<{type(self).__name__} {self.name} ({self.state})>"


def _unasked(engine: Engine) -> dict[str, Any]:
    """Return settings with which testcontainers' client contacts no engine.

    With a version given it does not ask for one. `join` replaces that client by the engine's own.
    """
    api = engine.client.api
    return {"version": str(api._version), "environment": engine.variables}  # noqa: SLF001 - no public name

"""One container of an environment, as the engine tells it, and how it is started."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from weakref import finalize

import docker
import requests.exceptions
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import EndpointConfig
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.exceptions import ContainerStartException

from labkit.engine import Engine, Label, NoEngine
from labkit.errors import LabError

PLAN = "labkit.plan"
"""The label with the plan: on the environment's network, or where it has none on its one container."""

IDENTITY = (Label.WORKSPACE, Label.ENVIRONMENT)
NAME_TAKEN = "is already in use by container"
PORT_TAKEN = ("port is already allocated", "address already in use")
NO_ADDRESSES = ("address pool", "predefined address pools")

testcontainers_config.ryuk_disabled = True  # the engine's own reaper needs no image and loses no label


class NameTaken(LabError):
    """A container of this name is there already."""


@dataclass(frozen=True)
class Part:
    """A container of an environment, as the engine tells it.

    name is its name in the network. address is its IP there, "" without a network. ports maps a port inside
    to the one that the engine published for it. state is the engine's word: created, running, exited …
    """

    id: str
    name: str
    role: str
    service: str
    version: str
    image: str
    digest: str
    address: str
    ports: Mapping[int, int] = field(hash=False)
    state: str
    created_at: datetime
    labels: Mapping[str, str] = field(hash=False, repr=False)

    @classmethod
    def read(cls, told: Mapping[str, Any], network: str = "") -> Self:
        """Read an entry of the engine's list of containers."""
        labels = told.get("Labels") or {}
        networks: dict[str, Any] = (told.get("NetworkSettings") or {}).get("Networks") or {}
        published = [it for it in told.get("Ports") or [] if it.get("PublicPort")]
        return cls(
            id=told["Id"],
            name=told["Names"][0].lstrip("/").removeprefix(f"{labels.get(Label.ENVIRONMENT, '')}."),
            role=labels.get(Label.ROLE, ""),
            service=labels.get(Label.SERVICE, ""),
            version=labels.get(Label.VERSION, ""),
            image=told["Image"],
            digest=told["ImageID"],
            address=(networks.get(network) or {}).get("IPAddress", ""),
            ports={it["PrivatePort"]: it["PublicPort"] for it in published},
            state=told["State"],
            created_at=datetime.fromtimestamp(told["Created"], UTC),
            labels=labels,
        )


@dataclass(frozen=True)
class Wanted:
    """A container that an environment is to have.

    command None is the image's own. ports are those to publish. networks names further networks to join, each
    with the container's names there.
    """

    name: str
    role: str
    image: str
    command: Sequence[str] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[int] = ()
    aliases: Sequence[str] = ()
    service: str = ""
    version: str = ""
    user: str | None = None
    networks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """Where containers of one environment belong: its engine, name, labels and network ("" means none)."""

    engine: Engine
    environment: str
    labels: Mapping[str, str]
    network: str

    def start(self, wanted: Wanted) -> Part:
        """Start a container and return it; whether its server answers is not asked.

        :raises ImageMissing: when the engine does not have its image; none is pulled.
        :raises LabError: when the engine refuses.
        """
        with refusals(self.engine, f"{wanted.name} of {self.environment} starts", wanted.image):
            element = _Element(self, wanted)
            try:
                element.start()
                return self.parts({"id": element.get_container_id()})[0]
            except BaseException:
                with suppress(ContainerStartException):  # it was not even created
                    self.remove(element.get_container_id())
                raise

    def remove(self, container: str) -> None:
        """Remove one container by force; one that is gone is no error."""
        with refusals(self.engine, f"a container of {self.environment} is removed"), suppress(NotFound):
            self.engine.client.api.remove_container(container, v=True, force=True)

    def parts(self, filters: Mapping[str, Any] | None = None) -> list[Part]:
        """Return the environment's containers by name."""
        asked = dict(filters or {"label": [f"{name}={value}" for name, value in self.identity.items()]})
        with refusals(self.engine, f"the containers of {self.environment}"):
            told = self.engine.client.api.containers(all=True, filters=asked)
        return sorted((Part.read(entry, self.network) for entry in told), key=lambda part: part.name)

    @property
    def identity(self) -> dict[str, str]:
        """The two labels by which everything of this environment is found."""
        return {name: self.labels[name] for name in IDENTITY}


class _SharedClient(DockerClient):
    """testcontainers' client on the engine's own connection: it asks no registry and joins more networks."""

    def __init__(self, client: docker.DockerClient, networks: Mapping[str, Sequence[str]]) -> None:
        self.client = client  # not the parent's way: it would look for an engine of its own
        self._networks = networks

    def create(self, image: str, command: Any = None, **settings: Any) -> Container:  # type: ignore[override] # noqa: ANN401
        return self.client.containers.create(image, command, **settings)

    def start(self, container: Container) -> None:
        for network, aliases in self._networks.items():
            self.client.api.connect_container_to_network(container.id, network, aliases=list(aliases))
        container.start()


class _Element(DockerContainer):
    """A container for testcontainers to start; labkit watches and removes it itself."""

    def __init__(self, scope: Scope, wanted: Wanted) -> None:
        client = scope.engine.client
        super().__init__(
            wanted.image,
            # The parent makes a client that is never used; with the version given it does not even ask the
            # engine.
            docker_client_kw={"version": _version(client), "environment": scope.engine.variables},
            command=list(wanted.command) if wanted.command is not None else None,  # type: ignore[arg-type]
            env=dict(wanted.variables),
            name=f"{scope.environment}.{wanted.name}",
            ports=list(wanted.ports),
        )
        joined = {scope.network: _names(client, wanted)} if scope.network else {}
        network = (
            {"network": scope.network, "networking_config": joined} if joined else {"network_mode": "none"}
        )
        labels = {**scope.labels, **_labels(wanted)}
        self.with_kwargs(hostname=wanted.name, user=wanted.user, labels=labels, **network)
        self._shared = _SharedClient(client, wanted.networks)

    def get_docker_client(self) -> DockerClient:
        return self._shared


def _version(client: docker.DockerClient) -> str:
    return str(client.api._version)  # noqa: SLF001 - the library has no public name for it


def _names(client: docker.DockerClient, wanted: Wanted) -> EndpointConfig:
    return EndpointConfig(_version(client), aliases=[wanted.name, *wanted.aliases])


def _labels(wanted: Wanted) -> dict[str, str]:
    own = {Label.ROLE: wanted.role, Label.SERVICE: wanted.service, Label.VERSION: wanted.version}
    return {str(name): value for name, value in own.items() if value} | dict(wanted.labels)


def find_engine() -> Engine:
    """Return the engine; its connections are closed when nobody uses it any more."""
    engine = Engine.find()
    finalize(engine, engine.client.close)
    return engine


@contextmanager
def refusals(engine: Engine, expected: str, image: str = "") -> Iterator[None]:
    """Turn what the engine's library raises into the errors that a user can mend."""
    try:
        yield
    except ImageNotFound:
        engine.image(image)  # raises ImageMissing with the step that brings it
        raise
    except APIError as problem:
        raise _refused(expected, str(problem.explanation or problem)) from problem
    except requests.exceptions.RequestException as problem:
        lost = f"a container engine that answers at {engine.address}, so that {expected}"
        raise NoEngine(lost, "the connection was lost, or nothing listens", "labkit doctor") from problem


def _refused(expected: str, words: str) -> LabError:
    if NAME_TAKEN in words:
        return NameTaken(expected, words, "try again")
    mend = "labkit doctor tells what is wrong with the engine"
    if "No command specified" in words:
        mend = "give the Dockerfile of the image a CMD"
    if any(sign in words for sign in PORT_TAKEN):
        mend = "try again: the engine chooses other ports; labkit doctor tells who uses many"
    elif any(sign in words for sign in NO_ADDRESSES):
        mend = "the engine's networks are used up: clean up environments (labkit environment list)"
    elif "no space left" in words:
        mend = "free some disk: labkit doctor tells how much is needed"
    return LabError(expected, words, mend)

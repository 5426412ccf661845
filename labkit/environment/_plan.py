"""What an environment is to have, as plain data: made before anything starts, and kept in a label.

Because the label has the whole plan, another process can use and clean up an environment without having seen
its creation, and without the system's files.
"""

import json
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, Self

from labkit.coordination import PORT as COORDINATOR_PORT
from labkit.coordination import ROOT
from labkit.errors import LabError
from labkit.system import GRACE_S, Container, External, Limits, Service, System

DATABASE_PORT = 5432  # PostgreSQL's own; not from labkit.postgres, because a plan needs no engine
LABEL = "labkit.plan"
"""The label with the plan: on the environment's network, or on its only container when it has no network.

A plan that the environment was changed to since is on a volume, see `Plans`.
"""

BALANCER = "balancer"
"""The name of the balancer of all services that an environment was created with."""

WITH_COORDINATOR = ("staging", "production")

Secret = Callable[[str], str]
"""Returns the secret of an element by its name, "" for one that is gone; see Namespace.secret."""


@dataclass(frozen=True)
class PlannedService:
    """A service of the environment; instances is how many copies the creation starts.

    limits and grace_s are those of each.
    """

    name: str
    port: int
    ready: str
    instances: int
    calls: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    grace_s: float = GRACE_S


@dataclass(frozen=True)
class PlannedExternal:
    """An external service: a stub answers for it, or the provider that stands for the real one.

    writes says whether a call may change something there. answers are the stub's, as system.toml has them; a
    plan that was read from a label has none.
    """

    name: str
    port: int
    real: bool
    writes: bool = True
    answers: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Plan:
    """What an environment is to have.

    database is the name of the database, owner the service that may use it. module is the one service under
    development, None in all other stages. images maps services, providers and declared containers to their
    images; it is empty until these are known. entry, database and owner are "" where there is none.
    balancers maps each balancer's name to its services with the port at which it takes their requests. It
    keeps that port, and a service's name, for as long as it runs, whatever becomes of the service. revision
    counts how often the environment was changed to another plan.
    """

    name: str
    stage: str
    system: str = ""
    configuration: Mapping[str, str] = field(default_factory=dict)
    module: str | None = None
    entry: str = ""
    services: tuple[PlannedService, ...] = ()
    external: tuple[PlannedExternal, ...] = ()
    containers: tuple[Container, ...] = ()
    database: str = ""
    owner: str = ""
    coordinator: bool = False
    because: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    balancers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    revision: int = 0

    @classmethod
    def make(
        cls,
        system: System,
        stage: str,
        module: str | None,
        config: Mapping[str, object],
        because: str,
        real: Collection[str] = (),
    ) -> Self:
        """Plan an environment of a stage; module None is the whole system.

        :raises LabError: for whatever cannot work, so that nothing has started by then.
        """
        _check_real(system, module, real)
        configuration = system.configuration(stage, config)
        if (stage == "development") != (module is not None):
            next_step = "give module= for the stage development, and only for it"
            raise LabError(
                "a module in the stage development, none in the others",
                f"{stage} with module {module}",
                next_step,
            )
        plan = cls(_name(_known(system, module), stage), stage) if module else cls._whole(system, stage, real)
        return replace(plan, module=module, system=system.name, configuration=configuration, because=because)

    @classmethod
    def _whole(cls, system: System, stage: str, real: Collection[str]) -> Self:
        services = tuple(_service(service, stage) for service in system.services_of(stage))
        return cls(
            name=_name(system.name, stage),
            stage=stage,
            entry=_entry(system, stage),
            services=services,
            balancers={BALANCER: {service.name: service.port for service in services}},
            external=tuple(_external(external, stage, real) for external in system.external.values()),
            containers=tuple(system.containers.values()),
            database=system.database.name if system.database else "",
            owner=system.database.service if system.database else "",
            coordinator=stage in WITH_COORDINATOR,
        )

    def service(self, name: str) -> PlannedService:
        """Return a service of the environment by name.

        :raises LabError: when there is none of that name.
        """
        for service in self.services:
            if service.name == name:
                return service
        known = ", ".join(service.name for service in self.services) or "none, for it has one module alone"
        raise LabError(f"a service of {self.name}: {known}", repr(name), "name one of them")

    def variables(self, secret: Secret) -> dict[str, str]:
        """Return the environment variables that every element gets: configuration and addresses.

        NAME_URL is where a service is. NAME_ADDRESS is where a declared container is, whose protocol labkit
        does not know. COORDINATOR_URL has the coordinator's user and password.
        """
        ports = {service.name: self.listens(service.name) for service in self.services}
        ports |= {external.name: external.port for external in self.external}
        urls = {f"{variable(name)}_URL": f"http://{name}:{port}" for name, port in ports.items()}
        addresses = {
            f"{variable(container.name)}_ADDRESS": f"{container.name}:{container.port}"
            for container in self.containers
            if container.port
        }
        coordinator = {}
        if self.coordinator:
            login = f"{ROOT}:{secret('coordinator')}"
            coordinator = {"COORDINATOR_URL": f"http://{login}@coordinator:{COORDINATOR_PORT}"}
        return {**urls, **addresses, **coordinator, **self.configuration, "LABKIT_STAGE": self.stage}

    def balancer_of(self, service: str) -> str:
        """Return the name of the balancer of a service."""
        return next(name for name, ports in self.balancers.items() if service in ports)

    def listens(self, service: str) -> int:
        """Return the port at which the balancer takes a service's requests: that of its first instances."""
        return self.balancers[self.balancer_of(service)][service]

    def settings(self, service: PlannedService) -> str:
        """Return the SHA-256 of all that an instance of a service is started with, except its image.

        An instance with other settings is replaced. The addresses of services that it does not call are not
        among them: a service more or less leaves the others as they are.
        """
        variables = self.variables_of(service, "", "", lambda _: "")
        calls = {external.name for external in self.external} | {other.name for other in self.services}
        unused = {f"{variable(name)}_URL" for name in calls.difference(service.calls)}
        used = {name: value for name, value in variables.items() if name not in unused}
        settings = [used, service.ready, asdict(service.limits), self.calls_real(service)]
        return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def variables_of(
        self, service: PlannedService, instance: str, version: str, secret: Secret
    ) -> dict[str, str]:
        """Return the environment variables of one instance of a service.

        DATABASE_URL, with the user and password, is for the owner of the database alone.
        """
        own = {
            "LABKIT_SERVICE": service.name,
            "LABKIT_INSTANCE": instance,
            "LABKIT_VERSION": version,
            "LABKIT_PORT": str(service.port),
        }
        if service.name == self.owner:
            login = f"postgres:{secret('database')}"
            own["DATABASE_URL"] = f"postgresql://{login}@database:{DATABASE_PORT}/{self.database}"
        return self.variables(secret) | own

    def instances(self) -> Iterator[tuple[str, str]]:
        """Yield each instance that the creation starts: the name of its service, and its own."""
        for service in self.services:
            for number in range(1, service.instances + 1):
                yield service.name, f"{service.name}-{number}"

    @property
    def stubs(self) -> list[PlannedExternal]:
        """The external services that a stub answers for."""
        return [external for external in self.external if not external.real]

    @property
    def providers(self) -> list[PlannedExternal]:
        """The external services that are real here."""
        return [external for external in self.external if external.real]

    def calls_real(self, service: PlannedService) -> bool:
        """Return whether a service calls an external one that is real here."""
        return not {external.name for external in self.providers}.isdisjoint(service.calls)

    def outside(self, workspace: str) -> str:
        """Return the name of the network of the real external services, "" where none is real.

        workspace is the workspace's id. Production's network is the one of the workspace. An environment of
        another stage, in which a read-only service is real, gets its own, which goes with the environment.
        """
        if not self.providers:
            return ""
        name = f"labkit-outside-{workspace}"
        return name if self.stage == "production" else f"{name}-{self.name}"

    @property
    def digest(self) -> str:
        """The SHA-256 of stage and configuration, as "sha256:…"."""
        text = json.dumps([self.stage, dict(self.configuration)], sort_keys=True)
        return f"sha256:{sha256(text.encode()).hexdigest()}"

    def to_labels(self) -> dict[str, str]:
        """Return the label that carries the plan, by its name; the stubs' answers are left out."""
        external = tuple(replace(external, answers={}) for external in self.external)
        return {LABEL: json.dumps(asdict(replace(self, external=external)))}

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Self | None:
        """Return the plan that labels carry: the reverse of to_labels.

        None when they carry none that this version of labkit can read: anybody may write labels.
        """
        try:
            return cls._read(json.loads(labels[LABEL]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    @classmethod
    def _read(cls, fields: dict[str, Any]) -> Self:
        services = [
            PlannedService(
                **{**service, "calls": tuple(service["calls"]), "limits": Limits(**service["limits"])}
            )
            for service in fields.pop("services")
        ]
        # A plan that an earlier labkit wrote names no balancers: it had one for all services.
        fields.setdefault("balancers", {BALANCER: {service.name: service.port for service in services}})
        external = [PlannedExternal(**external) for external in fields.pop("external")]
        containers = [
            Container(
                **{
                    **container,
                    "limits": Limits(**container["limits"]),
                    "depends_on": tuple(container["depends_on"]),
                }
            )
            for container in fields.pop("containers")
        ]
        return cls(**fields, services=tuple(services), external=tuple(external), containers=tuple(containers))


def variable(name: str) -> str:
    """Return a name in the spelling of environment variables: "cart-v2" gives "CART_V2"."""
    return name.upper().replace("-", "_")


def _name(what: str, stage: str) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-")
    return f"{readable}-{stage}-{secrets.token_hex(3)}"


def _known(system: System, module: str) -> str:
    if module not in system.services:
        raise LabError(
            f"a service of {system.name}: {', '.join(system.services)}", repr(module), "name one of them"
        )
    return module


def _entry(system: System, stage: str) -> str:
    if system.services[system.entry].instances[stage] < 1:
        next_step = f"write instances = {{ {stage} = 1 }} at [services.{system.entry}]"
        raise LabError(
            f"an instance of {system.entry} in {stage}, because it is the entry for clients",
            "none",
            next_step,
        )
    return system.entry


def _service(service: Service, stage: str) -> PlannedService:
    return PlannedService(
        name=service.name,
        port=service.port,
        ready=service.ready,
        instances=service.instances[stage],
        calls=service.calls,
        limits=service.limits,
        grace_s=service.grace_s,
    )


def _check_real(system: System, module: str | None, real: Collection[str]) -> None:
    for name in real:
        if module is not None:
            raise LabError("a module alone", f"the real {name} beside it", "leave out real, or module")
        if name not in system.external:
            known = ", ".join(system.external) or "none"
            raise LabError(f"an external service of {system.name}: {known}", repr(name), "name one of them")


def _external(external: External, stage: str, asked: Collection[str]) -> PlannedExternal:
    """Plan an external service.

    :raises LabError: when it is to be real and is read-write outside production, or has no provider.
    """
    real = stage in external.real or external.name in asked
    place, writes = f"external.{external.name}", external.mode == "read-write"
    if real and writes and stage != "production":
        expected = f"{place} is real only in production, because it is read-write: a call changes something"
        next_step = f"let its stub answer in {stage}: take {external.name} out of real"
        raise LabError(expected, f"it is to be real in {stage}", next_step)
    if real and external.provider is None:
        next_step = f'write provider = "FOLDER" at [{place}], or take {stage} out of its real'
        raise LabError(f"a provider that stands for {external.name} in {stage}", "none", next_step)
    return PlannedExternal(external.name, external.port, real, writes, answers=external.stub)

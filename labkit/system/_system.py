"""A system as a whole: reads system.toml and checks that its parts fit together."""

import hashlib
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from labkit.errors import LabError
from labkit.system import _dependencies as dependencies
from labkit.system import _parts as parts
from labkit.system._model import STAGES, Container, Database, External, Parameter, Service, Toggle
from labkit.system._table import TomlTable

CONTROL_PORT = 9999
"""The port at which the load balancer itself is asked."""

PROGRAMS_OWN = {"HOME", "HOSTNAME", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "PYTHONHOME", "PYTHONPATH"}
"""Variables without which, or by which, programs in a container do not start."""

OF_A_SERVICE = re.compile(r"(.+)-(\d+|checked|canary)")
"""How the names of what labkit makes for a service end."""

RESERVED = ("balancer", "capture", "coordinator", "database", "harness", "module", "stub")
"""Names of elements that labkit itself puts into an environment."""


@dataclass(frozen=True)
class System:
    """What `system.toml` declares; root is its folder, entry the service that no other service calls."""

    name: str
    root: Path
    services: Mapping[str, Service]
    database: Database | None
    containers: Mapping[str, Container]
    external: Mapping[str, External]
    config: Mapping[str, Parameter]
    toggles: Mapping[str, Toggle]
    entry: str

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a system.toml, or the one in a folder.

        :raises LabError: when there is a mistake in it; it names file, key and the next step.
        """
        file = Path(path).absolute()
        file = file / "system.toml" if file.is_dir() else file
        top = TomlTable(_read(file), file.name)
        services = {name: parts.service(name, table) for name, table in top.tables("services")}
        external = {name: parts.external(name, table, file.parent) for name, table in top.tables("external")}
        system = cls(
            name=top.name("name"),
            root=file.parent,
            services=services,
            database=parts.database(top),
            containers={name: parts.container(name, table) for name, table in top.tables("containers")},
            external=external,
            config={name: parts.parameter(name, table) for name, table in top.tables("config")},
            toggles={name: parts.toggle(name, table) for name, table in top.tables("toggles")},
            entry=_entry(top, services),
        )
        top.refuse_unknown()
        _check_calls(top, system)
        _check_dependencies(top, system)
        _check_ports(top, system)
        _check_names(top, system)
        _check_folders(top, system)
        _check_variables(top, system)
        _check_values(top, system)
        return system

    def dependencies(self) -> dict[str, tuple[str, ...]]:
        """Return what each service and declared container waits for before it starts, by name."""
        return dependencies.dependencies(self.services, self.containers, self.database)

    def services_of(self, stage: str) -> list[Service]:
        """Return the services that have at least one instance in a stage, in the file's order."""
        return [service for service in self.services.values() if service.instances[_known(stage)] > 0]

    def configuration(self, stage: str, overrides: Mapping[str, object] | None = None) -> dict[str, str]:
        """Return the environment variables of a stage: each parameter's own value for it, else its default.

        overrides maps parameter names to values for this one environment; None has none.

        :raises LabError: when a value has the wrong type or is missing, or a key is unknown, so that nothing
            starts with a configuration that cannot work.
        """
        given = dict(overrides or {})
        _known(stage)
        for name in given:
            if name not in self.config:
                known = ", ".join(self.config) or "none"
                raise LabError(
                    f"a parameter of [config] in system.toml: {known}", repr(name), f"take {name} out"
                )
        return {
            parameter.variable: _value(parameter, stage, given.get(name))
            for name, parameter in self.config.items()
        }

    def digest(self) -> str:
        """Return the SHA-256 of system.toml and its recordings as "sha256:" and 64 hexadecimal digits."""
        whole = hashlib.sha256((self.root / "system.toml").read_bytes())
        for recording in (service.recording for service in self.external.values() if service.recording):
            whole.update((self.root / recording).read_bytes())
        return f"sha256:{whole.hexdigest()}"


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        next_step = "give the folder that holds system.toml, or copy one: the course's labs/shop/system.toml"
        raise LabError("a system.toml", f"there is no {file}", next_step) from fault
    except OSError as fault:
        next_step = f"let this user read it: ls -l {shlex.quote(str(file))}"
        raise LabError(
            f"a system.toml that can be read: {file}", fault.strerror or str(fault), next_step
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise LabError(f"{file} is TOML in UTF-8", str(fault), f"correct that line of {file.name}") from fault


def _known(stage: str) -> str:
    if stage not in STAGES:
        raise LabError(f"a stage, one of {', '.join(STAGES)}", repr(stage), "name one of them")
    return stage


def _value(parameter: Parameter, stage: str, override: object) -> str:
    value = override if override is not None else parameter.values.get(stage, parameter.default)
    place = f"config.{parameter.name}"
    if value is None:
        next_step = f"add {stage} = … or default = … to [{place}]"
        raise LabError(
            f"system.toml, {place}: a value for {stage}", "neither a value for it nor a default", next_step
        )
    text = parameter.text(value)
    if text is None:
        next_step = f"give a value such as {parts.EXAMPLES[parameter.type]}"
        raise LabError(f"{place}: {parameter.expected}", repr(value), next_step)
    return text


def _entry(top: TomlTable, services: Mapping[str, Service]) -> str:
    called = {name for service in services.values() for name in service.calls}
    entries = [name for name in services if name not in called]
    if len(entries) != 1:
        expected = "exactly one service that no other calls: the one that clients enter by"
        next_step = "correct the calls of the services so that all but one are called"
        top.refuse("services", expected, ", ".join(entries) or None, next_step)
    return entries[0]


def _check_calls(top: TomlTable, system: System) -> None:
    known = {**system.services, **system.external, **system.containers}
    for service in system.services.values():
        for name in service.calls:
            if name not in known or name == service.name:
                others = ", ".join(other for other in known if other != service.name)
                expected = f"other services, external ones or containers: {others}"
                top.refuse(f"services.{service.name}.calls", expected, name, f"correct {name} or declare it")
    if system.database is not None and system.database.service not in system.services:
        expected = f"the service that owns it, one of {', '.join(system.services)}"
        top.refuse("database.service", expected, system.database.service, "name one of them")


def _check_dependencies(top: TomlTable, system: System) -> None:
    places = {"services": system.services, "containers": system.containers, "external": system.external}
    known = {name: place for place, names in places.items() for name in names}
    if system.database is not None:
        known[dependencies.DATABASE] = dependencies.DATABASE
    dependencies.check(top, known, system.dependencies())


def _check_ports(top: TomlTable, system: System) -> None:
    taken: dict[int, str] = {CONTROL_PORT: "the load balancer"}
    for place, part in (("services", system.services), ("external", system.external)):
        for name, item in part.items():
            if item.port in taken:
                expected = "a port of its own, because the load balancer listens on every service's port"
                top.refuse(
                    f"{place}.{name}.port", expected, item.port, f"choose another than {taken[item.port]}'s"
                )
            taken[item.port] = name


def _check_names(top: TomlTable, system: System) -> None:
    """Refuse a service, external service or container whose name in the network is taken."""
    taken = set(RESERVED)  # with "-" for "_", because both make the same variable
    places = {"services": system.services, "external": system.external, "containers": system.containers}
    for place, names in places.items():
        for name in names:
            if (plain := name.replace("_", "-")) in taken:
                expected = "a name that no service and no other element of an environment has"
                top.refuse(f"{place}.{name}", expected, name, f"rename {name}")
            taken.add(plain)
            part = OF_A_SERVICE.fullmatch(name)
            if part and part[1] in system.services:
                expected = f"a name that is not {part[1]}'s own: its instances and lists end with -{part[2]}"
                top.refuse(f"{place}.{name}", expected, name, f"rename {name}")


def _check_folders(top: TomlTable, system: System) -> None:
    folders = {f"services.{name}.path": service.path for name, service in system.services.items()}
    folders |= {
        f"external.{name}.provider": service.provider
        for name, service in system.external.items()
        if service.provider
    }
    folders |= {
        f"containers.{name}.path": PurePosixPath(container.path)
        for name, container in system.containers.items()
        if container.path
    }
    if system.database is not None:
        folders["database.migrations"] = system.database.migrations
    for key, folder in folders.items():
        if not (system.root / folder).is_dir():
            top.refuse(
                key, f"a folder beside {top.file}", str(folder), f"make the folder {folder} or correct {key}"
            )
        if not (system.root / folder).resolve().is_relative_to(system.root.resolve()):
            expected = f"a folder beside {top.file}, not a link that leads elsewhere"
            top.refuse(key, expected, str(folder), f"copy the folder to {folder}, in place of the link")


def _check_values(top: TomlTable, system: System) -> None:
    """Refuse a parameter without a value in production, which otherwise a run finds out half-way.

    Each environment of another stage may be given its own value when it is created.
    """
    for name, parameter in system.config.items():
        if parameter.default is None and "production" not in parameter.values:
            next_step = f"add production = … or default = … to [config.{name}]"
            top.refuse(f"config.{name}", "a value for production", None, next_step)


def _check_variables(top: TomlTable, system: System) -> None:
    """Refuse a parameter whose variable is taken: a test could reach the real payments by an address."""
    called = [*system.services, *system.external, "database", "coordinator"]
    taken = {f"{name.upper().replace('-', '_')}_URL" for name in called}
    taken |= {f"{name.upper().replace('-', '_')}_ADDRESS" for name in system.containers}
    taken |= PROGRAMS_OWN
    for name, parameter in system.config.items():
        if parameter.variable in taken or parameter.variable.startswith("LABKIT_"):
            expected = "a name whose variable no address, program or other parameter has"
            top.refuse(f"config.{name}", expected, parameter.variable, f"rename {name}")
        taken.add(parameter.variable)

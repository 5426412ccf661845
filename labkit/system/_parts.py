"""Reads each part of a system from its table."""

import re
import shlex
from collections.abc import Mapping
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from labkit.errors import LabError
from labkit.system._answers import Recording, answers
from labkit.system._model import (
    GRACE_S,
    MODES,
    STAGES,
    TYPES,
    Container,
    Database,
    External,
    Limits,
    Parameter,
    Service,
    Toggle,
)
from labkit.system._table import NUL, TomlTable

EXAMPLES = {"int": "10", "float": "0.5", "str": '"EUR"', "bool": "true", "duration": '"250ms"'}
A_RECORDING = 'a file inside the system\'s folder, such as "recordings/rates.json"'
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
URL_PATH = re.compile(r"/([A-Za-z0-9/._~()*+,;:=&?@-]|%[0-9A-Fa-f]{2})*")
"""A path that stays one word wherever it is written, in HAProxy's configuration too."""

MEMORY = re.compile(r"([1-9]\d*)([mg])")
UNITS = {"m": 1 << 20, "g": 1 << 30}
LEAST_MEMORY, MOST_MEMORY = 16 << 20, 1 << 40
MOST_PIDS = 1 << 22
"""Linux numbers no more processes than these."""

LEAST_CPUS, MOST_CPUS = 0.01, 1024
"""Linux gives no process less than a thousandth of a second in each tenth."""
POSTGRES_OWN = ("postgres", "template0", "template1")
SNAPSHOT = "snapshot_"
"""What the names of a database's snapshots begin with, in the same server."""
OTHER_DATABASE = "declare any other database as [containers.NAME]"
VARIABLE = "declare a parameter in [config]: each service gets all of them"
INSTEAD = {
    "command": "write it as CMD in the service's Dockerfile",
    "dockerfile": "name the file Dockerfile",
    "env": VARIABLE,
    "environment": VARIABLE,
    "health": "take health out: only the path ready is asked",
    "image": "write path = the folder with a Dockerfile that says FROM and the image",
    "ready_s": "take ready_s out: each instance has 30 s to get ready",
    "variables": VARIABLE,
}
"""What to do in place of keys that authors write for a service."""

LONGEST_GRACE_S = 600
MOST_INSTANCES = 100
ONE_EACH = {"development": 0, "integration": 1, "staging": 1, "production": 1}


def service(name: str, table: TomlTable) -> Service:
    """Read [services.NAME]."""
    path = table.folder("path", name)
    read = Service(
        name=name,
        path=path or table.refuse("path", "a folder", None, "add path"),
        port=table.port("port"),
        calls=table.texts("calls", ()),
        instances=_instances(table.table("instances")),
        ready=_url_path(table, "ready", "/readyz"),
        limits=_limits(table),
        grace_s=_grace_s(table),
        depends_on=table.texts("depends_on", ()),
    )
    table.refuse_unknown(INSTEAD)
    return read


def _grace_s(table: TomlTable) -> float:
    expected = f"a number of seconds over 0, {LONGEST_GRACE_S} at most, such as 5"
    value = table.get("grace_s", (int, float), expected, GRACE_S)
    if not 0 < value <= LONGEST_GRACE_S:
        table.refuse("grace_s", expected, value, "correct grace_s, or take it out")
    return float(value)


def _instances(table: TomlTable) -> dict[str, int]:
    expected = f"a number of instances, 0 to {MOST_INSTANCES}"
    counts = {stage: table.get(stage, int, expected, ONE_EACH[stage]) for stage in STAGES[1:]}
    for stage, count in counts.items():
        if not 0 <= count <= MOST_INSTANCES:
            table.refuse(stage, expected, count, f"write 0 to {MOST_INSTANCES}")
    table.refuse_unknown()
    return {"development": 0} | counts


def _url_path(table: TomlTable, key: str, default: str) -> str:
    value = str(table.text(key, f'a path, such as "{default}"', default))
    if not value.startswith("/"):
        table.refuse(key, f'a path, such as "{default}"', value, f'write "/{value}"')
    _check_path(table, key, value)
    return value


def _check_path(table: TomlTable, key: str, path: str) -> None:
    if not URL_PATH.fullmatch(path):
        expected = "a path of letters, digits and /._~()*+,;:=&?@-; any other character as % and two digits"
        table.refuse(key, expected, path, f'write, for example, {key} = "/readyz"')


def _limits(table: TomlTable) -> Limits:
    return Limits(
        memory_bytes=_memory(table),
        pids=_within(table, "pids", int, "a whole number of processes, such as 100", 1, MOST_PIDS),
        cpus=_within(
            table, "cpus", (int, float), "a number of processors, such as 0.5", LEAST_CPUS, MOST_CPUS
        ),
    )


def _memory(table: TomlTable) -> int | None:
    expected = 'memory in m or g, 16m to 1024g, such as "256m"'
    value = table.text("memory", expected, None)
    if value is None:
        return None
    amount = MEMORY.fullmatch(value)
    size = int(amount[1]) * UNITS[amount[2]] if amount else 0
    if not LEAST_MEMORY <= size <= MOST_MEMORY:
        table.refuse("memory", expected, value, 'write memory = "256m"')
    return size


def _within(
    table: TomlTable, key: str, kind: type | tuple[type, ...], expected: str, least: float, most: int
) -> Any:  # noqa: ANN401 - of that kind, or None
    value = table.get(key, kind, expected, None)
    if value is not None and not least <= value <= most:
        table.refuse(key, f"{expected}, at least {least} and at most {most}", value, f"correct {key}")
    return value


def database(top: TomlTable) -> Database | None:
    """Read [database]; None when the system has none."""
    written = top.value("database")
    several = written.values() if isinstance(written, dict) else written
    if isinstance(several, list) or any(isinstance(value, dict) for value in several or ()):
        expected = "one database, of PostgreSQL, in [database] itself"
        top.refuse("database", expected, written, OTHER_DATABASE)
    table = top.table("database")
    if not table.written:
        return None
    migrations = table.folder("migrations")
    read = Database(
        service=table.text("service"),
        name=table.name("name"),
        migrations=migrations or table.refuse("migrations", "a folder", None, "add migrations"),
    )
    if read.name in POSTGRES_OWN or read.name.startswith(SNAPSHOT):
        expected = "a name that neither PostgreSQL nor a snapshot has"
        table.refuse("name", expected, read.name, "choose another name")
    table.refuse_unknown({"engine": f"take engine out: it is PostgreSQL; {OTHER_DATABASE}"})
    return read


def container(name: str, table: TomlTable) -> Container:
    """Read [containers.NAME]."""
    image, path = table.text("image", default=None) or "", table.folder("path", None)
    if bool(image) == bool(path):
        expected = "an image's name, or path = the folder with its Dockerfile, and not both"
        table.refuse("image", expected, image or None, 'write image = "NAME" or path = "FOLDER"')
    read = Container(
        name=name,
        image=image,
        path=str(path or ""),
        command=table.text("command", default=None) or "",
        port=table.port("port") if "port" in table.written else table.get("port", int, "a port number", 0),
        ready=table.text("ready", 'a path or a command, such as "/health"', None) or "",
        variables=_variables(table.table("variables")),
        limits=_limits(table),
        depends_on=table.texts("depends_on", ()),
    )
    if read.ready.startswith("/"):
        _check_path(table, "ready", read.ready)
    if read.ready.startswith("/") and not read.port:
        table.refuse("port", f"the port at which GET {read.ready} is answered", None, "add port")
    for key in ("command", "ready"):
        _check_words(table, key, getattr(read, key))
    table.refuse_unknown()
    return read


def _check_words(table: TomlTable, key: str, command: str) -> None:
    """Refuse a command that no shell could take apart into words."""
    try:
        shlex.split(command)
    except ValueError as fault:
        table.refuse(key, "a command with each quote closed", f"{command} ({fault})", f"correct {key}")


def _variables(table: TomlTable) -> dict[str, str]:
    values = table.values()
    for name, value in values.items():
        if not isinstance(value, str):
            table.refuse(name, "a text, as environment variables are", value, f'write "{value}"')
        if NUL in value or not VARIABLE_NAME.fullmatch(name):
            expected = "a variable's name of letters, digits and _, and a text without NUL"
            table.refuse(name, expected, value, f"correct {name!r} or its text")
    return values


def external(name: str, table: TomlTable, root: Path) -> External:
    """Read [external.NAME]; a read-write service that would be real outside production is refused."""
    recording = table.folder("recording", None, A_RECORDING)
    read = External(
        name=name,
        mode=table.choice("mode", MODES),
        port=table.port("port"),
        stub={**_recorded(name, table, root, recording), **answers(table.table("stub"))},
        recording=recording,
        provider=table.folder("provider", None),
        real=table.texts("real", ("production",)),
    )
    for stage in read.real:
        if stage not in STAGES:
            table.refuse("real", f"stages among {', '.join(STAGES)}", stage, f"take {stage} out")
        if stage != "production" and read.mode == "read-write":
            expected = "only production, because what writes must be stubbed everywhere else"
            table.refuse("real", expected, list(read.real), 'write real = ["production"]')
    table.refuse_unknown()
    return read


def _recorded(name: str, table: TomlTable, root: Path, file: PurePosixPath | None) -> Mapping[str, Any]:
    """Return the answers of a recording, which has to be of this external service."""
    if file is None:
        return {}
    try:
        recording = Recording.load(root / file)
    except LabError as problem:
        table.refuse("recording", problem.expected, problem.seen, problem.next_step)
    if recording.external != name:
        table.refuse("recording", f"a recording of {name}", recording.external, f"record {name}")
    return recording.answers


def parameter(name: str, table: TomlTable) -> Parameter:
    """Read [config.NAME]; a value of the wrong type is refused here already."""
    kind = table.choice("type", TYPES)
    anything, expected = (str, int, float, bool), f"a value of type {kind}"
    values = {stage: table.get(stage, anything, expected, None) for stage in STAGES}
    given = {stage: value for stage, value in values.items() if value is not None}
    read = Parameter(name, kind, table.get("default", anything, expected, None), given)
    for key, value in {"default": read.default, **given}.items():
        if value is not None and read.text(value) is None:
            table.refuse(key, read.expected, value, f"write one such as {EXAMPLES[kind]}")
    table.refuse_unknown()
    return read


def toggle(name: str, table: TomlTable) -> Toggle:
    """Read [toggles.NAME]."""
    day = table.get("remove_by", date, "a date, such as 2027-06-30")
    read = Toggle(name, table.text("owner"), day)
    table.refuse_unknown()
    return read

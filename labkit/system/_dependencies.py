"""What has to be ready before a service or a declared container starts."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from labkit.system._table import TomlTable

if TYPE_CHECKING:
    from labkit.system._model import Container, Database, Service

DATABASE = "database"
"""The name by which `depends_on` means the system's database, with its migrations applied."""


def dependencies(
    services: "Mapping[str, Service]", containers: "Mapping[str, Container]", database: "Database | None"
) -> dict[str, tuple[str, ...]]:
    """Return what each service and container waits for, by name.

    That is what its `depends_on` names; for a service also the containers that it calls, and the database
    that it owns. Services that call each other start together: each answers 503 until the other is there.
    """
    needed = {name: container.depends_on for name, container in containers.items()}
    for name, service in services.items():
        own = (DATABASE,) if database is not None and database.service == name else ()
        called = tuple(other for other in service.calls if other in containers)
        needed[name] = tuple(dict.fromkeys((*service.depends_on, *called, *own)))
    return needed


def check(top: TomlTable, known: Mapping[str, object], needed: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a name that is not in `known`, and a circle, of which nothing could start first.

    known maps each name that may stand in `depends_on` to the part of the file in which it is declared.
    """
    for name, others in needed.items():
        for other in others:
            if other not in known:
                key, names = (
                    f"{known[name]}.{name}.depends_on",
                    ", ".join(one for one in known if one != name) or "nothing else",
                )
                top.refuse(key, f"what is declared here: {names}", other, f"correct {other} or declare it")
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as circle:
        names = circle.args[1][::-1]  # the library tells them from the needed to the one that needs it
        expected = "no circle, because each waits for what it depends on, also for the containers it calls"
        next_step = f"take {names[1]} out of the depends_on or the calls of {names[0]}"
        top.refuse(f"{known[names[0]]}.{names[0]}.depends_on", expected, " → ".join(names), next_step)

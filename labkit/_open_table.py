"""A table of named things to which other packages add theirs: by a decorator, or by an entry point."""

from importlib import metadata
from importlib.metadata import EntryPoint
from typing import Generic, TypeVar

from labkit.errors import LabError

T = TypeVar("T")


class OpenTable(Generic[T]):
    """Things of one kind by name, such as gates; labkit adds its own when their modules are imported.

    group is the group of entry points by which a package names what it brings. Such a package is imported
    when somebody asks for the name, not before. (https://packaging.python.org/en/latest/specifications/entry-points/)
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self._known: dict[str, tuple[str, T]] = {}

    def add(self, name: str, one: T, module: str) -> None:
        """Add one; module is where it is written, so that running its notebook cell again replaces it.

        :raises LabError: when another module has added one of this name.
        """
        other = self._known.get(name, (module, one))[0]
        if other != module:
            raise LabError(
                f"a name that nothing else in {self.group} has",
                f"{name!r} of {module}, and of {other}",
                f"rename that of {module}",
            )
        self._known[name] = (module, one)

    def names(self) -> list[str]:
        """Return all names, those of packages that are not imported yet too."""
        return sorted({*self._known, *(entry.name for entry in metadata.entry_points(group=self.group))})

    def find(self, name: str) -> T | None:
        """Return the one of this name, None when there is none; import the package that brings it.

        :raises LabError: when two packages bring it, or when the package cannot be imported.
        """
        entries = metadata.entry_points(group=self.group, name=name)
        if name not in self._known and entries:
            self._load(name, list(entries))
        return self.known(name)

    def known(self, name: str) -> T | None:
        """Return the one of this name without importing anything; None when it is not in the table yet."""
        return self._known[name][1] if name in self._known else None

    def _load(self, name: str, entries: list[EntryPoint]) -> None:
        packages = ", ".join(entry.dist.name if entry.dist else entry.value for entry in entries)
        expected = f"{name!r} of {self.group} from one package that can be imported"
        remove = f"correct the package, or remove it: pip uninstall {packages.partition(',')[0]}"
        if len(entries) > 1:
            raise LabError(expected, f"several packages have it: {packages}", remove)
        try:
            entries[0].load()
        except Exception as fault:
            seen = f"{packages}: {entries[0].value}: {type(fault).__name__}: {fault}"
            raise LabError(expected, seen, remove) from fault
        if name not in self._known:
            raise LabError(expected, f"{packages}: {entries[0].value} registers no {name!r}", remove)

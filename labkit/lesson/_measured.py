"""What a lab has measured, kept in the artifact database, so that a new kernel and the next day find it."""

from collections.abc import Iterator, Mapping
from typing import Any

from labkit.artifacts import ArtifactDatabase, Fact, Kind, Subject
from labkit.errors import LabError


class NotMeasured(LabError, KeyError):
    """There are no figures of this name yet."""


class Measured(Mapping[str, Any]):
    """A learner's figures of one kind by name, in the order in which the names came.

    `measured[name] = figures` records JSON data; of several with one name the newest counts.
    """

    def __init__(self, artifacts: ArtifactDatabase, lab: Subject, kind: str) -> None:
        """Find the figures of this kind in the record of a lab."""
        self._artifacts, self._lab, self._kind = artifacts, lab, kind

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - JSON data
        """Return the newest figures of this name, as JSON keeps them: a tuple is a list.

        :raises NotMeasured: when there are none.
        """
        figures = {fact.predicate["name"]: fact.predicate["figures"] for fact in self._facts()}
        if name not in figures:
            raise NotMeasured(
                f'{self._kind} of "{name}", measured in this workspace',
                f"{self._kind} of {', '.join(figures) or 'nothing yet'}",
                f'run the cell that measures it; it has "{name}" in it',
            )
        return figures[name]

    def __setitem__(self, name: str, figures: Any) -> None:  # noqa: ANN401 - JSON data
        """Record figures."""
        self._artifacts.record(Kind.MEASURED, self._lab, kind=self._kind, name=name, figures=figures)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(fact.predicate["name"] for fact in self._facts()))

    def __len__(self) -> int:
        return len([*iter(self)])

    def _facts(self) -> Iterator[Fact]:
        for fact in self._artifacts.history(kind=Kind.MEASURED):
            if (fact.subject.name, fact.predicate["kind"]) == (self._lab.name, self._kind):
                yield fact

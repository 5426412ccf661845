"""What a policy demands of the result, beside its rules: k, l, and how much a distribution may lose."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Self

from labkit.errors import LabError

K, L, TOLERANCE = "k", "l", "tolerance"
USUAL = 0.5
"""Half of what a column loses when all its values become one."""


@dataclass(frozen=True)
class Demands:
    """The least k and l, and the most that a column may lose.

    k and l: None demands nothing.
    tolerance: the most that the distribution of a column may lose; 0 is nothing, 1 all.
    tolerances: that of single columns, by "table.column".
    """

    k: int | None = None
    l: int | None = None  # noqa: E741 - l-diversity is called so
    tolerance: float = USUAL
    tolerances: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def take(cls, policy: dict[str, Any]) -> Self:
        """Take the demands out of a policy's top level. A table of the database may be called so too.

        :raises LabError: when one is no such number.
        """
        taken = {name: policy.pop(name) for name in (K, L, TOLERANCE) if _is_demand(policy.get(name))}
        for name, value in taken.items():
            if name != TOLERANCE and (type(value) is not int or value < 1):
                raise LabError(f"{name} = a number of people, 1 or more", repr(value), f"correct {name}")
        written = taken.pop(TOLERANCE, USUAL)
        tolerances = written if isinstance(written, Mapping) else {}
        usual = tolerances.get("usual", USUAL) if isinstance(written, Mapping) else written
        for value in (usual, *tolerances.values()):
            if type(value) not in {int, float} or value < 0:
                raise LabError(
                    "tolerance = a number from 0 (nothing lost) to 1", repr(value), "correct tolerance"
                )
        single = {name: float(value) for name, value in tolerances.items() if name != "usual"}
        return cls(**taken, tolerance=float(usual), tolerances=single)

    def check(self, columns: Collection[str]) -> None:
        """Raise LabError when a tolerance is for none of these columns, "table.column"."""
        for column in self.tolerances:
            if column not in columns:
                near = get_close_matches(column, columns, n=1)
                next_step = f"write {near[0]}" if near else f"take {column} out of it"
                raise LabError(
                    "tolerance = {usual = …, and columns as table.column}", repr(column), next_step
                )

    def allowed(self, column: str) -> float:
        """Return the most that a column, "table.column", may lose."""
        return self.tolerances.get(column, self.tolerance)


def _is_demand(value: object) -> bool:
    if isinstance(value, Mapping):  # a table's columns have rules: texts and tables
        return bool(value) and all(type(inner) in {int, float} for inner in value.values())
    return value is not None

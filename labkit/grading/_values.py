"""What data becomes on its way between the grader and learners' code, where JSON has no word for it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NoReturn

SHOWN = 100
KIND = "labkit kind"  # no name that code could write


def type_name(value: object) -> str:
    """Return the name of a value's type, read so that no code of the type runs."""
    return str.__str__(type.__dict__["__name__"].__get__(type(value)))[:SHOWN]


class Opaque:
    """What is no data: equal to nothing, itself included, ordered with nothing, neither true nor false.

    kind is the name of its type, at most 100 characters, as its sender says.
    """

    __hash__ = None  # type: ignore[assignment] # as equality: nothing can be found by it

    def __init__(self, kind: str) -> None:
        self.kind = kind[:SHOWN].encode(errors="replace").decode()

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} is neither true nor false")

    def __repr__(self) -> str:
        return f"<{self.kind}: no data>"


@dataclasses.dataclass(frozen=True)
class Function:
    """Something that can be called, known by its name in the learner's code."""

    name: str


class Reference:
    """A thing that stays with the grader. Learners' code can call it and its methods: each call asks.

    attributes are data, or more references, that learners' code reads without a question.
    """

    def __init__(self, id: str, attributes: Mapping[str, object] | None = None) -> None:  # noqa: A002 - of an object
        self.id, self.attributes = id, attributes or {}


class Record:
    """The values of a dataclass, as attributes; equal to one, or a record, of the same name and values."""

    def __init__(self, kind: str, values: Mapping[str, object]) -> None:
        self.__dict__.update(values)
        self.__dict__[KIND] = kind

    def __eq__(self, other: object) -> bool:
        fields = fields_of(other)
        return NotImplemented if fields is None else fields == fields_of(self)

    def __hash__(self) -> int:
        return hash(tuple(_values(self).values()))  # as a frozen dataclass

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in _values(self).items())
        return f"{self.__dict__[KIND]}({values})"


class NamedTuple(tuple[Any, ...]):  # noqa: SLOT001 - its names are attributes
    """The values of a named tuple: a tuple, and attributes."""

    _fields: tuple[str, ...]

    @classmethod
    def of(cls, kind: str, values: Mapping[str, object]) -> "NamedTuple":
        """Return the values under their names."""
        made = cls(values.values())
        made.__dict__.update(values, _fields=tuple(values))
        made.__dict__[KIND] = kind
        return made


def _values(record: Record) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name != KIND}


def fields_of(value: object) -> tuple[str, dict[str, object]] | None:
    """Return name and values of a record or dataclass, None for anything else."""
    if isinstance(value, Record):
        return value.__dict__[KIND], _values(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        values = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        return type_name(value), values
    return None

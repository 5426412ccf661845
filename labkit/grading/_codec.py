"""Data on its way between the grader and learners' code, as tagged JSON.

Both ends use this module, and it stands on the standard library alone. What JSON knows travels as itself:
None, bool, int of at most 64 bits, finite float, str, list. All else is an object with one key, its tag:
{"tuple": [1, 2]}. A text that comes from learners' code may be anything: it becomes data, or an Opaque, and
no code of its sender runs.
"""

import base64
import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from labkit.grading._values import KIND, SHOWN, Function, NamedTuple, Opaque, Record, fields_of, type_name

MOST_BYTES = 1 << 20
DEEPEST = 50
MOST_KEYS = 10_000
"""In all sets and dicts of a text together: a sender can choose keys of one hash, which cost their square."""

WORD = 1 << 63
MOST_BITS = 4096
MOST_EXPONENT = 6144
"""Of a Decimal, as in IEEE 754's decimal128: the integer of a larger one fills the memory."""

_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Unreadable(ValueError):
    """A text is no tagged JSON, or larger than MOST_BYTES."""


Other = Callable[[object], Any]
"""Returns the tagged JSON of what is no data: `{"opaque": …}` and the like; or raises."""

Refer = Callable[[str, Mapping[str, object]], object]
"""Returns what stands for a reference, by its id and attributes."""


def opaque(value: object) -> dict[str, str]:
    """Return the tagged JSON of something that is no data."""
    return {"opaque": type_name(value)}


def refuse(value: object) -> NoReturn:
    """Refuse what is no data.

    :raises TypeError: always.
    """
    raise TypeError(f"{type_name(value)} is no data: hand a Reference over in its place")


def tagged(value: object, other: Other = refuse, depth: int = 0) -> Any:  # noqa: ANN401 - what JSON knows
    """Return a value's tagged JSON as Python's lists, dicts and plain values; other does what is no data.

    A subclass of a type travels as that type. What is nested more than 50 deep is no data.

    :raises TypeError: for what is no data, unless other says otherwise.
    """
    if value is None or value is True or value is False:
        return value
    if depth > DEEPEST:
        return other(value)
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value, lambda inner: tagged(inner, other, depth + 1))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _write_record(value, lambda inner: tagged(inner, other, depth + 1))
    return other(value)


Inner = Callable[[Any], Any]


def _write_record(value: object, inner: Inner) -> Any:  # noqa: ANN401 - what JSON knows
    kind, values = fields_of(value) or ("", {})
    return {"record": [kind, [[name, inner(field)] for name, field in values.items()]]}


def _write_tuple(value: tuple[Any, ...], inner: Inner) -> Any:  # noqa: ANN401 - what JSON knows
    items = [inner(item) for item in tuple.__iter__(value)]
    names = getattr(value, "_fields", None)
    if type(names) is tuple and len(names) == len(items) and all(type(name) is str for name in names):
        kind = value.__dict__[KIND] if isinstance(value, NamedTuple) else type_name(value)
        return {"named": [kind, [list(pair) for pair in zip(names, items, strict=True)]]}
    return {"tuple": items}


def _write_int(value: int, _: Inner) -> Any:  # noqa: ANN401 - what JSON knows
    plain = int.__int__(value)
    if -WORD <= plain < WORD:
        return plain
    return {"int": hex(plain)} if plain.bit_length() <= MOST_BITS else {"opaque": "int of too many digits"}


def _write_float(value: float, _: Inner) -> Any:  # noqa: ANN401 - what JSON knows
    plain = float.__float__(value)
    return plain if math.isfinite(plain) else {"float": repr(plain)}


_WRITERS: dict[type, Callable[[Any, Inner], Any]] = {
    int: _write_int,
    float: _write_float,
    str: lambda value, _: str.__str__(value),
    list: lambda value, inner: [inner(item) for item in list.__iter__(value)],
    tuple: _write_tuple,
    dict: lambda value, inner: {"dict": [[inner(key), inner(item)] for key, item in dict.items(value)]},
    set: lambda value, inner: {"set": [inner(item) for item in set.__iter__(value)]},
    frozenset: lambda value, inner: {"frozenset": [inner(item) for item in frozenset.__iter__(value)]},
    bytes: lambda value, _: {"bytes": base64.b64encode(value).decode()},
    datetime: lambda value, _: {"datetime": datetime.isoformat(value)},  # before date, its parent
    date: lambda value, _: {"date": date.isoformat(value)},
    timedelta: lambda value, _: {"timedelta": [value.days, value.seconds, value.microseconds]},
    Decimal: lambda value, _: {"decimal": Decimal.__str__(value)},
    Opaque: lambda value, _: {"opaque": value.kind},
    Function: lambda value, _: {"function": value.name},
    Record: _write_record,
}


def read(text: bytes) -> Any:  # noqa: ANN401 - what JSON knows
    """Return a JSON text's lists, dicts and plain values.

    :raises Unreadable: when it is too large, no JSON, or nested too deep for its reader.
    """
    if len(text) > MOST_BYTES:
        raise Unreadable(f"more than {MOST_BYTES} bytes")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise Unreadable("no JSON") from problem


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(name)


def write(fields: Mapping[str, object]) -> bytes:
    """Return JSON's text, on one line, of what `tagged` returned.

    :raises Unreadable: when it would be larger than MOST_BYTES.
    """
    text = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > MOST_BYTES:
        raise Unreadable(f"more than {MOST_BYTES} bytes")
    return text


class Reader:
    """Makes values of tagged JSON. What is malformed, or nested more than 50 deep, becomes an Opaque.

    refer makes what stands for a reference, call what stands for a function; by default both are Opaque.
    """

    def __init__(
        self,
        refer: Refer = lambda _id, _attributes: Opaque("Reference"),
        call: Callable[[str], object] = lambda _name: Opaque("function"),
    ) -> None:
        self._refer, self._call = refer, call
        self._keys = 0

    def value(self, tagged_json: object, depth: int = 0) -> Any:  # noqa: ANN401 - any data
        """Return the value of tagged JSON."""
        if tagged_json is None or isinstance(tagged_json, int | float | str):
            too_large = isinstance(tagged_json, int) and not -WORD <= tagged_json < WORD
            return Opaque("int of too many digits") if too_large else tagged_json
        if depth > DEEPEST:
            return Opaque("nested too deep")
        if isinstance(tagged_json, list):
            return self._items(tagged_json, depth)
        if isinstance(tagged_json, dict) and len(tagged_json) == 1:
            ((tag, content),) = tagged_json.items()
            try:
                return self._READERS[tag](self, content, depth)
            except (KeyError, TypeError, ValueError, OverflowError, InvalidOperation):
                return Opaque(f"malformed {tag}")
        return Opaque("malformed")

    def _items(self, items: object, depth: int) -> list[Any]:
        if not isinstance(items, list):
            raise TypeError("no list")
        return [self.value(item, depth + 1) for item in items]

    def _counted(self, items: object) -> list[Any]:
        if not isinstance(items, list):
            raise TypeError("no list")
        self._keys += len(items)
        if self._keys > MOST_KEYS:
            raise ValueError("too many keys")
        return items

    def _dict(self, pairs: object, depth: int) -> dict[Any, Any]:
        # A key is hashed here, so a list or an Opaque as a key makes all of it malformed.
        return dict(self._items(pair, depth) for pair in self._counted(pairs))

    def _named(self, content: list[Any], depth: int) -> tuple[str, dict[str, object]]:
        kind, pairs = content
        values = {name: self.value(item, depth + 1) for name, item in self._counted(pairs)}
        # Names with two underscores mean something to Python, which could look for them here.
        if not all(isinstance(name, str) and name.isidentifier() for name in values):
            raise ValueError("no names")
        if not isinstance(kind, str):
            raise TypeError("no name")
        return kind[:SHOWN], values

    def _record(self, content: list[Any], depth: int) -> Record:
        return Record(*_without_special_names(*self._named(content, depth)))

    def _named_tuple(self, content: list[Any], depth: int) -> NamedTuple:
        return NamedTuple.of(*_without_special_names(*self._named(content, depth)))

    def _reference(self, content: list[Any], depth: int) -> object:
        return self._refer(*self._named(content, depth))

    def _function(self, content: object, _: int) -> object:
        return self._call(_text(content))

    _READERS: Mapping[str, Callable[["Reader", Any, int], Any]] = {
        "tuple": lambda self, content, depth: tuple(self._items(content, depth)),
        "dict": _dict,
        "set": lambda self, content, depth: set(self._items(self._counted(content), depth)),
        "frozenset": lambda self, content, depth: frozenset(self._items(self._counted(content), depth)),
        "int": lambda _self, content, _depth: _int(_text(content)),
        "float": lambda _self, content, _depth: _FLOATS[_text(content)],
        "bytes": lambda _self, content, _depth: base64.b64decode(_text(content), validate=True),
        "datetime": lambda _self, content, _depth: datetime.fromisoformat(_text(content)),
        "date": lambda _self, content, _depth: date.fromisoformat(_text(content)),
        "timedelta": lambda _self, content, _depth: timedelta(*_three(content)),
        "decimal": lambda _self, content, _depth: _decimal(_text(content)),
        "record": _record,
        "named": _named_tuple,
        "reference": _reference,
        "function": _function,
        "opaque": lambda _self, content, _depth: Opaque(_text(content)),
    }


def _without_special_names(kind: str, values: dict[str, object]) -> tuple[str, dict[str, object]]:
    if any(name.startswith("__") for name in values) or "_fields" in values:
        raise ValueError("names of Python's own")
    return kind, values


def _text(content: object) -> str:
    if not isinstance(content, str):
        raise TypeError("no text")
    return content


def _int(text: str) -> int:
    number = int(text, 16)  # linear in its digits, as decimal digits are not
    if number.bit_length() > MOST_BITS:
        raise ValueError("too many digits")
    return number


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    digits = len(number.as_tuple().digits)
    if digits > MOST_BITS or (isinstance(exponent, int) and abs(exponent) + digits > MOST_EXPONENT):
        raise ValueError("too large")
    return number


def _three(content: list[object]) -> list[int]:
    if len(content) != 3 or not all(type(number) is int for number in content):  # noqa: PLR2004 - days, seconds, microseconds
        raise ValueError("no timedelta")
    return content  # type: ignore[return-value] # each is an int, as the line above says

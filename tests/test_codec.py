"""Tagged JSON: what is data comes out as it went in, and whatever else comes becomes an Opaque."""

import json
import math
import operator
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labkit.grading._codec import (
    DEEPEST,
    MOST_BYTES,
    MOST_KEYS,
    Reader,
    Unreadable,
    opaque,
    read,
    tagged,
    write,
)
from labkit.grading._values import Function, Opaque, Record, Reference

KEYS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.timedeltas()
    | st.decimals(allow_nan=False),
    lambda keys: st.tuples(keys, keys) | st.frozensets(keys, max_size=3),
    max_leaves=8,
)
DATA = st.recursive(
    KEYS,
    lambda data: (
        st.lists(data, max_size=4) | st.sets(KEYS, max_size=4) | st.dictionaries(KEYS, data, max_size=4)
    ),
    max_leaves=20,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda data: (
        st.lists(data, max_size=4)
        | st.dictionaries(st.sampled_from([*Reader._READERS, "x"]), data, max_size=2)
    ),
    max_leaves=20,
)


def passed(value: object, other: Callable[[object], Any] = opaque) -> Any:
    """Return what comes out at the other end."""
    return Reader().value(read(write({"value": tagged(value, other)}))["value"])


@dataclass(frozen=True)
class Point:
    """A dataclass."""

    x: int
    y: str = "y"


class Pair(NamedTuple):
    """A named tuple."""

    index: int  # type: ignore[assignment] # a name that tuples have, too
    second: object


@settings(max_examples=60)
@given(DATA)
@example([1 << 4000, 0.0, -0.0, 1 << 63, -(1 << 63), math.inf, -math.inf])
@example({"": [(1,), [1], {1}, frozenset([1])], 1.5: None, (): b""})
def test_data_comes_out_as_it_went_in(value: Any) -> None:
    """Every value is equal afterwards, of the same types all through."""
    out = passed(value)
    assert out == value
    assert shape(out) == shape(value)


def shape(value: object) -> Any:
    """Return a value's types, all through."""
    if isinstance(value, dict):
        return (dict, sorted((repr(shape(key)), repr(shape(item))) for key, item in value.items()))
    if isinstance(value, list | tuple | set | frozenset):
        inner = [repr(shape(item)) for item in value]
        return (type(value), inner if isinstance(value, list | tuple) else sorted(inner))
    return type(value), math.copysign(1, value) if isinstance(value, float) else None


@given(JSON)
def test_any_json_becomes_a_value_of_known_types_without_an_error(text: Any) -> None:
    """Whatever a sender writes, nothing is raised, and nothing comes out but data, records and Opaques."""
    known = (Record, Opaque, type(None), bool, int, float, str, list, tuple, dict, set, frozenset, bytes)
    assert isinstance(Reader().value(text), (*known, datetime, date, timedelta, Decimal))


@given(st.binary())
@example(b"[" * 200_000)
@example(b"9" * 100_000)
@example(b'{"a": NaN}')
@example(b"\xff")
def test_any_text_is_read_or_refused(text: bytes) -> None:
    """There is one error for what is no JSON, too deep, or a number without end."""
    try:
        read(text)
    except Unreadable:
        return
    assert json.loads(text) is not NotImplemented


def test_not_a_number_stays_what_it_is() -> None:
    """NaN comes out as a NaN, which is equal to nothing."""
    assert math.isnan(passed(math.nan))
    assert passed(Decimal("NaN")).is_nan()


def test_a_dataclass_becomes_a_record_with_its_attributes() -> None:
    """It is equal to the dataclass, in both orders, has its hash, and is not equal to one of another name."""
    out = passed([Point(1), {Point(2): 3}])
    assert out == [Point(1), {Point(2): 3}]
    assert [Point(1), {Point(2): 3}] == out
    assert (out[0].x, out[0].y, repr(out[0])) == (1, "y", "Point(x=1, y='y')")
    assert out[0] != Record("Other", {"x": 1, "y": "y"})
    assert out[0] != Point(1, "z")
    assert out[0] != (1, "y")


def test_a_named_tuple_becomes_a_tuple_with_its_attributes() -> None:
    """It is equal to the tuple; a name that tuples have too is the value's."""
    out = passed(Pair(1, [Pair(2, None)]))
    assert out == (1, [(2, None)])
    assert (out.index, out.second[0].index, out._fields) == (1, 2, ("index", "second"))
    assert passed(out) == out
    assert passed(passed(out)).second == out.second


class Same:
    """An object that is equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment] # as for any object with equality alone


class Colour(Enum):
    """No data."""

    RED = 1


@pytest.mark.parametrize("value", [Same(), object(), Colour.RED, range(3), len, int, 1j, Same])
def test_what_is_no_data_becomes_an_opaque(value: object) -> None:
    """It is equal to nothing, itself included, and has neither truth nor order nor hash."""
    out = passed(value)
    assert isinstance(out, Opaque)
    assert out.kind == type(value).__name__
    assert not any(operator.eq(out, one) or not operator.ne(out, one) for one in (out, value, 0))
    questions: list[Callable[[Any], object]] = [
        bool,
        hash,
        len,
        iter,
        lambda one: operator.lt(one, 3),
        lambda one: operator.lt(3, one),
    ]
    for question in questions:
        with pytest.raises(TypeError):
            question(out)
    with pytest.raises(TypeError, match="no data"):
        tagged(value)


class Liar(int):
    """An int whose every method lies."""

    def __int__(self) -> int:
        return 6

    def __index__(self) -> int:
        return 6

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def test_a_subclass_travels_as_what_it_really_is() -> None:
    """An int that lies is its own number; a Counter is a dict, in its order."""
    assert passed(Liar(7)) == 7
    assert type(passed(Liar(7))) is int
    assert passed(Counter("aab")) == {"a": 2, "b": 1}
    assert list(passed(OrderedDict(b=1, a=2))) == ["b", "a"]


def nested(depth: int) -> Any:
    """Return a list of lists, so deep."""
    value: Any = "bottom"
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_nested_too_deep_is_no_data() -> None:
    """Fifty levels are data; of more, what lies beneath is an Opaque, at whichever end it is seen."""
    assert passed(nested(DEEPEST)) == nested(DEEPEST)
    assert passed(nested(DEEPEST + 2)) != nested(DEEPEST + 2)
    assert "no data" in repr(Reader().value(nested(DEEPEST + 2)))
    itself: list[Any] = []
    itself.append(itself)
    assert "no data" in repr(passed(itself))


def test_what_is_too_large_is_refused() -> None:
    """A text of more than 1 MiB is neither written nor read."""
    with pytest.raises(Unreadable):
        write({"value": "x" * MOST_BYTES})
    with pytest.raises(Unreadable):
        read(b'"' + b"x" * MOST_BYTES + b'"')


@pytest.mark.parametrize(
    "text",
    [
        {"int": hex(1 << 5000)},
        1 << 70,
        {"decimal": "1e999999"},
        {"decimal": "1e-999999999"},
        {"decimal": "sNaN1x"},
        {"timedelta": [10**12, 0, 0]},
        {"timedelta": [1.5, 0, 0]},
        {"timedelta": [1]},
        {"date": "2026-13-01"},
        {"bytes": "#"},
        {"float": "1e5"},
        {"set": [[1]]},
        {"set": [{"opaque": "x"}]},
        {"dict": [[1]]},
        {"dict": [[{"dict": []}, 1]]},
        {"dict": "ab"},
        {"tuple": "ab"},
        {"dict": [[n * ((1 << 61) - 1), 0] for n in range(MOST_KEYS + 1)]},
        {"record": ["int", [["__class__", 6]]]},
        {"record": ["int", [["a b", 6]]]},
        {"record": [1, []]},
        {"record": []},
        {"named": ["x", [["_fields", 6]]]},
        {"named": ["x", [[["a"], 6]]]},
        {"reference": ["gradebook", []]},
        {"function": "f"},
        {"pickle": "x"},
        {"tuple": [], "list": []},
        {},
    ],
    ids=lambda text: str(text)[:40],
)
def test_a_malformed_value_becomes_an_opaque(text: Any) -> None:
    """Each is equal to nothing, and raises nothing."""
    assert isinstance(Reader().value(text), Opaque)


def test_keys_are_counted_over_all_of_a_text() -> None:
    """Many small dicts have no more keys together than one large one may."""
    half = {"dict": [[number, 0] for number in range(MOST_KEYS // 2)]}
    reader = Reader()
    first, second, third = reader.value([half, half, half])
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert isinstance(third, Opaque)


def test_references_and_functions_are_made_by_the_reader() -> None:
    """Its caller says what stands for them; attributes are data."""
    reader = Reader(lambda identity, attributes: (identity, dict(attributes)), Function)
    assert reader.value({"reference": ["it", [["name", {"tuple": [1]}]]]}) == ("it", {"name": (1,)})
    assert reader.value({"function": "f"}) == Function("f")
    assert Reference("it").attributes == {}
    with pytest.raises(TypeError, match="Reference"):
        tagged(Reference("it"))


def test_an_opaques_kind_can_be_written_into_a_file() -> None:
    """A name of a million letters is cut, and half of a pair of letters is a question mark."""
    assert len(Opaque("x" * 10**6).kind) == 100
    assert Opaque("\ud800").kind == "?"


def test_a_named_tuple_that_lies_about_its_names_is_a_tuple() -> None:
    """Names that are no names of its values are not sent."""
    liar: Any = type("Liar", (tuple,), {"_fields": ("a", "b")})
    assert passed(liar([1])) == (1,)
    assert operator.eq(passed(liar([1, 2])), (1, 2))

"""Messages between versions: tagged, translated, refused; and schemas held against each other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import LabError
from labkit.skew import Layer, TranslationFailed, UnknownVersion, can_read, tag, translate

LAYERS = [
    Layer(
        2,
        up=lambda message: message | {"cents": message["euro"] * 100},
        down=lambda message: message | {"euro": message["cents"] // 100},
    ),
    Layer(3, up=lambda message: message | {"paid": message["cents"]}),
]


def test_a_message_is_translated_layer_by_layer_and_keeps_what_nobody_knows() -> None:
    """Up through all layers, down where there is a way; fields unknown to a layer stay."""
    old = {"euro": 3, "coupon": "X"}
    assert translate(old, LAYERS, 3) == {"version": 3, "euro": 3, "coupon": "X", "cents": 300, "paid": 300}
    assert old == {"euro": 3, "coupon": "X"}
    assert translate({"version": 2, "cents": 400}, LAYERS, 1) == {"version": 1, "cents": 400, "euro": 4}
    assert translate({"version": 2}, LAYERS, 2) == {"version": 2}


@pytest.mark.parametrize("version", [4, 0, "2", None, True])
def test_an_unknown_version_is_refused_by_an_error_of_its_own(version: object) -> None:
    """It names what came and what is known, so that a client can choose."""
    with pytest.raises(UnknownVersion, match="known: 1, 2, 3") as refusal:
        translate({"version": version}, LAYERS, 3)
    assert refusal.value.known == (1, 2, 3)


def test_there_is_no_way_back_where_a_layer_has_none() -> None:
    """What version 3 says is lost on a reader of version 2, so it is refused."""
    with pytest.raises(UnknownVersion, match="version 3"):
        translate({"version": 3, "cents": 1}, LAYERS, 1)


def test_a_translation_that_raises_tells_its_layer_and_keeps_the_message() -> None:
    """The cause is kept, and the message is as it came."""
    message: dict[str, Any] = {"version": 1, "price": 3}
    with pytest.raises(TranslationFailed, match="to version 2: KeyError") as failure:
        translate(message, LAYERS, 3)
    assert isinstance(failure.value.__cause__, KeyError)
    assert message == {"version": 1, "price": 3}


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=4), st.integers(1, 3))
def test_tagging_never_changes_a_tag(message: dict[str, Any], version: int) -> None:
    """A tagged message keeps its version, whoever tags it again."""
    message.pop("version", None)
    once = tag(message, version)
    assert once == {"version": version, **message}
    assert tag(once, 9) == once


SKU: dict[str, Any] = {"type": "string"}
LINE: dict[str, Any] = {"type": "object", "required": ["sku"], "properties": {"sku": SKU}}
CART = LINE | {"properties": {"sku": SKU, "weight_g": {"type": "integer", "minimum": 0}}}
STRICT = LINE | {"additionalProperties": False}
NEEDY = CART | {"required": ["sku", "weight_g"]}


def of(**schema: Any) -> dict[str, Any]:
    """Return the schema of a message with one field."""
    return {"type": "object", "properties": {"sku": schema}}


@pytest.mark.parametrize(
    ("reader", "writer", "reasons"),
    [
        (LINE, CART, []),
        (CART, NEEDY, []),
        (STRICT, NEEDY, ["message.weight_g may be written and is refused"]),
        (NEEDY, LINE, ["message.weight_g is needed and may be missing"]),
        (of(type="string"), of(type="integer"), ["message.sku: integer may be written, string is read"]),
        (of(type="number"), of(type="integer"), []),
        (of(type=["string", "null"]), of(type="string"), []),
        (of(minimum=1), of(minimum=0), ["message.sku: minimum 0 may be written, 1 is read"]),
        (of(maxLength=5), of(type="string"), ["message.sku: maxLength any may be written, 5 is read"]),
        (of(maxItems=5), of(maxItems=5), []),
        (of(enum=["a"]), of(enum=["a", "b"]), ["message.sku: 'b' may be written, 'a' is read"]),
        (of(enum=["a"]), of(type="string"), ["message.sku: anything may be written, 'a' is read"]),
        (of(items=NEEDY), of(items=LINE), ["message.sku[].weight_g is needed and may be missing"]),
    ],
)
def test_a_reader_is_held_against_a_writer(reader: Any, writer: Any, reasons: list[str]) -> None:
    """What cannot be read is told with its place; optional new fields hurt nobody."""
    assert can_read(reader, writer) == reasons


def test_what_cannot_be_judged_is_refused() -> None:
    """A keyword that is not known here is no silent yes."""
    with pytest.raises(LabError, match="oneOf"):
        can_read(of(oneOf=[]), LINE)

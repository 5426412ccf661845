"""Whether a reader can read what a writer writes: a comparison of two JSON Schemas.

Apache Avro 1.11 calls the question "Schema Resolution". Here it is answered for the part of JSON Schema
(draft 2020-12) in which contracts of services are written. Any other keyword is refused, not guessed.
"""

import operator
from collections.abc import Iterator, Mapping
from typing import Any

from labkit.errors import LabError

Schema = Mapping[str, Any]
COMPARED = {"type", "properties", "required", "additionalProperties", "items", "enum"} | {
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"
}  # fmt: skip
DESCRIPTIVE = {"title", "description", "default", "example", "examples", "$schema", "$id"}
LOWER, UPPER = ("minimum", "minLength", "minItems"), ("maximum", "maxLength", "maxItems")


def can_read(reader: Schema, writer: Schema) -> list[str]:
    """Return why a reader cannot read all that a writer may write, each with its place; [] when it can.

    reader and writer are JSON Schemas of a message.

    :raises LabError: for a keyword that cannot be compared here.
    """
    return list(_mismatches(reader, writer, "message"))


def _mismatches(reader: Schema, writer: Schema, place: str) -> Iterator[str]:
    for schema in (reader, writer):
        if unknown := set(schema) - COMPARED - DESCRIPTIVE:
            seen = f"{', '.join(sorted(unknown))} at {place}"
            raise LabError(
                f"keywords out of {', '.join(sorted(COMPARED))}", seen, "write the schema with these"
            )
    yield from _values(reader, writer, place)
    yield from _limits(reader, writer, place)
    yield from _fields(reader, writer, place)
    if "items" in reader:
        yield from _mismatches(reader["items"], writer.get("items", {}), f"{place}[]")


def _values(reader: Schema, writer: Schema, place: str) -> Iterator[str]:
    """Yield types and values that may be written and are not read."""
    if "type" in reader:
        unread = _types(writer) - _types(reader)
        if "number" in _types(reader):  # every integer is a number
            unread -= {"integer"}
        if unread:
            yield f"{place}: {_in_words(unread)} may be written, {_in_words(_types(reader))} is read"
    if "enum" in reader:
        written = writer.get("enum")
        unread = {repr(value) for value in written or () if value not in reader["enum"]}
        if unread or written is None:
            values = _in_words(unread) if written else "anything"
            yield f"{place}: {values} may be written, {_in_words(set(map(repr, reader['enum'])))} is read"


def _limits(reader: Schema, writer: Schema, place: str) -> Iterator[str]:
    for names, beyond in ((LOWER, operator.gt), (UPPER, operator.lt)):
        for name in set(names) & set(reader):
            if name not in writer or beyond(reader[name], writer[name]):
                limit = writer.get(name, "any")
                yield f"{place}: {name} {limit} may be written, {reader[name]} is read"


def _fields(reader: Schema, writer: Schema, place: str) -> Iterator[str]:
    """Yield fields that are needed and may be missing, that are refused, or that are not read."""
    read, written = reader.get("properties", {}), writer.get("properties", {})
    for name in reader.get("required", ()):
        if name not in writer.get("required", ()):
            yield f"{place}.{name} is needed and may be missing"
    if reader.get("additionalProperties", True) is False:
        for name in written:
            if name not in read:
                yield f"{place}.{name} may be written and is refused"
    for name, schema in written.items():
        if name in read:
            yield from _mismatches(read[name], schema, f"{place}.{name}")


def _types(schema: Schema) -> set[str]:
    types = schema.get("type", "anything")
    return {types} if isinstance(types, str) else set(types)


def _in_words(names: set[str]) -> str:
    return " or ".join(sorted(names))

"""Reads single values out of a large JSON document, without making Python objects of the rest of it.

A notebook's outputs may be a hundred megabytes. They are passed over as bytes, bracket by bracket.
"""

import json
import re
from collections.abc import Iterator
from mmap import mmap
from typing import Any

DEEPEST = 50
"""How deep arrays and objects may lie in one another."""

STRING = rb'"(?:[^"\\]++|\\.)*+"'
TO_BRACKET = re.compile(rb'(?:%s|[^"\[\]{}]++)*+' % STRING, re.DOTALL)
TO_COMMA = re.compile(rb'(?:%s|[^"\[\]{},]++)*+' % STRING, re.DOTALL)
KEY = re.compile(rb"[ \t\r\n]*+(%s)[ \t\r\n]*+:" % STRING, re.DOTALL)
OPENING = re.compile(rb"[ \t\r\n]*+[\[{]")
BLANK = re.compile(rb"[ \t\r\n]*+")

Document = bytes | mmap
Span = tuple[int, int]
"""Where a value begins and ends."""


class TooDeep(ValueError):
    """Arrays and objects lie deeper in one another than DEEPEST."""


def elements(document: Document, container: Span) -> Iterator[Span]:
    """Yield the span of each element of an array, or of each member of an object.

    :raises TooDeep: when something in it lies too deep.
    :raises ValueError: when it does not end where its brackets do.
    """
    end, begin = container[1], _inside(document, container)
    depth, at = 1, begin
    while (at := _skip(document, at, end, depth)) < end:
        sign = document[at : at + 1]
        if sign in {b"[", b"{"}:
            depth += 1
            if depth > DEEPEST:
                raise TooDeep
        elif sign == b",":
            yield begin, at
            begin = at + 1
        else:
            depth -= 1
            if depth == 0:
                if not BLANK.fullmatch(document, begin, at):
                    yield begin, at
                break
        at += 1
    if depth or at >= end or not BLANK.fullmatch(document, at + 1, end):
        message = "the brackets do not fit together"
        raise ValueError(message)


def _inside(document: Document, container: Span) -> int:
    """Return where a container's first element begins."""
    opening = OPENING.match(document, *container)
    if opening is None:
        message = "there are no brackets where some should be"
        raise ValueError(message)
    return opening.end()


def _skip(document: Document, at: int, end: int, depth: int) -> int:
    """Return where the next bracket is, or the next comma when it parts two elements; end without one."""
    found = (TO_COMMA if depth == 1 else TO_BRACKET).match(document, at, end)
    return end if found is None or document[found.end() : found.end() + 1] == b'"' else found.end()


def members(document: Document, container: Span) -> dict[str, Span]:
    """Return the span of each value of an object by its key; the last one of a doubled key counts.

    :raises ValueError: as elements, and when it is no object.
    """
    found = {}
    for begin, end in elements(document, container):
        key = KEY.match(document, begin, end)
        if key is None:
            message = "an object's member has no name"
            raise ValueError(message)
        found[str(json.loads(key[1]))] = (key.end(), end)
    return found


def value(document: Document, span: Span, most: int) -> Any:  # noqa: ANN401 - any JSON value
    """Return one value of at most `most` bytes as Python objects.

    :raises ValueError: when it is no JSON, or longer.
    """
    begin, end = span
    if end - begin > most:
        message = f"a value of {end - begin:,} bytes, where {most:,} are the most"
        raise ValueError(message)
    return json.loads(document[begin:end])

"""The elements of arrays in PostgreSQL's text of them."""

import re
from collections.abc import Iterator

ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|(?<=[{,])([^{},"]+)', re.DOTALL)
"""A value, in quotes or bare; braces, commas and bounds stay as they are."""

ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def elements(array: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each element begins and ends, and its text; elements that are NULL are left out."""
    for found in ELEMENT.finditer(array):
        if found[0] != "NULL":
            yield *found.span(), found[2] or ESCAPED.sub(r"\1", found[1])


def as_element(text: str) -> str:
    """Return a text as an element is written."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

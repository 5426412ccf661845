"""Values inside of JSON: where they stand, by path, and how some of them are replaced.

A path is a JSONPath of RFC 9535 with names and wildcards: $.contact.email, $.tags[*], $['odd name'].

Written by hand because a document has to stay as it is around what changes: a parser would lose the order and
the repetition of keys, and digits of long numbers.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

Content = TypeVar("Content")
Steps = tuple[str | None, ...]
"""The names on the way to a value; None stands for every element or member (*)."""

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
STEP = re.compile(
    r"""\.(?P<name>[^\W\d]\w*)|\.\*|\[\*\]|\[(?P<quote>['"])(?P<quoted>(?:[^\\]|\\.)*?)(?P=quote)\]"""
)
PLAIN = re.compile(r"[^\W\d]\w*")
REMEMBERED = 1 << 14
"""Paths whose rule is remembered; keys can be as many as rows."""


@dataclass(frozen=True)
class Value:
    """A value in the text of a document: its path, its place, and whether it is an object or array."""

    steps: Steps
    start: int
    end: int
    is_whole: bool


def values(text: str) -> Iterator[Value]:
    """Yield every value of a document, each object or array after what is in it."""
    steps: list[str | None] = []
    opened: list[tuple[int, bool]] = []
    is_key = False
    for token in TOKEN.finditer(text):
        sign = token[0]
        if sign in "{[":
            opened.append((token.start(), sign == "{"))
            steps.append(None)
            is_key = sign == "{"
        elif sign in "}]":
            steps.pop()
            is_key = False
            yield Value(tuple(steps), opened.pop()[0], token.end(), is_whole=True)
        elif sign == ",":
            is_key = opened[-1][1]
        elif sign == ":":
            is_key = False
        elif is_key:
            steps[-1] = read(sign)
        else:
            yield Value(tuple(steps), token.start(), token.end(), is_whole=False)


def read(token: str) -> str:
    """Return the text that a value other than an object or array stands for; a lone surrogate is lost."""
    if not token.startswith('"'):
        return token
    text: str = json.loads(token, strict=False)
    return text.encode(errors="replace").decode()


def written(text: str | None, token: str) -> str:
    """Return a text as the JSON that stands for token: a number stays one if it still looks like one."""
    if text is None:
        return "null"
    if not token.startswith('"'):
        try:
            json.loads(text)
        except ValueError:
            pass
        else:
            return text
    return json.dumps(text, ensure_ascii=False)


def replaced(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """Return a text with pieces of it replaced: (start, end, new). What lies in another piece is left out."""
    parts, place = [], 0
    for start, end, new in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if start >= place:
            parts += [text[place:start], new]
            place = end
    return "".join([*parts, text[place:]])


def steps_of(path: str) -> Steps | None:
    """Return the steps of a path; None when it is not one."""
    if not path.startswith("$"):
        return None
    steps: list[str | None] = []
    place = 1
    while place < len(path):
        step = STEP.match(path, place)
        if not step:
            return None
        quoted = None if step["quoted"] is None else re.sub(r"\\(.)", r"\1", step["quoted"])
        steps.append(step["name"] if quoted is None else quoted)
        place = step.end()
    return tuple(steps)


def path_of(steps: Steps) -> str:
    """Return the path of steps."""
    return "$" + "".join(map(_step, steps))


def _step(name: str | None) -> str:
    if name is None:
        return "[*]"
    if PLAIN.fullmatch(name):
        return f".{name}"
    quoted = re.sub(r"(['\\])", r"\\\1", name)
    return f"['{quoted}']"


class Paths(Generic[Content]):
    """What stands for a value, by its path: what is given for the path, or for one on the way to it."""

    def __init__(self, given: Mapping[str, Content]) -> None:
        """Take what stands for each path; all of them are paths."""
        self._given = {steps_of(path) or (): content for path, content in given.items()}
        self._ways = {steps[:length] for steps in self._given for length in range(len(steps) + 1)}
        self.at = lru_cache(REMEMBERED)(self._at)

    def _at(self, steps: Steps) -> tuple[Content, bool] | None:
        """Return what stands for a value, and whether for itself; None when nothing does.

        The nearest path counts, and of two paths the one that says the name.
        """
        ways: list[Steps] = [()]
        nearest = (self._given[()], not steps) if () in self._given else None
        for length, step in enumerate(steps, 1):
            longer = [(*way, last) for way in ways for last in dict.fromkeys((step, None))]
            ways = [way for way in longer if way in self._ways]
            if way := next((way for way in ways if way in self._given), None):
                nearest = self._given[way], length == len(steps)
        return nearest

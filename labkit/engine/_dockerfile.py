"""Reads a Dockerfile before its build: the images that it names, and what the engine would fetch for it.

A build without a network cuts off RUN alone. For ADD the engine itself fetches an address, also one that only
its own machine reaches. For FROM and COPY --from it pulls an image that it does not have. What could be read
in another way than here is refused. Source: Docker's "Dockerfile reference"; its classic builder's parser.
"""

import io
import json
import re
import shlex
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Self

from labkit.engine._errors import BuildFailed

if TYPE_CHECKING:
    from labkit.engine._engine import Engine

NAMES = ("Dockerfile", "dockerfile")  # the builder takes the second where the first is missing
COMMENT = re.compile(r"[ \t]*#")
ESCAPE = re.compile(r"\s*#\s*escape\s*=\s*[^\s\\]", re.IGNORECASE)
CONTINUED = re.compile(r"\\[ \t]*$")
HEREDOC = re.compile(r"(^|\s)\d*<<-?[^\s<]")
ODD_SPACE = re.compile(r"[^\S \t]")
"""What some parsers take for space and others do not."""

FLAG = re.compile(r"--(\w+)(?:=([^\"'\\]*))?")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
NOT_PLAIN = re.compile(r"://|^git@|[$\\\"']")
EMPTY = "scratch"


@dataclass(frozen=True)
class Dockerfile:
    """The images that a Dockerfile names, but for earlier stages and scratch.

    base is the one that the last stage begins with, "" when it begins with nothing; others are those that
    the stages before begin with, or from which files are copied.
    """

    base: str
    others: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a Dockerfile's text, with the defaults of the arguments before its first stage.

        :raises BuildFailed: when it adds an address, or could hide one, or an image's name.
        """
        # Whether an indented comment between continued lines is one depends on the builder's version.
        (base, named), (_, others) = (_read(text, indented_comments=yes) for yes in (True, False))
        return cls(base, tuple(dict.fromkeys(one for one in (*named, *others) if one not in {"", base})))

    @property
    def images(self) -> tuple[str, ...]:
        """All images that it names."""
        return (self.base, *self.others) if self.base else self.others


def check_dockerfile(engine: "Engine", context: bytes) -> Dockerfile:
    """Return the Dockerfile in a build's tar; refuse one by which the engine would fetch something.

    An image to start or copy from is scratch, an earlier stage, or an image that the engine has.

    :raises BuildFailed: when it adds an address, or could hide one; so does an image's ONBUILD.
    :raises ImageMissing: when the engine does not have an image that it names.
    """
    dockerfile = Dockerfile.read(_text(context))
    for name in dockerfile.images:
        triggers = Dockerfile.read("\n".join((f"FROM {EMPTY}", *engine.image(name).on_build)))
        for copied in triggers.images:
            engine.image(copied)
    return dockerfile


def _text(context: bytes) -> str:
    texts = dict[str, str]()
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        for member in archive.getmembers():
            name = member.name.removeprefix("./")
            if name in NAMES:
                if member.issym():
                    _refuse("a Dockerfile that is a file", "a link", "put the file itself in its place")
                file = archive.extractfile(member)
                texts[name] = file.read().decode(errors="replace").removeprefix("\ufeff") if file else ""
    return next((texts[name] for name in NAMES if name in texts), "")


def _read(text: str, *, indented_comments: bool) -> tuple[str, list[str]]:
    """Return the base of the last stage, and all images that are named."""
    reader = _Reader()
    for line in _joined_lines(text, indented_comments=indented_comments):
        words = line.split(maxsplit=1)
        while len(words) > 1 and words[0].upper() == "ONBUILD":  # what it says is done by the next build
            words = words[1].split(maxsplit=1)
        reader.read(words[0].upper(), words[1] if len(words) > 1 else "")
    return (reader.stages[-1] if reader.stages else ""), [*reader.stages, *reader.copied]


def _joined_lines(text: str, *, indented_comments: bool) -> Iterator[str]:
    """Yield each line with those that continue it; comments and empty lines may stand between them."""
    joined = ""
    for ended in text.split("\n"):
        line = ended.removesuffix("\r")
        if ESCAPE.match(line):
            _refuse("a Dockerfile with lines continued by \\", line.strip(), "take the escape directive out")
        if not line.strip(" \t"):
            continue
        if line.startswith("#") or (COMMENT.match(line) and (indented_comments or not joined)):
            continue
        if ODD_SPACE.search(line):
            _refuse("spaces and tabs between words", repr(line), "write plain spaces in this line")
        joined += CONTINUED.sub("", line) or " "  # an empty beginning is a beginning, too
        if not CONTINUED.search(line):
            yield joined
            joined = ""
    if joined.strip():
        yield joined


class _Reader:
    """Reads the instructions in their order.

    stages has the image that each stage began with, "" for nothing; copied those from which files are copied.
    """

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.copied: list[str] = []
        self._named: dict[str, str] = {}
        self._arguments: dict[str, str] = {}

    def read(self, word: str, rest: str) -> None:
        """Read one instruction, its word in capitals."""
        if word == "ARG" and not self.stages:
            self._declare(rest)
        elif word == "FROM":
            self._begin(*_split(rest))
        elif word in {"ADD", "COPY"}:
            self._add(word, *_split(rest))
        if word in {"RUN", "ADD", "COPY"} and HEREDOC.search(rest):
            _refuse(
                "instructions without heredocs, which the engine's builder does not know", rest, "use a file"
            )

    def _declare(self, rest: str) -> None:
        with suppress(ValueError):  # a quote without its end is the builder's to refuse
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                self._arguments[name] = self._filled(value)

    def _begin(self, flags: dict[str, str], words: list[str]) -> None:
        if "platform" in flags:
            _refuse("FROM without --platform, which may pull an image", "--platform", "take --platform out")
        image = self._filled(words[0] if words else "")
        if image != EMPTY:
            _check_name(image)
        self.stages.append("" if image == EMPTY else self._named.get(image.lower(), image))
        if len(words) > 1:
            self._named[words[-1].lower()] = self.stages[-1]

    def _add(self, word: str, flags: dict[str, str], words: list[str]) -> None:
        for value in words if word == "ADD" else ():
            if NOT_PLAIN.search(value):
                expected = "ADD of files beside the Dockerfile, because a build has no network"
                _refuse(expected, f"ADD {value}", "put the file beside the Dockerfile, and write COPY")
        source = flags.get("from")
        if source is not None and not self._is_stage(source):
            _check_name(source)
            self.copied.append(source)

    def _is_stage(self, name: str) -> bool:
        is_number = name.isascii() and name.isdigit() and int(name) < len(self.stages)
        return is_number or name.lower() in self._named

    def _filled(self, text: str) -> str:
        """Return a text with the values of the ARGs before the first FROM in it."""
        return VARIABLE.sub(lambda name: self._arguments.get(name[1] or name[2], ""), text)


def _split(rest: str) -> tuple[dict[str, str], list[str]]:
    """Return the flags of an instruction, and its words after them."""
    flags = dict[str, str]()
    words = rest.split()
    while words and words[0].startswith("--"):
        flag = FLAG.fullmatch(words[0])
        if flag is None:
            _refuse("flags without quotes and escapes, such as --from=build", words[0], "write it so")
        flags[flag[1]] = flag[2] or ""
        words.pop(0)
    with suppress(ValueError):
        values = json.loads(" ".join(words))
        if isinstance(values, list):  # the other way to write the words of ADD and COPY
            return flags, [str(value) for value in values]
    return flags, words


def _check_name(image: str) -> None:
    if not re.fullmatch(r"[\w.:/@-]+", image, re.ASCII):
        _refuse("the name of an image that the engine has", image or "none", "write the image's name there")


def _refuse(expected: str, seen: str, next_step: str) -> NoReturn:
    raise BuildFailed(expected, seen, next_step)

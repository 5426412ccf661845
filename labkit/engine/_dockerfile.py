"""Reads a Dockerfile before its build, because the engine fetches for some instructions what they name.

A build without a network cuts off RUN alone. For ADD the engine itself fetches an address, also one that only
its own machine reaches. For FROM and COPY --from it pulls an image that it does not have. What could be read
in another way than here is refused. Source: Docker's "Dockerfile reference"; its classic builder's parser.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from labkit.engine._errors import BuildFailed

if TYPE_CHECKING:
    from labkit.engine._engine import Engine

NAMES = ("Dockerfile", "dockerfile")  # the builder takes the second where the first is missing
ESCAPE = re.compile(r"\s*#\s*escape\s*=\s*[^\s\\]", re.IGNORECASE)
FLAG = re.compile(r"--(\w+)(?:=([^\"'\\]*))?")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
NOT_PLAIN = re.compile(r"://|[$\\\"']")
EMPTY = "scratch"


def check_dockerfile(engine: "Engine", context: bytes) -> None:
    """Refuse a Dockerfile by which the engine would fetch something.

    An image to start or copy from is scratch, an earlier stage, or an image that the engine has.

    :raises BuildFailed: when it adds an address, or could hide one.
    :raises ImageMissing: when the engine does not have an image that it names.
    """
    for text in _read(context):
        stages: list[str] = []
        arguments: dict[str, str] = {}
        for word, rest in _instructions(text):
            _check(engine, word, rest, stages, arguments)


def _check(engine: "Engine", word: str, rest: str, stages: list[str], arguments: dict[str, str]) -> None:
    """Check an instruction; add what it declares to the names of stages, or to the ARGs before them."""
    flags, values = _split(rest) if word in {"FROM", "ADD", "COPY"} else ({}, [])
    if word == "ARG" and not stages:
        name, _, value = rest.partition("=")
        arguments[name.strip()] = _filled(value.strip().strip("\"'"), arguments)
    elif word == "FROM":
        if "platform" in flags:
            _refuse("FROM without --platform, which may pull an image", "--platform", "take --platform out")
        image = _filled(values[0] if values else "", arguments)
        if image != EMPTY and image.lower() not in filter(None, stages):
            _check_image(engine, image)
        stages.append(values[-1].lower() if len(values) > 1 else "")
    elif word == "ADD":
        _check_sources(values)
    elif "from" in flags and not _is_stage(flags["from"], stages):
        _check_image(engine, flags["from"])


def _read(context: bytes) -> Iterator[str]:
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        for member in archive.getmembers():
            if member.name.removeprefix("./") in NAMES:
                if member.issym():
                    _refuse("a Dockerfile that is a file", "a link", "put the file itself in its place")
                file = archive.extractfile(member)
                yield file.read().decode(errors="replace").removeprefix("\ufeff") if file else ""


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction in capitals with the rest of its line; an ONBUILD's counts as any other."""
    for line in _joined_lines(text):
        words = line.split(maxsplit=1)
        while len(words) > 1 and words[0].upper() == "ONBUILD":
            words = words[1].split(maxsplit=1)
        yield words[0].upper(), words[1] if len(words) > 1 else ""


def _joined_lines(text: str) -> Iterator[str]:
    """Yield each line with those that continue it; comments and empty lines may stand between them."""
    joined = ""
    for line in text.split("\n"):
        if ESCAPE.match(line):
            _refuse("a Dockerfile with lines continued by \\", line.strip(), "take the escape directive out")
        if line.lstrip().startswith("#") or not line.strip():
            continue
        joined += line.rstrip()
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        yield joined
        joined = ""
    if joined.strip():
        yield joined


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


def _filled(text: str, arguments: dict[str, str]) -> str:
    """Return a text with the values of the ARGs before the first FROM in it."""
    return VARIABLE.sub(lambda name: arguments.get(name[1] or name[2], ""), text)


def _is_stage(name: str, stages: list[str]) -> bool:
    is_number = name.isascii() and name.isdigit() and int(name) < len(stages)
    return is_number or name.lower() in filter(None, stages)


def _check_image(engine: "Engine", image: str) -> None:
    if not image or "$" in image:
        _refuse("the name of an image that the engine has", image or "none", "write the image's name there")
    engine.image(image)


def _check_sources(values: list[str]) -> None:
    for value in values:
        if NOT_PLAIN.search(value):
            expected = "ADD of files beside the Dockerfile, because a build has no network"
            _refuse(expected, f"ADD {value}", "put the file beside the Dockerfile, and write COPY")


def _refuse(expected: str, seen: str, next_step: str) -> NoReturn:
    raise BuildFailed(expected, seen, next_step)

"""The parts that a system is made of."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import PurePosixPath
from typing import Any, Self

STAGES = ("development", "integration", "staging", "production")
"""The kinds of environment, in the order in which a change meets them."""

TYPES = ("int", "float", "str", "bool", "duration")
MODES = ("read-only", "read-write")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
GRACE_S = 10.0
"""How long an instance may take to end when it is asked to, in seconds; system.toml may say otherwise."""


@dataclass(frozen=True)
class Limits:
    """The most that a container may use: bytes of memory, processes with their threads, processors.

    None means labkit's own value (labkit/engine/_limits.py).
    """

    memory_bytes: int | None = None
    pids: int | None = None
    cpus: float | None = None

    def over(self, default: Self) -> Self:
        """Return these limits, with the default's value for each that is None."""
        own = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(default, **own)


@dataclass(frozen=True)
class Service:
    """One service: its folder relative to the system's, its port, whom it calls, its number of instances.

    instances maps a stage to that number. ready is the path that answers with 200 while it serves. limits are
    those of each instance. grace_s is how many seconds lie between SIGTERM and SIGKILL. depends_on names what
    has to be ready before an instance starts.
    """

    name: str
    path: PurePosixPath
    port: int
    calls: tuple[str, ...]
    instances: Mapping[str, int]
    ready: str = "/readyz"
    limits: Limits = Limits()
    grace_s: float = GRACE_S
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Database:
    """The database: the service that owns it, its name, the folder of its migrations (applied by name)."""

    service: str
    name: str
    migrations: PurePosixPath


@dataclass(frozen=True)
class Container:
    """Further infrastructure of which labkit knows only this: a Redis, a broker, a second database.

    One of image and path is given, an image's name or the folder with its Dockerfile; the other is "".
    command is "" for the image's own. port is the one inside, 0 for none. ready is a path that answers
    with 200, or a command that succeeds in the container; "" means that it is ready when it listens at its
    port. variables are its environment variables. limits are its own. depends_on names what has to be ready
    before it starts.
    """

    name: str
    image: str
    path: str
    command: str
    port: int
    ready: str
    variables: Mapping[str, str]
    limits: Limits = Limits()
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class External:
    """An external service: it belongs to somebody else.

    stub maps "METHOD /path" to an answer, or to a list of them; labkit.service.stub gives these answers.
    recording is the file with what the real one answered, None when there is none; its answers stand in stub
    too, except where the same key is written by hand. provider is the folder of the service that stands for
    the real one, None when there is none. real holds the stages in which the real one is called; for a
    read-write service that is production alone.
    """

    name: str
    mode: str
    port: int
    stub: Mapping[str, Any] = field(default_factory=dict)
    recording: PurePosixPath | None = None
    provider: PurePosixPath | None = None
    real: tuple[str, ...] = ("production",)


@dataclass(frozen=True)
class Parameter:
    """A configuration parameter: its type (one of int, float, str, bool, duration) and its values.

    default is None when every stage has to give a value; values maps a stage to its own.
    """

    name: str
    type: str
    default: Any
    values: Mapping[str, Any]

    @property
    def variable(self) -> str:
        """Return the name of the environment variable that carries the value."""
        return self.name.upper().replace("-", "_")

    @property
    def expected(self) -> str:
        """What an error says about its values."""
        return f"a value of type {self.type}{', which is not empty' if self.type == 'str' else ''}"

    def text(self, value: object) -> str | None:
        """Return a value as the environment variable's text, None when it is not of the parameter's type.

        A text is read as a value where that is possible, because overrides come from command lines too.
        A duration is a number with a unit ("250ms", "2s", "1m", "1h") and becomes a number of seconds.
        """
        if isinstance(value, bool):
            return str(value).lower() if self.type == "bool" else None
        if isinstance(value, int | float) and math.isfinite(value):
            fits = self.type == "float" or (self.type == "int" and isinstance(value, int))
            return str(value) if fits else None
        return _from_text(self.type, value) if isinstance(value, str) else None


@dataclass(frozen=True)
class Toggle:
    """A feature toggle: the team that owns it and the day by which it is to be removed."""

    name: str
    owner: str
    remove_by: date


def _from_text(kind: str, text: str) -> str | None:
    patterns = {"int": r"-?\d+", "float": r"-?\d+(\.\d+)?", "bool": "true|false", "str": r"[^\0]+"}
    if kind in patterns:
        return text if re.fullmatch(patterns[kind], text) else None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)", text)
    return f"{float(parts[1]) * SECONDS[parts[2]]:g}" if parts else None

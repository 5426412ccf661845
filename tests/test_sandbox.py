"""The sandbox: learners' code runs there, whatever it does, and nothing of it is left."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import docker.errors
import pytest
from hostile import HOSTILE, PRELUDE, Hostile

from labkit.engine import Engine, ImageMissing
from labkit.errors import LabError
from labkit.grading._codec import Function, Opaque, Record
from labkit.grading._limits import MIB
from labkit.grading._sandbox import Child, Ended, Limits, Raised, Reference, Sandbox

pytestmark = pytest.mark.engine

SHORT = Limits(call_s=2, memory_bytes=512 * MIB, container_bytes=512 * MIB, processor_s=20)
"""Smaller than the grader's own, so that what runs into a limit does so soon."""

NEIGHBOUR = f"""{PRELUDE}
me = os.getuid()
found = sorted(os.listdir())
others = sorted(pid for pid in os.listdir('/proc') if pid.isdecimal() and int(pid) not in (1, os.getpid(), os.getppid()))
home = os.environ['HOME']
"""


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Return the engine of all tests here."""
    return Engine.find()


@pytest.fixture(scope="module")
def shared(engine: Engine) -> Iterator[Sandbox]:
    """Yield a sandbox whose submissions share a container."""
    with Sandbox(engine, fresh=False, limits=SHORT) as sandbox:
        yield sandbox


def container_of(sandbox: Sandbox) -> str | None:
    """Return the number of a sandbox's container, None when it has none."""
    return sandbox._container.id if sandbox._container else None


def is_there(engine: Engine, container: str) -> bool:
    """Return whether the engine has a container."""
    try:
        engine.client.api.inspect_container(container)
    except docker.errors.NotFound:
        return False
    return True


def outcome(child: Child) -> tuple[str, str]:
    """Return what came of double(3), and the words of an error."""
    try:
        value = child.call("double", (3,))
    except Ended as problem:
        return "ended", str(problem)
    except Raised as problem:
        return "raised", str(problem)
    return ("right" if value == 6 else "wrong"), repr(value)


def assert_neighbour_is_whole(sandbox: Sandbox) -> None:
    """A good submission is graded as if it were the first: no file, process or answer of another."""
    with sandbox.submission() as child:
        assert child.run(NEIGHBOUR) == ""
        assert outcome(child)[0] == "right"
        assert child.get("found") == []
        assert child.get("others") == []
        assert child.call("double", (21,)) == 42


@pytest.mark.parametrize("entry", HOSTILE, ids=lambda entry: entry.name)
def test_a_hostile_submission_gets_what_it_deserves_and_leaves_nothing(
    shared: Sandbox, entry: Hostile
) -> None:
    """Its outcome is as intended, its attempts fail, and the next submission finds nothing of it."""
    with shared.submission() as child:
        before = container_of(shared)
        with suppress(Ended):
            child.run(PRELUDE)
            child.run(entry.source)
        seen, words = outcome(child)
        assert seen in entry.outcome, words
        assert entry.reason in words
        if entry.got is not None:
            assert child.get("got") == entry.got
    if entry.kept:
        assert container_of(shared) == before
    assert_neighbour_is_whole(shared)

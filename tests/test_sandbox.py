"""The sandbox: learners' code runs there, whatever it does, and nothing of it is left."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import docker.errors
import pytest
from hostile import HOSTILE, PRELUDE, Hostile

from labkit.engine import GRADER, Engine
from labkit.errors import LabError
from labkit.grading._limits import MIB
from labkit.grading._sandbox import (
    Child,
    Ended,
    Function,
    Limits,
    Opaque,
    Raised,
    Record,
    Reference,
    Sandbox,
)

pytestmark = pytest.mark.engine

SHORT = Limits(call_s=2, memory_bytes=512 * MIB, container_bytes=512 * MIB, processor_s=20)
"""Smaller than the grader's own, so that what runs into a limit does so soon."""

NEIGHBOUR = f"""{PRELUDE}
me = os.getuid()
found = sorted(os.listdir())
mine = (1, os.getpid(), os.getppid())
others = sorted(pid for pid in os.listdir('/proc') if pid.isdecimal() and int(pid) not in mine)
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
    """Grade a good submission as if it were the first: no file, process or answer of another is there."""
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


def test_a_submission_cannot_read_the_one_before_in_its_own_memory(shared: Sandbox) -> None:
    """No process that a later child comes from has ever held a byte of an earlier submission."""
    secret = "answer-" + "of-my-neighbour"
    with shared.submission() as child:
        child.run(f"mine = {secret!r} * 100")
        assert (
            child.call("mine.upper" if False else "str", ()) if False else child.get("mine") == secret * 100
        )
    with shared.submission() as child:
        child.run(SCAN)
        child.hand({"halves": ["answer-", "of-my-neighbour"]})
        assert child.call("scan") == 0
        child.run("mine = ''.join(halves)")
        assert child.call("scan") > 0
    assert_neighbour_is_whole(shared)


SCAN = """
import ctypes, re
def scan():
    libc, found = ctypes.CDLL(None), 0
    ranges = [line.split()[:2] for line in open('/proc/self/maps')]
    for place, rights in ranges:
        first, last = (int(end, 16) for end in place.split('-'))
        if 'rw' in rights and last - first < 1 << 28:
            found += ctypes.string_at(first, last - first).count(''.join(halves).encode())
    return found
"""


def test_cells_share_a_namespace_and_errors_are_told(shared: Sandbox) -> None:
    """A cell's error is a text, the next cell runs; magics, shell commands and top-level await work."""
    with shared.submission() as child:
        assert child.run("x = 1\nimport statistics") == ""
        assert child.run("y = z") == "NameError: name 'z' is not defined"
        assert child.run("x +").startswith("SyntaxError: ")
        assert child.run("'" + "x" * MIB + "'") == f"more than {MIB} bytes"
        assert child.run("raise ValueError('long' * 1000)") == ("ValueError: " + "long" * 1000)[:500]
        assert child.run("import asyncio\nawait asyncio.sleep(0)\nout = !echo {x + 1}\n%time x += 1") == ""
        assert (child.get("x"), child.get("out")) == (2, ["2"])
        with pytest.raises(KeyError):
            child.get("y")


def test_values_and_functions_are_got_by_name(shared: Sandbox) -> None:
    """Data is data, what can be called is a Function, and anything else is an Opaque."""
    source = """
from dataclasses import dataclass
from decimal import Decimal
import numpy
@dataclass
class Cart:
    lines: list
class Thing: pass
data = {"a": (1, {2}), 3: Decimal("1.50")}
cart, thing, mean, count = Cart([1]), Thing(), numpy.mean([1, 2]), numpy.int64(7)
def total(cart, percent=0): return sum(cart.lines) * (100 - percent) // 100
"""
    with shared.submission() as child:
        assert child.run(source) == ""
        assert child.get("data") == {"a": (1, {2}), 3: Decimal("1.50")}
        assert child.get("cart") == Record("Cart", {"lines": [1]})
        assert isinstance(child.get("thing"), Opaque)
        assert (child.get("mean"), child.get("count")) == (1.5, 7)
        assert child.get("total") == Function("total")
        assert child.get("Thing") == Function("Thing")
        assert child.call("total", [Cart([100, 50])], {"percent": 10}) == 135
        assert child.call("total", [child.get("cart")]) == 1
        with pytest.raises(Raised, match="AttributeError: ") as caught:
            child.call("total", [[1]])
        assert caught.value.kind == "AttributeError"
        with pytest.raises(Raised, match="KeyError: 'nobody'"):
            child.call("nobody")
        with pytest.raises(TypeError, match="no data: hand a Reference over"):
            child.call("total", [object()])
        assert child.call("total", [Cart([1])]) == 1


@dataclass
class Cart:
    """A dataclass of the trusted side."""

    lines: list[int]


def test_what_is_no_data_is_handed_over_as_a_reference_that_asks(shared: Sandbox) -> None:
    """Its attributes and calls come to the grader, which answers with data, references, or not at all."""
    source = """
def drain(fleet):
    names = []
    with fleet.upgrade(by=1) as upgrade:
        for server in fleet.servers():
            names.append((server.name, upgrade.drain(server, when=[proposed])))
    return names
def forbidden(fleet): return fleet.engine()
def private(fleet): return fleet._secret
def failing(fleet):
    try: fleet.servers(1)
    except ValueError as problem: return str(problem)
def same(fleet): return [fleet, 1]
"""
    fleet, servers = Reference("fleet"), [Reference(name, {"name": name}) for name in ("a", "b")]
    asked: list[tuple[Any, ...]] = []
    places = {"fleet.servers": "servers", "fleet.upgrade": "upgrade", "upgrading.drain": "drain"}
    things = {place: Reference(name) for place, name in places.items()}

    def answer(identity: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        asked.append((identity, method, args, kwargs))
        if args == (1,):
            raise Raised("ValueError", "no number")
        if method == "__getattr__":
            return things[f"{identity}.{args[0]}"]
        if method == "__call__":
            return {"servers": servers, "upgrade": Reference("upgrading"), "drain": 1.5}[identity]
        return {"__enter__": Reference("upgrading"), "__exit__": None}[method]

    with shared.submission() as child:
        assert child.run(source) == ""
        child.hand({"proposed": "text", "fleet": fleet})
        assert child.get("proposed") == "text"
        assert child.call("drain", [fleet], answer=answer) == [("a", 1.5), ("b", 1.5)]
        assert asked[0] == ("fleet", "__getattr__", ("upgrade",), {})
        calls = [(one[0], *one[2:]) for one in asked if one[1] == "__call__"]
        assert calls[:2] == [("upgrade", (), {"by": 1}), ("servers", (), {})]
        assert calls[2] == ("drain", (servers[0],), {"when": ["text"]})
        assert [one[1] for one in (*asked[2:3], asked[-1])] == ["__enter__", "__exit__"]
        for name in ("forbidden", "private"):
            with pytest.raises(Raised, match="AttributeError"):
                child.call(name, [fleet], answer=answer)
        with pytest.raises(Raised, match="AttributeError"):
            child.call("drain", [fleet])
        assert child.call("failing", [fleet], answer=answer) == "no number"
        assert child.call("same", [fleet]) == [fleet, 1]
        assert child.run("found = fleet.servers()[0].name", answer=answer) == ""
        assert child.get("found") == "a"


def test_questions_have_an_end(shared: Sandbox) -> None:
    """Code that asks for ever is ended."""
    with shared.submission() as child:
        child.run("def loop(fleet):\n    while True: fleet()")
        with pytest.raises(Ended, match=r"asked more than 10000 questions|took longer"):
            child.call("loop", [Reference("fleet")], answer=lambda *_: 1)


def test_a_fault_of_the_graders_own_answer_is_not_the_learners(shared: Sandbox) -> None:
    """What goes wrong while a question is answered comes out as it is, and the child is used no more."""

    def answer(*_: object) -> object:
        raise LabError("a", "b", "c")

    with shared.submission() as child:
        child.run("def f(it): return it()")
        with pytest.raises(LabError):
            child.call("f", [Reference("it")], answer=answer)
        with pytest.raises(Ended, match="in the middle of a question"):
            child.get("f")
    assert_neighbour_is_whole(shared)


def test_the_graders_own_time_does_not_count(shared: Sandbox) -> None:
    """A call may take longer than its limit where the grader takes the time to answer."""

    def slowly(*_: object) -> int:
        time.sleep(1.2)
        return 1

    with shared.submission() as child:
        child.run("def f(it): return it() + it()")
        assert child.call("f", [Reference("it")], answer=slowly) == 2


def test_an_ended_child_stays_ended_and_a_new_one_goes_on(shared: Sandbox) -> None:
    """Each verb says again why; the next submission has a user and a home of its own."""
    with shared.submission() as child:
        child.run(NEIGHBOUR + "\ndef stop(): os._exit(0)")
        first = (child.get("me"), child.get("home"))
        for verb in (
            lambda: child.call("stop"),
            lambda: child.get("me"),
            lambda: child.run("1"),
            lambda: child.hand({}),
        ):
            with pytest.raises(Ended, match="its process ended"):
                verb()
    with shared.submission() as child:
        child.run(NEIGHBOUR)
        assert child.get("me") != first[0]
        assert child.get("home") != first[1]


def test_one_submission_at_a_time(shared: Sandbox) -> None:
    """A second one in the same sandbox is refused, and the first is not harmed."""
    with shared.submission() as child:
        with pytest.raises(RuntimeError, match="one submission at a time"), shared.submission():
            pass
        assert child.run("1") == ""


def test_fresh_containers_differ_and_none_is_left(engine: Engine) -> None:
    """Each submission has a container of its own, which is gone afterwards, whatever happened in it."""
    seen = []
    with Sandbox(engine, limits=SHORT) as sandbox:
        for source in ("x = 1", "os._exit(0)"):
            with suppress(Ended), sandbox.submission() as child:
                seen.append(container_of(sandbox))
                child.run(PRELUDE)
                child.run(source)
        with pytest.raises(ZeroDivisionError), sandbox.submission():
            seen.append(container_of(sandbox))
            raise ZeroDivisionError
    assert len({*seen}) == 3
    assert [one for one in seen if one and is_there(engine, one)] == []


def test_a_lost_container_is_our_fault_and_the_next_submission_goes_on(engine: Engine) -> None:
    """When somebody kills the container, that is an error of the grader, and never an Ended."""
    with Sandbox(engine, fresh=False, limits=SHORT) as sandbox:
        with sandbox.submission() as child:
            child.run(PRELUDE)
            first = container_of(sandbox)
            engine.client.api.kill(first)
            with pytest.raises(LabError, match="the grader's container answers"):
                child.call("double", (3,))
            with pytest.raises(Ended, match="lost"):
                child.get("double")
        assert_neighbour_is_whole(sandbox)
        second = container_of(sandbox)
    assert first
    assert second
    assert first != second
    assert not is_there(engine, first)
    assert not is_there(engine, second)


def test_the_container_is_locked(engine: Engine, shared: Sandbox) -> None:
    """The engine confirms what it was asked for: no network, nothing to write on, four rights, and limits."""
    with shared.submission():
        host = engine.client.api.inspect_container(container_of(shared))["HostConfig"]
    assert (host["NetworkMode"], host["IpcMode"], host["ReadonlyRootfs"]) == ("none", "none", True)
    rights = {name.removeprefix("CAP_") for name in host["CapAdd"]}
    assert (host["CapDrop"], rights) == (["ALL"], {"CHOWN", "KILL", "SETGID", "SETUID"})
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (512 * MIB, 512 * MIB, 160)
    assert (host["Binds"], host["Privileged"], host["LogConfig"]["Type"]) == (None, False, "none")


def test_nothing_is_left_when_the_grader_is_killed(engine: Engine) -> None:
    """After kill -9 of the grader's process, its container ends by itself and is removed."""
    source = """
import sys
from labkit.engine import Engine
from labkit.grading._sandbox import Sandbox
with Sandbox(Engine.find()) as sandbox, sandbox.submission() as child:
    child.run("import subprocess; subprocess.Popen(['sleep', '1000'])")
    print(sandbox._container.id, flush=True)
    child.run("while True: pass")
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, encoding="utf-8") as grader:
        assert grader.stdout
        container = grader.stdout.readline().strip()
        assert is_there(engine, container)
        grader.kill()
    deadline = time.monotonic() + 60
    while is_there(engine, container) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not is_there(engine, container)


def test_the_image_is_small_and_has_no_check(engine: Engine) -> None:
    """It has at most 400 MB, and of labkit only what learners' code may use."""
    assert engine.image(GRADER).size_bytes < 400e6
    files = engine.export(GRADER, ["/usr/lib/python3/dist-packages/labkit"])
    rooms = {path.split("/")[6] for path in files if "__pycache__" not in path}
    assert rooms == {"__init__.py", "errors.py", "experiment", "skew", "model", "grading"}
    grading = {path.split("/grading/")[1] for path in files if "/grading/" in path and path.endswith(".py")}
    assert {path.split("/")[0] for path in grading} == {"__init__.py", "_codec.py", "_values.py", "sandbox"}

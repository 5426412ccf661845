"""What goes wrong with environments, and that nothing is left of them afterwards."""

import gc
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from images import remove_images

from labkit._uninterruptible import Stopped
from labkit.artifacts import Kind, Subject
from labkit.containers import refusals
from labkit.engine import (
    CLAIM,
    Engine,
    ImageMissing,
    Label,
    NoEngine,
    Owner,
    build_service_image,
    one_builder,
)
from labkit.engine._locate import locate
from labkit.environment import Environment, EnvironmentStatus, NotReady, _record
from labkit.environment._create import Creation
from labkit.environment._plan import Plan
from labkit.errors import LabError
from labkit.system import System
from labkit.workspace import Workspace, course

engine_test = pytest.mark.engine

TINY = """\
name = "tiny"
[services.lonely]
path = "lonely"
port = 8001
[config.patience]
type = "int"
default = 3
[config.colour]
type = "str"
integration = "blue"
production = "blue"
"""

DOCKERFILE = """\
FROM labkit/python:1
COPY service.py /app/
WORKDIR /app
CMD ["python3", "-m", "labkit.service", "service:app"]
"""

READY = """\
from labkit.service import application
app = application([])
"""

NEVER = """\
import logging
from labkit.service import application
async def moon():
    logging.getLogger("labkit.service").warning("still waiting for the moon")
    raise RuntimeError("the moon is not up")
app = application([], checks=[moon])
"""

CREATE = """\
import sys, time
from labkit import Environment, Workspace
from labkit.engine import Owner
from labkit.system import System
root, system, owned = sys.argv[1:]
workspace = Workspace.open(root)
owner = Owner.workspace(workspace.id) if owned == "workspace" else None
say = lambda words: print(words, flush=True)
say("begin")
with Environment.create(System.load(system), "integration", workspace=workspace, owner=owner, progress=say):
    say("in use")
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Give the engine, and leave it without the images of these tests."""
    engine = Engine.find()
    yield engine
    remove_images(engine, "labkit/tiny-lonely")
    engine.client.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Give a workspace of its own."""
    made = Workspace.create(tmp_path / "workspace")
    yield made
    made.artifacts.close()


@pytest.fixture
def tiny(tmp_path: Path) -> System:
    """Return a system of one service, so that an environment of it has two containers."""
    return make_system(tmp_path / "tiny", READY)


def make_system(root: Path, service: str) -> System:
    """Write a system with one service and load it."""
    (root / "lonely").mkdir(parents=True)
    (root / "system.toml").write_text(TINY)
    (root / "lonely" / "Dockerfile").write_text(DOCKERFILE)
    (root / "lonely" / "service.py").write_text(service)
    return System.load(root)


def left(engine: Engine, workspace: Workspace) -> list[str]:
    """Return the names of what is in the engine of a workspace."""
    return [thing.name for thing in engine.owned({Label.WORKSPACE: workspace.id})]


def soon(nothing: Callable[[], list[str]], seconds: float = 30) -> list[str]:
    """Return what is left once nothing is, or at the end of the seconds."""
    end = time.monotonic() + seconds
    while (left := nothing()) and time.monotonic() < end:
        time.sleep(0.1)
    return left


# ---- a configuration that cannot work: no engine is asked ----


@pytest.mark.parametrize(
    ("stage", "config", "words"),
    [
        ("integration", {"patience": "long"}, "config.patience: a value of type int"),
        ("integration", {"patince": 3}, "a parameter of"),
        ("staging", {}, "config.colour: a value for staging"),
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_starts(
    tiny: System, stage: str, config: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong type, an unknown key and a missing value name the parameter; no engine is looked for."""
    monkeypatch.setattr(Engine, "find", lambda: pytest.fail("the engine was asked"))
    with pytest.raises(LabError, match=words):
        Environment.create(tiny, stage, config=config, workspace=Workspace(tiny.root, "0" * 12))


def test_a_read_write_service_is_never_real_outside_production(tmp_path: Path) -> None:
    """A payment provider that is real in staging is refused."""
    text = (course() / "labs" / "shop" / "system.toml").read_text()
    kept = text.replace("[external.payments]\n", '[external.payments]\nreal = ["staging", "production"]\n', 1)
    root = tmp_path / "shop"
    for folder in ("storefront", "cart", "catalog/migrations", "providers"):
        (root / folder).mkdir(parents=True)
    (root / "system.toml").write_text(kept)
    with pytest.raises(LabError, match="only production"):
        System.load(root)


def test_a_real_service_without_a_provider_is_refused(tmp_path: Path) -> None:
    """An external service that is real in a stage needs a provider; nothing real is called by accident."""
    (tmp_path / "lonely").mkdir()
    external = '[external.bank]\nmode = "read-only"\nport = 8101\nreal = ["integration"]\n'
    (tmp_path / "system.toml").write_text(TINY + external)
    with pytest.raises(LabError, match="a provider that stands for bank"):
        Plan.make(System.load(tmp_path), "integration", None, {}, "")


# ---- parts that fail ----


@engine_test
def test_a_service_that_never_gets_ready_is_named_with_its_last_words(
    tmp_path: Path, workspace: Workspace, engine: Engine
) -> None:
    """The error names the instance, the question, the last answer and the last log lines; nothing is left."""
    system = make_system(tmp_path / "never", NEVER)
    with pytest.raises(NotReady) as caught:
        Environment.create(system, "integration", workspace=workspace, ready_s=6)
    assert caught.value.expected == "lonely-1 answers GET /readyz with 200 within 6 s"
    assert "L7STS 503" in caught.value.seen
    assert "still waiting for the moon" in caught.value.seen
    assert "the service lonely" in caught.value.next_step
    assert left(engine, workspace) == []


@engine_test
def test_a_service_that_ends_again_and_again_is_told_with_its_exit_code(
    tmp_path: Path, workspace: Workspace, engine: Engine
) -> None:
    """It is started again until its time is over; the error says how often it ended, its last lines why."""
    system = make_system(tmp_path / "broken", "raise SystemExit('I cannot work without a moon')")
    with pytest.raises(NotReady, match=r"ended \d times, the last time with exit code 1;") as caught:
        Environment.create(system, "integration", workspace=workspace, ready_s=6)
    assert "I cannot work without a moon" in caught.value.seen
    assert left(engine, workspace) == []


@engine_test
def test_a_new_instance_that_is_not_ready_leaves_the_others_serving(
    tmp_path: Path, tiny: System, workspace: Workspace, engine: Engine
) -> None:
    """add_instance removes what it started; the balancer takes one that ended out again."""
    never = make_system(tmp_path / "never", NEVER)
    built = build_service_image(engine, never.root / "lonely", "labkit/tiny-lonely:never", {})
    with Environment.create(tiny, "integration", workspace=workspace) as made:
        with pytest.raises(NotReady, match="lonely-2 answers"):
            made.add_instance("lonely", built.ref, deadline_s=4)
        assert [(instance.name, instance.state) for instance in made.instances("lonely")] == [
            ("lonely-1", "UP")
        ]
        assert made.balancer.servers("lonely-checked") == {}
        (first,) = made.instances("lonely")
        second = made.add_instance("lonely", first.image)
        engine.client.containers.get(second.container).kill()
        with pytest.raises(NotReady, match="lonely-2 is ready within 1 s"):
            made.balancer.add(second, deadline_s=1)
        assert "lonely-2" not in made.balancer.servers("lonely")
        assert {instance.name: instance.state for instance in made.instances("lonely")} == {
            "lonely-1": "UP",
            "lonely-2": "exited",
        }


@engine_test
def test_a_missing_image_is_named_and_nothing_has_started(
    tiny: System, workspace: Workspace, engine: Engine
) -> None:
    """No registry is asked: the error names the image and the step that brings it."""
    started = engine.events({Label.WORKSPACE: workspace.id})
    with pytest.raises(ImageMissing, match="labkit/nobody:1"):
        Environment.create(tiny, "integration", images={"lonely": "labkit/nobody:1"}, workspace=workspace)
    started.close()
    assert list(started) == []
    assert left(engine, workspace) == []


@pytest.mark.parametrize(
    ("images", "words"), [({}, "none of lonely"), ({"lonely": "x:1", "cat": "y:1"}, "take cat out")]
)
@engine_test
def test_images_must_fit_the_services(
    tiny: System, workspace: Workspace, images: dict[str, str], words: str
) -> None:
    """A service without an image and an image without a service are refused."""
    with pytest.raises(LabError, match=words):
        Environment.create(tiny, "integration", images=images, workspace=workspace)


@engine_test
def test_a_migration_that_postgresql_refuses_is_named(
    tmp_path: Path, workspace: Workspace, engine: Engine
) -> None:
    """The error names the file and has PostgreSQL's own words."""
    system = make_system(tmp_path / "moving", READY)
    (system.root / "migrations").mkdir()
    (system.root / "migrations" / "001_moon.sql").write_text("CREATE TABEL moon ();")
    with (system.root / "system.toml").open("a") as file:
        file.write('[database]\nservice = "lonely"\nname = "moon"\nmigrations = "migrations"\n')
    with pytest.raises(LabError, match=r"001_moon.sql: syntax error at or near"):
        Environment.create(System.load(system.root), "integration", workspace=workspace)
    assert left(engine, workspace) == []


@engine_test
def test_a_taken_port_is_told_in_words(engine: Engine) -> None:
    """The engine's message about a port in use becomes an error with a next step."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made = engine.client.containers.create(
            "labkit/python:1", ["sleep", "9"], ports={"80/tcp": ("127.0.0.1", port)}
        )
        try:
            with pytest.raises(LabError, match="chooses other ports"), refusals(engine, "it starts"):
                made.start()
        finally:
            made.remove(force=True)


# ---- the engine dies ----


class Proxy:
    """A proxy in front of the engine's socket, which stops answering after a number of starts."""

    def __init__(self, path: Path, starts: int) -> None:
        self.path, self._starts = path, starts
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect("/var/run/docker.sock")
                self._open += [client, engine]
                threading.Thread(target=self._pass, args=(client, engine), daemon=True).start()
                threading.Thread(target=self._pass, args=(engine, client), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if b"/start HTTP" in data:
                    self._starts -= 1
                    if self._starts < 0:
                        self.cut()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Close everything, as an engine does that dies."""
        self.path.unlink(missing_ok=True)
        for end in (self._listener, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


# The engine's library leaves the socket open with which it could not connect.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@engine_test
@pytest.mark.parametrize("starts", [0, 1])
def test_an_engine_that_dies_in_mid_create_is_told_and_cleaned_up_later(
    starts: int, tiny: System, workspace: Workspace, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the engine and how to clean up what is left; once it is back, that leaves nothing."""
    if not engine.local:
        pytest.skip("the engine's socket is on another machine")
    image = build_service_image(engine, tiny.root / "lonely", "labkit/tiny-lonely:ready", {}).ref
    path = Path(f"/tmp/labkit-{os.getpid()}-{starts}.sock")  # noqa: S108 - a socket's path must be short
    proxy = Proxy(path, starts)
    owner = Owner.workspace(workspace.id)
    with monkeypatch.context() as patched:
        patched.setenv("DOCKER_HOST", f"unix://{path}")
        with pytest.raises(NoEngine) as caught:
            Environment.create(
                tiny, "integration", images={"lonely": image}, owner=owner, workspace=workspace
            )
    proxy.cut()
    (status,) = Environment.list(workspace)
    assert f"labkit environment clean-up {status.name}" in caught.value.next_step
    assert Environment.clean_up_all(workspace) == [status.name]
    assert left(engine, workspace) == []
    del caught
    gc.collect()  # so that the warnings of those sockets come now


# ---- the one who made it dies ----


def child(workspace: Workspace, system: System, owner: str) -> "subprocess.Popen[str]":
    """Start a process that creates an environment and uses it."""
    return subprocess.Popen(
        [sys.executable, "-c", CREATE, workspace.root, system.root, owner],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(words: str, process: "subprocess.Popen[str]") -> None:
    """Read what the process prints until it prints these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == words:
            return
    pytest.fail(f"the process ended before {words!r}: {process.communicate()[1]}")


MOMENTS = [
    ("begin", 0.0),
    ("network is ready", 0.4),
    ("balancer is ready", 0.0),
    ("in use", 0),
]


@engine_test
@pytest.mark.parametrize(("words", "later_s"), MOMENTS)
def test_ctrl_c_removes_everything_before_the_process_ends(
    words: str, later_s: float, tiny: System, workspace: Workspace, engine: Engine
) -> None:
    """Wherever Ctrl-C strikes, also twice, nothing is left once the process has ended by it."""
    process = child(workspace, tiny, "workspace")
    try:
        wait_for(words, process)
        time.sleep(later_s)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors
    assert process.returncode == -signal.SIGINT
    assert left(engine, workspace) == []


@engine_test
@pytest.mark.parametrize("owner", ["process", "workspace"])
def test_nothing_outlives_a_create_that_is_killed(
    owner: str, tiny: System, workspace: Workspace, engine: Engine
) -> None:
    """Kill -9 leaves nothing, also of what the workspace was to own: the reaper removes it."""
    process = child(workspace, tiny, owner)
    wait_for("network is ready", process)
    time.sleep(random.uniform(0, 0.3))  # noqa: S311 - a moment, not a secret
    process.kill()
    process.communicate()
    assert soon(lambda: left(engine, workspace)) == []


@engine_test
def test_each_workspace_sweeps_only_its_own(
    tiny: System, workspace: Workspace, tmp_path: Path, engine: Engine
) -> None:
    """What a dead owner left or claimed in this workspace goes with the next create; another's stays."""
    other = Workspace.create(tmp_path / "other")
    dead = dead_owner()
    for place in (workspace, other):
        leave(engine, place, dead)
    half_made = leave(engine, workspace, str(Owner.workspace(workspace.id)), "tiny-production-123456")
    engine.client.volumes.create(labels={**half_made.labels, Label.OWNER: dead, Label.ROLE: CLAIM})
    assert [(one.name, one.complete, one.owner) for one in Environment.list(workspace)] == [
        ("left-behind", True, dead),
        ("tiny-production-123456", False, dead),
    ]
    with Environment.create(
        tiny, "development", module="lonely", config={"colour": "red"}, workspace=workspace
    ) as made:
        assert {status.name for status in Environment.list(workspace)} == {made.name}
        assert [status.owner_alive for status in Environment.list(other)] == [False]
    assert Environment.clean_up_all(other) == ["left-behind"]
    assert left(engine, other) == []
    other.artifacts.close()


def dead_owner() -> str:
    """Return the label of a process that has ended."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    _, machine, namespace, _, _ = str(Owner.process()).split(":")
    dead = f"process:{machine}:{namespace}:{gone.pid}:1"
    assert not Owner.parse(dead).alive()
    return dead


def leave(engine: Engine, workspace: Workspace, owner: str, name: str = "left-behind") -> Any:
    """Leave a container in the engine, as an owner does that died together with its reaper."""
    labels = {Label.WORKSPACE: workspace.id, Label.ENVIRONMENT: name, Label.OWNER: owner}
    texts = {str(name): value for name, value in labels.items()}
    return engine.client.containers.run("labkit/servers:1", ["sleep", "300"], detach=True, labels=texts)


@pytest.mark.parametrize(
    ("last", "whole", "ended"),
    [
        ("", [], 1),  # killed before it handed over
        ("", ["moon"], 0),  # killed after it, and before it recorded that
        ("workspace:a", [], 0),  # in another engine, perhaps
        ("dead", [], 1),  # killed while it cleaned up
    ],
)
def test_an_environment_that_was_handed_over_has_not_ended_with_its_maker(
    workspace: Workspace, tiny: System, last: str, whole: list[str], ended: int
) -> None:
    """The last owner on record counts, and what is there and whole has not ended."""
    dead = Owner.parse(dead_owner())
    plan = replace(Plan.make(tiny, "production", None, {}, ""), name="moon")
    _record.created(workspace, plan, dead, [], {})
    record = workspace.artifacts.record  # a deployment is a use that is told in other words
    record(Kind.ENVIRONMENT_USED, Subject("cart", ""), environment="moon", deployment="began")
    if last:
        _record.handed_over(workspace, plan, Owner.workspace("a"))
        _record.handed_over(workspace, plan, dead if last == "dead" else Owner.parse(last))
    _record.lost(workspace, whole)
    assert len(workspace.artifacts.history(kind=Kind.ENVIRONMENT_DELETED)) == ended


def test_a_second_production_is_refused_and_half_made_ones_are_told_apart(
    workspace: Workspace, tiny: System
) -> None:
    """One that is whole is upgraded or cleaned up; one that is being made is waited for."""
    plan = Plan.make(tiny, "production", None, {}, "")
    creation = Creation(Engine(locate()), tiny, plan, workspace, None, 1, print)
    whole = EnvironmentStatus("moon-production-1", "production", "workspace:a", datetime.now(UTC), 3)
    with pytest.raises(LabError, match=r"is alive[\s\S]*upgrade it"):
        creation._refuse_second_production([whole])
    half = replace(whole, complete=False, owner="process:a:b:1:2")
    with pytest.raises(LabError, match=r"process:a:b:1:2 creates or removes moon-production-1 now"):
        creation._refuse_second_production([half])


@engine_test
def test_the_end_of_an_environment_whose_owner_died_is_recorded_with_the_next_create(
    tiny: System, workspace: Workspace, engine: Engine
) -> None:
    """The reaper removes what is in use and writes no facts; the next create does: else it seems to run."""
    process = child(workspace, tiny, "process")
    wait_for("in use", process)
    process.kill()
    process.communicate()
    assert soon(lambda: left(engine, workspace)) == []
    (created,) = workspace.artifacts.history(kind=Kind.ENVIRONMENT_CREATED)
    assert workspace.artifacts.what_runs("lonely", "integration") is not None
    Environment.create(
        tiny, "development", module="lonely", config={"colour": "red"}, workspace=workspace
    ).clean_up()
    gone, _ = workspace.artifacts.history(kind=Kind.ENVIRONMENT_DELETED)
    assert (gone.environment, gone.predicate["because"]) == (
        created.environment,
        "its owner ended without cleaning up",
    )
    assert workspace.artifacts.what_runs("lonely", "integration") is None


# ---- two processes build the same source ----

BUILD = """\
import sys
from pathlib import Path
from labkit.engine import Engine, one_builder, service_image
from labkit.system import System
with one_builder():
    made = service_image(Engine.find(), System.load(sys.argv[1]), "lonely", Path("lonely"))
print(made.image.digest, made.reused)
"""


@pytest.mark.engine
def test_two_processes_that_build_one_source_at_once_get_one_image(tmp_path: Path) -> None:
    """One of them builds, the other waits and takes what is there; the source is new in each test."""
    system = make_system(tmp_path / "tiny", f"{READY}# {tmp_path}\n")
    command = [sys.executable, "-c", BUILD, str(system.root)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = sorted(process.communicate()[0].split() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert len({digest for digest, _ in lines}) == 1
    assert sorted(reused for _, reused in lines) == ["False", "True"]


@pytest.mark.engine
def test_a_create_that_waits_for_other_builds_says_so_and_hears_ctrl_c(
    tiny: System, workspace: Workspace, engine: Engine
) -> None:
    """It prints for whom it waits; Ctrl-C ends it at once, with "stopped" and 130, and nothing has begun."""
    shutil.rmtree(workspace.shop)
    shutil.copytree(tiny.root, workspace.shop)
    command = [sys.executable, "-m", "labkit", "environment", "create", "--stage", "integration"]
    with one_builder():
        process = subprocess.Popen(
            command, cwd=workspace.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)  # while the lock is still held
    assert "waiting until another process has built its images" in first
    assert errors.split() == ["stopped"]
    assert process.returncode == 130
    assert left(engine, workspace) == []


@pytest.mark.engine
def test_a_wait_for_other_builds_has_an_end() -> None:
    """The error for a lock that is never freed says who holds it; a wait that is ended early stops."""
    words: list[str] = []
    stop = threading.Event()
    stop.set()
    with one_builder():
        with (
            pytest.raises(LabError, match=r"finish building images within 0\.2 s") as caught,
            one_builder(words.append, within_s=0.2),
        ):
            pytest.fail("two builders at once")
        with pytest.raises(Stopped), one_builder(stop=stop):
            pytest.fail("two builders at once")
    assert words == ["waiting until another process has built its images"]
    assert "fuser" in caught.value.next_step

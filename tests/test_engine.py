import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from images import remove_images

from labkit._tar import pack, unpack
from labkit.engine import (
    BASE,
    BUILD,
    GRADER,
    PYTHON,
    SERVERS,
    BuildFailed,
    Engine,
    Event,
    ImageMissing,
    Label,
    NoEngine,
    NoPermission,
    Owner,
    StreamEnded,
    _bundle,
    _images,
    _owner,
    _recipes,
    build_images,
    build_service_image,
    images_missing,
    load_images,
    one_builder,
    restricted,
    save_images,
    service_image,
)
from labkit.engine import _bundle_contents as _contents
from labkit.engine._build import build
from labkit.engine._locate import DEFAULT, Address, locate
from labkit.engine._recipes import Recipe
from labkit.engine._service_image import source_digest
from labkit.engine._start import stale, start
from labkit.engine._wheelhouse import complete
from labkit.errors import LabError
from labkit.system import Limits, System

needs_engine = pytest.mark.engine


def test_limits_that_are_given_replace_labkits_own_one_by_one() -> None:
    """Settings of a container's user count; what belongs together is replaced together, the rest stays."""
    own = restricted({})
    given = {"mem_limit": "3g", "nano_cpus": 10**9, "cap_add": ["NET_ADMIN"]}
    assert restricted(given) == {
        **{name: own[name] for name in ("pids_limit", "security_opt", "log_config", "use_config_proxy")},
        **given,
    }


def test_the_builders_lock_is_the_users_own_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies in the user's cache, where no other user can hold it; a link in its place is not followed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lock = tmp_path / "labkit" / "builds.lock"
    with one_builder():
        assert (lock.stat().st_mode & 0o777, lock.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    lock.unlink()
    precious = tmp_path / "precious"
    precious.write_text("precious")
    lock.symlink_to(precious)
    with pytest.raises(LabError, match="a file of your own"), one_builder():
        pass
    assert precious.read_text() == "precious"


def test_another_source_has_another_digest(tmp_path: Path) -> None:
    """Content, the right to execute and a link's target count; what tools leave there does not."""
    (tmp_path / "run").write_text("one")
    (tmp_path / "link").symlink_to("there")
    seen = [source_digest(tmp_path)]
    (tmp_path / "run").write_text("two")
    seen.append(source_digest(tmp_path))
    (tmp_path / "run").chmod(0o755)
    seen.append(source_digest(tmp_path))
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("elsewhere")
    seen.append(source_digest(tmp_path))
    assert len(set(seen)) == len(seen)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "run.pyc").write_text("")
    assert source_digest(tmp_path) == seen[-1]


@needs_engine
def test_a_build_without_end_is_ended(engine: Engine, tmp_path: Path, tag: str) -> None:
    """A step that says nothing, and one that talks on, stop at the limit; the error names it."""
    for step in ("sleep 60", "while true; do echo on; sleep 0.1; done"):
        (tmp_path / "Dockerfile").write_text(f"FROM {PYTHON}\nRUN {step}\n")
        with pytest.raises(BuildFailed, match="it was ended after 1 s"):
            build_service_image(engine, tmp_path, tag, within_s=1)


@needs_engine
def test_a_locked_container_says_whether_it_ended_for_want_of_memory(
    engine: Engine, tmp_path: Path, tag: str
) -> None:
    """So a learner whose code takes too much is told apart from a container that ends by itself."""
    code = "held = b'x' * int(input())"
    (tmp_path / "Dockerfile").write_text(f'FROM {PYTHON}\nCMD ["python3", "-c", "{code}"]\n')
    image = build_service_image(engine, tmp_path, tag).ref
    for held_bytes, lacks_memory in ((1, False), (256 << 20, True)):
        container = engine.locked(image, limits=Limits(memory_bytes=64 << 20), folder={})
        with closing(container):
            container.write(b"%d\n" % held_bytes, 10)
            with pytest.raises(StreamEnded):
                container.line(100, 30)
            assert container.out_of_memory() is lacks_memory


@needs_engine
def test_the_docker_clients_proxies_do_not_reach_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls between containers take no proxy, nor do builds that are cut off, whatever is configured."""
    proxies = {"default": {"httpProxy": "http://127.0.0.1:9", "httpsProxy": "http://127.0.0.1:9"}}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": proxies}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://ann:secret@127.0.0.1:9")
    engine = Engine.find()
    assert "proxy" not in engine.run(BASE, ["env"]).output.lower()
    (tmp_path / "Dockerfile").write_text(f"FROM {PYTHON}\nRUN env | grep -i proxy\n")
    with pytest.raises(BuildFailed, match="non-zero code"):
        build_service_image(engine, tmp_path, "labkit-test/proxies:1")
    engine.close()


@pytest.fixture
def engine() -> Engine:
    """Return the real engine."""
    return Engine.find()


@pytest.fixture
def workspace(engine: Engine) -> Iterator[str]:
    """Return the id of a workspace that only this test knows; what it leaves is removed."""
    identity = f"test-{uuid.uuid4().hex[:12]}"
    yield identity
    engine.remove({Label.WORKSPACE: identity})


@pytest.fixture
def tag(engine: Engine) -> Iterator[str]:
    """Return an image tag that only this test uses; the image and its stages are removed."""
    name = f"labkit-test/{uuid.uuid4().hex[:12]}"
    yield f"{name}:1"
    remove_images(engine, name)


def until(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    """Wait until a condition holds; return whether it did in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


# --- finding the engine ---


def context(settings: Path, name: str, host: str) -> None:
    """Write a docker context as the docker command does."""
    folder = settings / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(meta))


def test_docker_host_comes_before_the_context_and_the_context_before_the_default_socket(
    tmp_path: Path,
) -> None:
    """The engine is looked for where the docker command looks for it."""
    context(tmp_path, "lab", "tcp://lab.example:2375")
    assert locate({}, tmp_path).url == DEFAULT
    (tmp_path / "config.json").write_text('{"currentContext": "lab"}')
    assert locate({}, tmp_path).url == "tcp://lab.example:2375"
    assert locate({"DOCKER_HOST": "tcp://other:1"}, tmp_path).url == "tcp://other:1"
    assert locate({"DOCKER_CONTEXT": "default"}, tmp_path).url == DEFAULT


def test_certificates_of_a_context_are_used(tmp_path: Path) -> None:
    """A context's certificates reach another docker client by the usual variables."""
    context(tmp_path, "lab", "tcp://lab.example:2376")
    folder = tmp_path / "contexts" / "tls" / hashlib.sha256(b"lab").hexdigest() / "docker"
    folder.mkdir(parents=True)
    variables = locate({"DOCKER_CONTEXT": "lab"}, tmp_path).variables()
    assert variables == {
        "DOCKER_HOST": "tcp://lab.example:2376",
        "DOCKER_CERT_PATH": str(folder),
        "DOCKER_TLS_VERIFY": "1",
    }


def test_a_context_that_is_gone_is_named(tmp_path: Path) -> None:
    """An unknown current context is no engine, and the error says which."""
    with pytest.raises(NoEngine, match="'lab'"):
        locate({"DOCKER_CONTEXT": "lab"}, tmp_path)


def test_published_ports_are_reached_at_the_engines_host() -> None:
    """A local engine publishes at loopback, a remote one at its own host."""
    assert Engine(Address(DEFAULT)).host == "127.0.0.1"
    assert Engine(Address("ssh://me@lab.example")).host == "lab.example"


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1"])
def test_no_engine_is_reported_with_the_place_and_one_step(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Where nothing listens, the error names the address and what to do."""
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(NoEngine) as caught:
        Engine.find()
    assert address in caught.value.expected
    assert "DOCKER_HOST" in caught.value.next_step
    assert not isinstance(caught.value, NoPermission)


def test_no_permission_is_told_apart_from_no_engine(tmp_path: Path) -> None:
    """A socket that this user may not open has an error of its own; its next step is the group docker."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        code = (
            "import os, sys\n"
            "from labkit.engine import Engine, NoPermission\n"
            "import labkit.engine._locate\n"
            "if os.geteuid() == 0: os.setuid(65534)\n"
            "try: Engine.find()\n"
            "except NoPermission as problem: sys.exit(problem.next_step)\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"DOCKER_HOST": f"unix://{path}"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.stderr.startswith("sudo usermod -aG docker "), ended.stderr


def test_an_engine_that_dies_in_mid_call_is_no_engine(tmp_path: Path) -> None:
    """A connection that breaks while the engine is asked becomes NoEngine, not a library's error."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def hang_up() -> None:
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(NoEngine):
            Engine(Address(f"unix://{path}")).image(BASE)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@needs_engine
def test_an_engine_that_does_not_answer_in_time_is_no_engine(engine: Engine) -> None:
    """A call that takes too long becomes NoEngine, not a library's error."""
    engine.client.api.timeout = 1e-6
    with pytest.raises(NoEngine, match="no answer in time"):
        engine.info()


def test_importing_the_room_loads_no_library_of_the_engine() -> None:
    """Half a second of imports comes with the first call to the engine, not with the name Engine."""
    code = "import sys; from labkit.engine import Engine, Owner, doctor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"docker", "requests", "urllib3"} & set(loaded.stdout.split())


CONNECTIONS = """
import gc, os
from labkit.engine import Engine

def sockets():
    return any("socket:" in os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))

engine, counts = Engine.find(), [sockets()]
clients = []  # who still has a client does not keep its connections open
for end in (engine.close, lambda: None):
    engine.info()
    clients.append(engine.client)
    counts.append(sockets())
    end()
    counts.append(sockets())
del engine, end
gc.collect()
print(*counts, sockets())
"""


@needs_engine
def test_an_engine_leaves_no_connection_open() -> None:
    """Connections are closed by close(), after which new ones are opened, and when nobody has the engine."""
    ended = subprocess.run([sys.executable, "-c", CONNECTIONS], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True", "False", "True", "True", "False"]


# --- starting it ---


def test_a_pid_file_is_stale_when_its_process_is_gone_or_another_program(tmp_path: Path) -> None:
    """Only the number of a running process of that name keeps a pid file."""
    file = tmp_path / "docker.pid"
    assert not stale(file, "dockerd")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    file.write_text(f"{ended.pid}\n")
    assert stale(file, "dockerd")
    file.write_text(str(os.getpid()))
    assert stale(file, "dockerd")
    assert not stale(file, Path("/proc/self/comm").read_text().strip())
    file.write_text("")
    assert stale(file, "dockerd")


def test_an_engine_elsewhere_is_not_started_here() -> None:
    """Only the default engine of this machine is labkit's to start; nothing is done for another."""
    done: list[str] = []
    with pytest.raises(NoEngine, match="not the default engine"):
        start(Address("tcp://127.0.0.1:1"), done.append)
    assert done == []


@needs_engine
def test_ensure_leaves_a_running_engine_alone() -> None:
    """An engine that answers is used as it is."""
    done: list[str] = []
    assert Engine.ensure(done.append).version
    assert done == []


# --- running a container ---


@needs_engine
def test_run_brings_files_in_and_output_and_files_out(engine: Engine, workspace: str, tmp_path: Path) -> None:
    """Files go in before the start; output, errors, exit code and files come back; nothing stays."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "greeting").write_text("from a folder")
    (tmp_path / "tool").write_text("#!/bin/sh\necho from a tool\n")
    (tmp_path / "tool").chmod(0o755)
    done = engine.run(
        BASE,
        [
            "sh",
            "-c",
            "cat given inner/greeting; ./tool; echo $WORD >&2; mkdir /out; echo 1 >/out/one; exit 3",
        ],
        files={"/work/given": b"given\n", "/work": tmp_path},
        environment={"WORD": "to errors"},
        labels={Label.WORKSPACE: workspace},
        workdir="/work",
        collect=["/out", "/not/there"],
    )
    assert (done.exit_code, done.ok, done.timed_out) == (3, False, False)
    assert done.errors == "to errors\n"
    assert "given\nfrom a folderfrom a tool\n" in done.output.replace(done.errors, "")
    assert done.files == {"/out/one": b"1\n"}
    assert engine.owned({Label.WORKSPACE: workspace}) == []


@needs_engine
def test_run_keeps_the_mode_of_folders_that_are_there(engine: Engine) -> None:
    """A file in /tmp does not change /tmp."""
    done = engine.run(BASE, ["stat", "-c", "%a", "/tmp"], files={"/tmp/file": b""})  # noqa: S108 - in a container
    assert done.output == "1777\n"


@needs_engine
def test_run_ends_a_command_at_its_deadline_and_removes_it(engine: Engine, workspace: str) -> None:
    """A command that runs too long is killed, told apart from a failing one, and removed."""
    done = engine.run(
        BASE, ["sh", "-c", "echo begun; sleep 60"], timeout_s=1, labels={Label.WORKSPACE: workspace}
    )
    assert (done.timed_out, done.exit_code, done.output) == (True, 124, "begun\n")
    assert engine.owned({Label.WORKSPACE: workspace}) == []


@needs_engine
def test_run_has_no_network_unless_one_is_named(engine: Engine) -> None:
    """A container without a network sees only its own loopback."""
    assert engine.run(BASE, ["ls", "/sys/class/net"]).output.split() == ["lo"]


@needs_engine
def test_a_missing_image_is_named_with_the_step_that_brings_it(engine: Engine) -> None:
    """Nothing is pulled; the error says how to get the image."""
    for ask in (engine.image, engine.packages, lambda image: engine.run(image, ["true"])):
        with pytest.raises(ImageMissing, match="labkit images build") as caught:
            ask("labkit/nowhere:1")
        assert "labkit/nowhere:1" in caught.value.expected


@needs_engine
def test_the_missing_image_of_testcontainers_own_reaper_can_be_done_without(engine: Engine) -> None:
    """The next step for Ryuk's image is the variable that switches Ryuk off."""
    with pytest.raises(ImageMissing) as caught:
        engine.image("testcontainers/ryuk:never")
    assert "TESTCONTAINERS_RYUK_DISABLED=true" in caught.value.next_step


# --- labels, events, owners ---


def furnish(engine: Engine, workspace: str, owner: str) -> None:
    """Make a running container, a network and a volume."""
    labels = {Label.WORKSPACE: workspace, Label.OWNER: owner}
    engine.client.volumes.create(labels=labels)
    network = engine.client.networks.create(f"{workspace}-{uuid.uuid4().hex[:6]}", labels=labels)
    engine.client.containers.run(BASE, ["sleep", "600"], detach=True, labels=labels, network=network.name)


@needs_engine
def test_remove_takes_containers_networks_and_volumes_and_nothing_else(
    engine: Engine, workspace: str
) -> None:
    """What carries all labels goes, however busy, and is counted by kind; what carries others stays."""
    furnish(engine, workspace, "workspace:a")
    furnish(engine, workspace, "workspace:b")
    assert {thing.kind for thing in engine.owned({Label.WORKSPACE: workspace})} == {
        "container",
        "network",
        "volume",
    }
    each = {"container": 1, "network": 1, "volume": 1}
    assert engine.remove({Label.WORKSPACE: workspace, Label.OWNER: "workspace:a"}) == each
    left = engine.owned({Label.WORKSPACE: workspace})
    assert {thing.labels[Label.OWNER] for thing in left} == {"workspace:b"}
    assert engine.remove({Label.WORKSPACE: workspace}) == each
    assert not engine.remove({Label.WORKSPACE: workspace})


@needs_engine
def test_remove_takes_a_network_although_someone_elses_container_is_in_it(
    engine: Engine, workspace: str
) -> None:
    """A container of another owner is taken off the network and stays."""
    name = f"{workspace}-shared"
    network = engine.client.networks.create(name, labels={Label.OWNER: name})
    guest = engine.client.containers.run(
        BASE, ["sleep", "600"], detach=True, network=network.name, labels={Label.WORKSPACE: workspace}
    )
    assert engine.remove({Label.OWNER: name}) == {"network": 1}
    guest.reload()
    assert guest.status == "running"


@needs_engine
def test_one_thing_that_cannot_be_removed_keeps_nothing_else(engine: Engine, workspace: str) -> None:
    """At the deadline the error names what is left and the engine's reason; everything else is gone."""
    labels: dict[str, str | None] = {Label.WORKSPACE: workspace, Label.OWNER: "workspace:a"}
    furnish(engine, workspace, "workspace:a")
    (volume,) = (thing.name for thing in engine.owned(labels) if thing.kind == "volume")
    guest = engine.client.containers.create(
        BASE, labels={Label.WORKSPACE: workspace}, volumes=[f"{volume}:/here"]
    )
    with pytest.raises(LabError) as caught:
        engine.remove(labels, deadline_s=0.3)
    assert volume in caught.value.seen
    assert "in use" in caught.value.seen
    assert [thing.name for thing in engine.owned(labels)] == [volume]
    guest.remove()
    assert engine.remove(labels) == {"volume": 1}


@needs_engine
def test_two_may_remove_the_same_at_once(engine: Engine, workspace: str) -> None:
    """Each waits for what the other removes, and each thing is counted once."""
    for _ in range(3):
        furnish(engine, workspace, "workspace:a")
    with ThreadPoolExecutor(2) as pool:
        removals = [pool.submit(engine.remove, {Label.WORKSPACE: workspace}) for _ in range(2)]
        first, second = (removal.result() for removal in removals)
    assert first + second == {"container": 3, "network": 3, "volume": 3}


def test_remove_without_labels_is_refused() -> None:
    """No labels would mean everything in the engine."""
    with pytest.raises(ValueError, match="labels"):
        Engine(Address(DEFAULT)).remove({})


@needs_engine
def test_events_tell_what_happens_by_label_until_another_thread_closes_them(
    engine: Engine, workspace: str
) -> None:
    """Events of the labels come as they happen, and close() ends a waiting iteration."""
    seen: list[Event] = []
    events = engine.events({Label.WORKSPACE: workspace})
    thread = threading.Thread(target=lambda: seen.extend(events))
    thread.start()
    engine.run(BASE, ["true"], labels={Label.WORKSPACE: workspace})
    engine.run(BASE, ["true"], labels={Label.WORKSPACE: "another"})
    until(lambda: any(event.action == "destroy" for event in list(seen)), 5)
    time.sleep(0.2)
    events.close()
    thread.join(5)
    assert not thread.is_alive()
    assert [event.action for event in seen] == ["create", "start", "die", "destroy"]
    assert {event.labels[Label.WORKSPACE] for event in seen} == {workspace}


@needs_engine
def test_events_since_a_time_tell_first_what_the_engine_remembers(engine: Engine, workspace: str) -> None:
    """Whoever asks later loses nothing, and gets nothing twice."""
    began = time.time_ns()
    engine.run(BASE, ["true"], labels={Label.WORKSPACE: workspace})
    with engine.events({Label.WORKSPACE: workspace}, since=began) as events:
        following = iter(events)
        actions = [next(following).action for _ in range(4)]
    assert actions == ["create", "start", "die", "destroy"]


def test_an_owner_is_judged_only_where_its_number_means_something() -> None:
    """A process whose number is free or another's is dead; who cannot be judged counts as alive."""
    me = Owner.parse(
        f"process:{_owner.machine()}:{_owner.namespace()}:{os.getpid()}:{_owner.started_at(os.getpid())}"
    )
    ended = subprocess.Popen([sys.executable, "-c", ""])
    start_of_ended = _owner.started_at(ended.pid)
    ended.wait()
    kind, machine, namespace, pid, began = str(me).split(":")
    assert me.alive()
    assert not Owner.parse(f"{kind}:{machine}:{namespace}:{ended.pid}:{start_of_ended}").alive()
    assert not Owner.parse(f"{kind}:{machine}:{namespace}:{pid}:{int(began) - 1}").alive()
    assert Owner.parse(f"{kind}:elsewhere:{namespace}:{ended.pid}:{start_of_ended}").alive()
    assert Owner.parse(f"{kind}:{machine}:1:{ended.pid}:{start_of_ended}").alive()
    assert Owner.parse("something else").alive()
    assert Owner.workspace("abc").alive()
    assert str(Owner.workspace("abc")) == "workspace:abc"


@needs_engine
def test_sweep_looks_only_at_its_own_workspace_and_at_dead_owners(engine: Engine, workspace: str) -> None:
    """What a dead process left in this workspace goes; the living, and other workspaces, keep theirs."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    dead = f"process:{_owner.machine()}:{_owner.namespace()}:{ended.pid}:{_owner.started_at(ended.pid)}"
    ended.wait()
    other = f"{workspace}-other"
    furnish(engine, workspace, dead)
    furnish(engine, workspace, str(Owner.process()))
    furnish(engine, other, dead)
    try:
        assert engine.sweep(workspace) == {"container": 1, "network": 1, "volume": 1}
        left = engine.owned({Label.WORKSPACE: workspace})
        assert {thing.labels[Label.OWNER] for thing in left} == {str(Owner.process())}
        assert len(engine.owned({Label.WORKSPACE: other})) == 3
    finally:
        engine.remove({Label.WORKSPACE: other})


OWNER = """
import os, sys, time, uuid
from labkit.engine import BASE, Engine, Label, Owner
workspace, then = sys.argv[1:]
engine, labels = Engine.find(), {Label.WORKSPACE: workspace, Label.OWNER: str(Owner.process())}
print("begun", flush=True)
for _ in range(3):
    engine.client.volumes.create(labels=labels)
    network = engine.client.networks.create(workspace + uuid.uuid4().hex[:6], labels=labels)
    engine.client.containers.run(BASE, ["sleep", "600"], detach=True, labels=labels, network=network.name)
print("made", flush=True)
if then == "fork" and not os.fork():
    os.setsid()
    time.sleep(8)
    os._exit(0)
time.sleep(60)
"""


def owner(workspace: str, then: str = "wait") -> "subprocess.Popen[str]":
    """Start a process that owns three networks, volumes and containers, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, workspace, then],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def read_until(process: "subprocess.Popen[str]", word: str) -> None:
    """Read a process's output until it says a word on a line of its own."""
    assert process.stdout
    while line := process.stdout.readline():
        if line.strip() == word:
            return
    pytest.fail(f"the owner ended before it said {word!r}")


@needs_engine
@pytest.mark.parametrize("how", ["kill -9", "Ctrl-C", "while a forked child lives on"])
def test_nothing_of_an_owner_outlives_it(engine: Engine, workspace: str, how: str) -> None:
    """However a process ends, the reaper removes what it owned."""
    with owner(workspace, "fork" if "fork" in how else "wait") as process:
        read_until(process, "made")
        assert len(engine.owned({Label.WORKSPACE: workspace})) == 9
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.kill()
        process.wait()
        assert until(lambda: not engine.owned({Label.WORKSPACE: workspace}), 6)


@needs_engine
def test_nothing_of_an_owner_killed_in_mid_create_outlives_it(engine: Engine, workspace: str) -> None:
    """What the engine was still creating when the owner died is removed too."""
    moment = random.Random(2)  # noqa: S311 - moments, no secrets
    for _ in range(4):
        with owner(workspace) as process:
            read_until(process, "begun")
            time.sleep(moment.uniform(0.0, 1.0))
            process.kill()
        assert until(lambda: not engine.owned({Label.WORKSPACE: workspace}))
        time.sleep(0.7)
        assert engine.owned({Label.WORKSPACE: workspace}) == []


REAPER = """
import sys
sys.path.insert(0, sys.argv[1])
from labkit.engine import Owner, _owner
Owner.process()
(reaper,) = _owner._reapers.values()
while not (variables := open(f"/proc/{reaper.pid}/environ").read()):
    pass  # the kernel shows them a moment after the start
print(variables.replace("\\0", "\\n"))
"""


def test_the_reaper_loads_the_labkit_of_its_owner() -> None:
    """A labkit that is not installed, and was found by a script's folder, has a reaper too."""
    here = str(Path(__file__).parents[1])
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, "-c", REAPER, here], env=variables, capture_output=True, text=True, check=True
    )
    assert f"PYTHONPATH={here}" in ended.stdout.splitlines()


# --- what is in an image ---


@needs_engine
def test_packages_are_read_from_the_image_itself(engine: Engine, tag: str, tmp_path: Path) -> None:
    """Packages are found wherever they are; what dpkg knows but has removed is left out."""
    metadata = "Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.2\n\ntext\n"
    (tmp_path / "METADATA").write_text(metadata)
    (tmp_path / "status").write_text("\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {BASE}\nCOPY METADATA /odd/place/some_thing-1.2.dist-info/\nCOPY status /more\n"
        "RUN cat /more >> /var/lib/dpkg/status\n"
    )
    build_service_image(engine, tmp_path, tag)
    packages = engine.packages(tag)
    purls = {package.purl for package in packages}
    assert "pkg:pypi/some-thing@1.2" in purls
    apt = next(package for package in packages if package.name == "apt")
    assert (apt.kind, apt.purl) == ("deb", f"pkg:deb/debian/apt@{apt.version}?arch={engine.architecture}")
    assert "gone" not in {package.name for package in packages}
    assert engine.packages(tag) == packages == sorted(set(packages))


@needs_engine
def test_export_reads_files_of_an_image(engine: Engine) -> None:
    """Files and folders of an image can be read without starting it."""
    files = engine.export(BASE, ["/etc/debian_version", "/etc/apt/sources.list.d", "/not/there"])
    assert files["/etc/debian_version"].startswith(b"12")
    assert not any(path.startswith("/not") for path in files)


# --- building ---

TWO_STAGES = f"""
FROM {BASE} AS build
COPY needs /needs
RUN ls /sys/class/net > /interfaces && cp /needs /made
FROM {BASE}
COPY --from=build /made /interfaces /app/
COPY code /app/
"""


@needs_engine
def test_a_service_image_is_built_in_two_stages_without_a_network(
    engine: Engine, tag: str, tmp_path: Path
) -> None:
    """The image carries the labels and what the stages made; the build saw no network."""
    (tmp_path / "Dockerfile").write_text(TWO_STAGES)
    (tmp_path / "needs").write_text("needs")
    (tmp_path / "code").write_text("code")
    image = build_service_image(engine, tmp_path, tag, {Label.VERSION: "v7"})
    assert image.labels[Label.VERSION] == "v7"
    inside = engine.export(tag, ["/app"])
    assert inside == {"/app/made": b"needs", "/app/code": b"code", "/app/interfaces": b"lo\n"}


@needs_engine
def test_building_again_leaves_no_image_without_a_name(engine: Engine, tag: str, tmp_path: Path) -> None:
    """An image that a new one replaced is removed, and so is what a failed build made."""
    (tmp_path / "Dockerfile").write_text(TWO_STAGES)
    (tmp_path / "needs").write_text(tag)
    made = []
    for change in ("one", "two"):
        (tmp_path / "code").write_text(change)
        made.append(build_service_image(engine, tmp_path, tag).digest)
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo {tag} > /x\nRUN false\n")
    with pytest.raises(BuildFailed):
        build_service_image(engine, tmp_path, tag)
    with pytest.raises(ImageMissing):
        engine.image(made[0])
    assert engine.image(tag).digest == made[1]
    nameless = engine.client.images.list(filters={"dangling": True})
    assert not [image for image in nameless if tag in json.dumps(image.history())]


@needs_engine
@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        (f"FROM {BASE}\nRUN echo the reason && false", "the reason"),
        ("FRUM nothing", "unknown instruction"),
        (None, "Dockerfile"),
    ],
)
def test_a_failed_build_shows_its_last_lines(
    engine: Engine, tag: str, tmp_path: Path, dockerfile: str | None, words: str
) -> None:
    """Whatever stops a build, the error shows what the builder said last."""
    (tmp_path / "file").write_text("")
    if dockerfile:
        (tmp_path / "Dockerfile").write_text(dockerfile)
    with pytest.raises(BuildFailed) as caught:
        build_service_image(engine, tmp_path, tag)
    assert words in caught.value.seen


@needs_engine
def test_a_build_from_an_image_that_is_missing_says_so(engine: Engine, tag: str, tmp_path: Path) -> None:
    """A build that starts from an image of labkit that is not there names it and how to get it."""
    (tmp_path / "Dockerfile").write_text("FROM labkit/nowhere:1\n")
    with pytest.raises(ImageMissing, match="labkit/nowhere:1"):
        build_service_image(engine, tmp_path, tag)


SYSTEM = """name = "t{}"
[services.api]
path = "api"
port = 8001
"""


def recipe(tag: str, text: str) -> Recipe:
    """Return a recipe that takes a second."""
    inputs = {"Dockerfile": f"FROM {BASE}\nRUN echo {text} > /text\n".encode()}
    return Recipe(tag, inputs, lambda _architecture: pack(inputs))


def serve(monkeypatch: pytest.MonkeyPatch, *known: Recipe) -> None:
    """Let labkit's images be these."""
    table = {recipe.image: recipe for recipe in known}
    monkeypatch.setattr(_images, "recipes", lambda: table)
    monkeypatch.setattr(_images, "SERVERS", known[0].image)
    monkeypatch.setattr(_bundle, "ALL", tuple(table))


@needs_engine
def test_images_are_built_when_their_recipe_changed_and_only_then(
    engine: Engine, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing or outdated image is built, the replaced one removed, a current one left alone."""
    serve(monkeypatch, recipe(tag, "one"))
    steps: list[tuple[object, ...]] = []
    assert images_missing() == [tag]
    assert build_images(lambda *words: steps.append(words)) == [tag]
    assert {words[0] for words in steps} == {tag}
    first = engine.image(tag).digest
    assert (images_missing(), build_images()) == ([], [])
    serve(monkeypatch, recipe(tag, "two"))
    assert build_images() == [tag]
    assert engine.export(tag, ["/text"]) == {"/text": b"two\n"}
    with pytest.raises(ImageMissing):
        engine.image(first)


@needs_engine
def test_an_image_that_only_says_that_it_is_labkits_is_built_again(
    engine: Engine, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name and label are anybody's. Without the memory, the builder's cache gives the same image again."""
    serve(monkeypatch, recipe(tag, "own"))
    build_images()
    own = engine.image(tag)
    evil = f"FROM {tag}\nRUN echo evil > /text\n"
    build(engine, pack({"Dockerfile": evil.encode()}), tag, own.labels)
    assert engine.image(tag).labels == own.labels
    assert images_missing() == [tag]
    assert build_images() == [tag]
    assert engine.export(tag, ["/text"]) == {"/text": b"own\n"}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = engine.image(tag).digest
    assert (build_images(), build_images()) == ([tag], [])
    assert engine.image(tag).digest == before
    (tmp_path / "labkit" / "images").chmod(0o666)
    with pytest.raises(LabError, match="can write it"):
        images_missing()


@needs_engine
def test_a_service_image_is_known_by_its_digest_and_by_its_bases(
    engine: Engine, tag: str, tmp_path: Path
) -> None:
    """What another program gave its tag, and what was built on another base, is not used again."""
    name = tag.removesuffix(":1")
    (tmp_path / "api").mkdir()
    (tmp_path / "system.toml").write_text(SYSTEM.format(name.removeprefix("labkit-test/")))
    (tmp_path / "api" / "Dockerfile").write_text(f"FROM {tag}\nRUN true\n")
    system, folder = System.load(tmp_path), Path("api")
    try:
        for text in ("one", "two"):
            below = build(engine, recipe(tag, text).context(""), tag, {})
            made = service_image(engine, system, "api", folder)
            assert not made.reused
            assert made.image.layers[: len(below.layers)] == below.layers
            assert service_image(engine, system, "api", folder).reused
        evil = f"FROM {made.image.ref}\nRUN echo evil > /text\n"
        build(engine, pack({"Dockerfile": evil.encode()}), made.image.ref, made.image.labels)
        again = service_image(engine, system, "api", folder)
        assert (again.reused, again.image.digest) == (False, made.image.digest)
    finally:
        remove_images(engine, f"labkit/{system.name}-api")


@needs_engine
def test_a_bundle_brings_the_images_back(
    engine: Engine, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was saved is there again after loading, and a half-copied file is refused."""
    serve(monkeypatch, recipe(tag, "bundle"))
    bundle = tmp_path / "images.tar.gz"
    with pytest.raises(ImageMissing):
        save_images(bundle)
    build_images()
    save_images(bundle)
    assert [path.name for path in tmp_path.iterdir()] == ["images.tar.gz"]
    engine.client.images.remove(tag)
    bundle.with_name("half").write_bytes(bundle.read_bytes()[:100_000])
    for broken in ("half", "not-there"):
        with pytest.raises(LabError, match="is a bundle of images"):
            load_images(tmp_path / broken)
    assert load_images(bundle) == [tag]
    assert images_missing() == []
    serve(monkeypatch, recipe(tag, "a newer version"))
    with pytest.raises(LabError, match="this version"):
        load_images(bundle)


@needs_engine
def test_a_bundle_with_somebody_elses_image_is_refused_before_it_is_loaded(
    engine: Engine, tmp_path: Path
) -> None:
    """It could replace any image of this machine; the error says how to load it all the same."""
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["our/tools:1", BASE], "Layers": []}])
    bundle = tmp_path / "images.tar.gz"
    bundle.write_bytes(gzip.compress(pack({"manifest.json": manifest.encode()})))
    with pytest.raises(LabError) as caught:
        load_images(bundle, engine)
    assert caught.value.seen == "it also holds our/tools:1"
    assert caught.value.next_step.endswith(f"docker load --input {bundle}")


CONFIG = b'{"config": {}}'
DIGEST = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
IMAGE = {"Config": "c.json", "RepoTags": ["labkit/x:1"], "Layers": []}


def bundled(tag: str, **changed: object) -> dict[str, bytes]:
    """Return the files of a bundle of one image, with other content for some as JSON; None leaves one out."""
    digest = recipe(tag, "bundle").digest
    files: dict[str, object] = {
        "labkit": {tag: {"digest": DIGEST, "recipe": digest}},
        "manifest": [IMAGE],
        "index": {"manifests": [{"digest": "sha256:1", "annotations": {_contents.NAME: f"docker.io/{tag}"}}]},
    } | changed
    return {"c.json": CONFIG} | {
        f"{name}.json": json.dumps(content).encode() for name, content in files.items() if content is not None
    }


FOREIGN = {"digest": "sha256:2", "annotations": {_contents.NAME: "docker.io/our/tools:1"}}


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ({"labkit": None}, "no list"),
        ({"labkit": {}}, "no list"),
        ({"labkit": []}, "no table"),
        ({"labkit": {"labkit/x:1": 3}}, "no table"),
        ({"manifest": 3}, "no table"),
        ({"manifest": [IMAGE | {"RepoTags": [[1]]}]}, "no table"),
        ({"index": []}, "no table"),
        ({"manifest": None}, "manifest.json"),
        ({"manifest": []}, "another image"),
        ({"manifest": [IMAGE, IMAGE]}, "no name, or one of another image"),
        ({"manifest": [IMAGE, IMAGE | {"RepoTags": None}]}, "no name"),
        ({"manifest": [IMAGE | {"Config": "../d.json"}], "index": None}, "another image"),
        ({"index": {"manifests": [FOREIGN]}}, "also holds our/tools:1"),
        ({"index": {"manifests": [{"digest": "sha256:2"}]}}, "no table"),
        ({"labkit": {"labkit/x:1": {"digest": "sha256:3", "recipe": ""}}}, "differ from this version"),
    ],
)
def test_a_bundle_of_other_images_than_it_lists_is_refused_before_it_is_loaded(
    changed: dict[str, object], seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each image needs a name of labkit's, and the digest and recipe in the list; whichever table is read."""
    serve(monkeypatch, recipe("labkit/x:1", "bundle"))
    bundle = tmp_path / "images.tar.gz"
    bundle.write_bytes(gzip.compress(pack(bundled("labkit/x:1", **changed))))
    with pytest.raises(LabError) as caught:
        load_images(bundle, Engine(Address("unix:///nobody/listens")))
    assert seen in caught.value.seen


@pytest.mark.parametrize(
    ("link", "target"), [("a", "."), ("manifest.json", "evil.json"), ("x/../manifest.json", "evil.json")]
)
def test_a_bundle_whose_tables_could_be_written_twice_is_refused(
    link: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine unpacks the file, where a link could put another table in the place of the one read."""
    serve(monkeypatch, recipe("labkit/x:1", "bundle"))
    bundle = tmp_path / "images.tar.gz"
    entry = tarfile.TarInfo(link)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    files = bundled("labkit/x:1") | {"a/manifest.json": b"[]"}
    bundle.write_bytes(gzip.compress(entry.tobuf() + pack(files)))
    with pytest.raises(LabError, match="is a bundle of images"):
        load_images(bundle, Engine(Address("unix:///nobody/listens")))


def test_a_bundle_that_cannot_be_written_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or no folder, ends in one clear error."""
    monkeypatch.setattr(_bundle, "images_missing", lambda _engine: [])
    monkeypatch.setattr(_bundle, "_saved", lambda _engine: iter([b"x"]))
    monkeypatch.setattr(_bundle, "ALL", ())
    engine = Engine(Address("unix:///nobody/listens"))
    with pytest.raises(LabError, match="can be written"):
        save_images(tmp_path / "no folder" / "file", engine)
    assert list(tmp_path.iterdir()) == []


# --- the recipes and the wheelhouse ---


def test_a_recipe_is_known_by_everything_that_goes_in() -> None:
    """The digest changes with any file of the recipe, and is the same each time."""
    known = _recipes.recipes()
    assert list(known) == [SERVERS, PYTHON, BUILD, GRADER]
    python = known[PYTHON]
    changed = replace(python, inputs=python.inputs | {"labkit/labkit/errors.py": b"another"})
    assert changed.digest != python.digest
    assert known[BUILD].inputs.keys() > python.inputs.keys()
    assert python.digest == _recipes.recipes()[PYTHON].digest


def test_a_context_holds_the_locked_modules_and_with_the_build_tools_their_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """labkit/python gets its locked modules, installed for its own Python; labkit/build the wheels too."""
    wheels, recipe = tmp_path / "wheels", tmp_path / "recipes"
    shutil.copytree(_recipes.HERE, recipe)
    wheels.mkdir()
    about = "thing-1.0.dist-info"
    tagged = {"METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n", "RECORD": ""}
    tagged["WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: cp311-cp311-manylinux_2_17_aarch64\n"
    wheel = wheels / "thing-1.0-cp311-cp311-manylinux_2_17_aarch64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing.py", "")
        for name, text in tagged.items():
            archive.writestr(f"{about}/{name}", text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (recipe / "python" / "requirements.lock").write_text(f"thing==1.0 --hash=sha256:{digest}\n")
    monkeypatch.setattr(_recipes, "HERE", recipe)
    monkeypatch.setattr(_recipes, "wheelhouse", lambda _lock, _architecture: wheels)
    known = _recipes.recipes()
    unpack(known[PYTHON].context("arm64"), tmp_path / "python")
    unpack(known[BUILD].context("arm64"), tmp_path / "build")
    for image in ("python", "build"):
        assert (tmp_path / image / "modules" / "thing.py").is_file()
        assert (tmp_path / image / "Dockerfile").is_file()
    assert not (tmp_path / "python" / "wheelhouse").exists()
    assert [path.name for path in (tmp_path / "build" / "wheelhouse").iterdir()] == [wheel.name]


def test_what_labkit_python_holds_is_locked_as_in_the_wheelhouse() -> None:
    """Both lock files agree, so that a service finds the same modules installed and in the wheelhouse."""
    inner = (_recipes.HERE / "python" / "requirements.lock").read_text().split("\n\n")
    assert set(inner[0].split()) <= set(_recipes.lock().read_text().split())
    assert "index-url" not in _recipes.lock().read_text()


def test_a_wheelhouse_is_complete_only_with_the_locked_wheels(tmp_path: Path) -> None:
    """A wheel that is missing, or differs from its hash, makes it incomplete."""
    lock = tmp_path / "lock"
    lock.write_text(f"thing==1.0 \\\n    --hash=sha256:{hashlib.sha256(b'wheel').hexdigest()}\n")
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    assert not complete(tmp_path, lock)
    wheel.write_bytes(b"wheel")
    assert complete(tmp_path, lock)
    wheel.write_bytes(b"tampered")
    assert not complete(tmp_path, lock)


@pytest.fixture(scope="module")
def images() -> None:
    """Have labkit's own images; nothing is done when they are there."""
    build_images()


@needs_engine
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("images")
class TestImages:
    """labkit's own images, as they are built."""

    def test_the_servers_are_in_one_image(self, engine: Engine) -> None:
        """PostgreSQL, HAProxy, etcd and nginx start from labkit/servers, which has no Python."""
        ask = "postgres --version && haproxy -v && etcd --version && nginx -v; ! command -v python3"
        done = engine.run(SERVERS, ["sh", "-c", ask])
        assert done.ok, done.output
        for server in ("PostgreSQL) 15", "HAProxy version", "etcd Version", "nginx version"):
            assert server in done.output

    def test_the_database_cluster_is_baked_in(self, engine: Engine) -> None:
        """PostgreSQL starts without initdb, trusts everyone and never waits for the disk."""
        query = "select current_setting('fsync'), pg_encoding_to_char(6)"
        ask = f'pg_ctl -w -s start >&2 && psql -U postgres -Atc "{query}"'
        done = engine.run(SERVERS, ["sh", "-c", ask], user="postgres")
        assert "off|UTF8" in done.output, done.output

    def test_python_runs_a_service_and_has_no_pip(self, engine: Engine) -> None:
        """labkit/python imports labkit.service and knows labkit's version; it cannot install anything."""
        code = "import labkit.service, labkit, httpx, psycopg, uvloop; print(labkit.__version__)"
        done = engine.run(PYTHON, ["python3", "-c", code])
        assert done.output.strip() == _recipes._version(), done.output
        assert not engine.run(PYTHON, ["python3", "-m", "pip"]).ok
        assert "pkg:pypi/starlette" in " ".join(package.purl for package in engine.packages(PYTHON))

    def test_build_installs_from_the_wheelhouse_without_a_network(self, engine: Engine) -> None:
        """A virtual environment is filled from /wheelhouse, with hashes."""
        locked = _recipes.lock().read_text()
        install = "pip --python /venv/bin/python3 install -q --require-hashes -r /lock"
        command = f"python3 -m venv --without-pip /venv && {install}"
        done = engine.run(
            BUILD, ["sh", "-c", f"{command} && /venv/bin/pytest --version"], files={"/lock": locked.encode()}
        )
        assert done.ok, done.output
        assert "pytest" in done.output

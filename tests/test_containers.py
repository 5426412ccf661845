"""Elements are testcontainers containers: a user's own one joins, and a dead one has a clear error."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_urlsafe
from typing import Self
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
import pytest
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

from labkit._uninterruptible import Stopped
from labkit.artifacts import Kind
from labkit.containers import Deadline, Element, Namespace, NotReady, listens, responds, succeeds
from labkit.engine import PYTHON, SERVERS, Engine, ImageMissing, Label
from labkit.environment import Environment
from labkit.errors import LabError, NoAnswer
from labkit.workspace import Workspace

pytestmark = pytest.mark.engine

SERVE = ["python3", "-m", "http.server", "8000"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace of its own."""
    made = Workspace.create(tmp_path_factory.mktemp("containers") / "workspace")
    yield made
    made.artifacts.close()


@pytest.fixture(scope="module")
def environment(workspace: Workspace) -> Iterator[Environment]:
    """Give one integration environment to the tests that leave it as it was."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        yield made


class Unlucky(PostgresContainer):
    """A container that waits for more after its start, and in vain."""

    def _connect(self) -> None:
        message = "no such luck"
        raise TimeoutError(message)


def server() -> DockerContainer:
    """Return a web server as a testcontainers user writes it."""
    return DockerContainer(PYTHON).with_command(SERVE).with_exposed_ports(8000)


# ---- a user's own containers ----


def test_the_process_keeps_its_own_setting_of_ryuk() -> None:
    """Importing labkit leaves testcontainers as it was, switched on as by default."""
    code = "import labkit.environment; from testcontainers.core.config import testcontainers_config as c\n"
    code += "print(c.ryuk_disabled)"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TESTCONTAINERS_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables
    )
    assert done.stdout.strip() == "False"


def test_a_missing_ryuk_image_names_the_variable_that_does_without() -> None:
    """Who starts a testcontainers container offline learns how to do it without Ryuk."""
    with pytest.raises(ImageMissing, match="TESTCONTAINERS_RYUK_DISABLED"):
        Engine.find().image("testcontainers/ryuk:0.8.1")


class TwoContainer(DockerContainer):
    """A container whose class starts a second one first, by testcontainers alone."""

    def start(self) -> Self:
        """Start both."""
        with DockerContainer(PYTHON):
            return super().start()


def test_a_container_whose_class_needs_ryuk_tells_how_to_do_without(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second container is testcontainers' own; that Ryuk's image cannot be had is no raw error."""
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", False)
    monkeypatch.setattr(testcontainers_config, "ryuk_image", "labkit/no-such-ryuk:1")
    with pytest.raises(LabError, match="TESTCONTAINERS_RYUK_DISABLED"):
        environment.add(TwoContainer(PYTHON))
    assert "two" not in [one.name for one in environment.elements()]


def test_a_container_of_ones_own_joins_the_environment(environment: Environment) -> None:
    """It has the network, labels and verbs of all other elements, and no label of testcontainers' session."""
    container = server().with_env("COLOUR", "blue").waiting_for(HttpWaitStrategy(8000))
    added = environment.add(container, "pages")
    try:
        assert added is container
        assert isinstance(added, Element)
        code = "import urllib.request as u; print(u.urlopen('http://pages:8000/').status)"
        assert environment.run(["python3", "-c", code]).output.strip() == "200"
        (labels,) = (
            thing.labels
            for thing in Engine.find().owned({Label.ENVIRONMENT: environment.name, Label.ROLE: "added"})
        )
        assert labels[Label.OWNER] == environment.owner
        assert not [name for name in labels if "session" in name]
        assert added.exec(["printenv", "COLOUR"]).output == b"blue\n"
        assert added.get_exposed_port(8000) == environment.element("pages").get_exposed_port(8000)
        environment.element("pages").pause()
        assert environment.element("pages").state == "paused"
        environment.element("pages").resume()
        again = Environment.attach(environment.name, environment.workspace).element("pages")
        assert (again.state, again.role) == ("running", "added")
    finally:
        environment.element("pages").remove()


def test_a_container_of_ones_own_keeps_its_own_limits(environment: Environment) -> None:
    """What its user set by with_kwargs is what it gets; labkit limits the rest."""
    added = environment.add(server().with_kwargs(mem_limit="64m", cap_add=["NET_ADMIN"]), "small")
    try:
        container = added.get_wrapped_container()
        container.reload()
        limits = container.attrs["HostConfig"]
        assert (limits["Memory"], limits["CapDrop"]) == (64 << 20, None)
        assert limits["PidsLimit"] > 0
    finally:
        environment.element("small").remove()


PYTHON_ON_TERM = (
    "import signal, sys, time; signal.signal(signal.{0}, lambda *_: {1}); print('up', flush=True)\n"
)
ENDINGS: dict[str, tuple[str | list[str], str]] = {
    "well": (PYTHON_ON_TERM.format("SIGTERM", "sys.exit()"), ""),
    "by the signal": (PYTHON_ON_TERM.format("SIGTERM", "sys.exit(143)"), ""),
    "with an error": (PYTHON_ON_TERM.format("SIGTERM", "sys.exit(3)"), "ended on SIGTERM with exit code 3"),
    "never": (PYTHON_ON_TERM.format("SIGTERM", "None"), "did not end on SIGTERM, killed after 1.5 s"),
    "by its own signal": (PYTHON_ON_TERM.format("SIGUSR1", "sys.exit()"), ""),
    "in spite of it": (
        PYTHON_ON_TERM.format("SIGUSR2", "sys.exit()"),
        "did not end on SIGUSR1, killed after 1.5 s",
    ),
    "in a shell": (["sh", "-c", "echo up; sleep 600; true"], "did not end on SIGTERM, killed after 1.5 s"),
    "before": (["sh", "-c", "echo up; exit 4"], "had ended before, with exit code 4"),
    "again and again": (["sh", "-c", "echo up; exit 4"], "had ended before, with exit code 4"),
    "frozen": (
        PYTHON_ON_TERM.format("SIGTERM", "sys.exit()"),
        "was paused, which no SIGTERM reaches: killed at once",
    ),
}
SETTINGS: dict[str, dict[str, object]] = {
    "by its own signal": {"stop_signal": "USR1"},
    "in spite of it": {"stop_signal": "10"},  # SIGUSR1
    "again and again": {"restart_policy": {"Name": "always"}},
    "never": {"restart_policy": {"Name": "always"}},
}


def waits_for_its_next_start(element: Element) -> bool:
    """Return whether a container was started so often that the engine waits a while before the next time."""
    found = Engine.find().client.api.inspect_container(element.container)
    return bool(found["State"]["Restarting"] and found["RestartCount"] > 3)


def test_a_container_is_asked_to_end_before_it_is_killed(environment: Environment) -> None:
    """What is worth a word is how it ended, unless it ended as it was asked to; it does not start again."""

    def end(how: str) -> str:
        command, _ = ENDINGS[how]
        words = (
            command if isinstance(command, list) else ["python3", "-c", f"{command}while True: time.sleep(9)"]
        )
        added = DockerContainer(PYTHON).with_command(words).with_kwargs(**SETTINGS.get(how, {}))
        environment.add(added.waiting_for(LogMessageWaitStrategy("up")), how.replace(" ", "-"))
        element = environment.element(how.replace(" ", "-"))
        if how == "frozen":
            element.pause()
        try:
            while how == "before" and element.state != "exited":
                element.reload()
            while how == "again and again" and not waits_for_its_next_start(element):
                time.sleep(0.05)
            return element.finish(1.5 if "1.5 s" in ENDINGS[how][1] else 20)
        finally:
            element.reload()
            assert element.state in {"exited", "restarting"}
            element.remove()
            assert element.finish(1.5) == ""

    with ThreadPoolExecutor(len(ENDINGS)) as pool:
        assert dict(zip(ENDINGS, pool.map(end, ENDINGS), strict=True)) == {
            how: said for how, (_, said) in ENDINGS.items()
        }


def test_a_killed_element_is_started_again(environment: Environment) -> None:
    """Its files are still there, its port may be another, and its wait strategy is waited for."""
    environment.add(server().waiting_for(HttpWaitStrategy(8000)), "pages")
    pages = environment.element("pages")
    pages.put("/kept", {"note": b"x"})
    pages.kill()
    assert pages.start() is pages
    assert (pages.state, pages.read("/kept/note")) == ("running", b"x")
    container = pages.container
    assert pages.start().container == container
    pages.pause()
    with pytest.raises(LabError, match=r"call its resume\(\)"):
        pages.start()
    pages.remove()


def test_a_container_that_was_added_can_be_a_context_manager(environment: Environment) -> None:
    """As its users know it: it runs in the block already, and is gone after it."""
    with environment.add(server().waiting_for(HttpWaitStrategy(8000)), "pages") as pages:
        assert pages.exec("true").exit_code == 0
    assert "pages" not in {status.name for status in environment.elements()}


def test_a_containers_labels_do_not_change_what_the_environment_is(environment: Environment) -> None:
    """An image or a user may write labkit's labels; the plan is read from the network, which labkit made."""
    plan = json.dumps({"name": environment.name, "stage": "production", "services": [], "external": []})
    fake = {"labkit.plan": plan[:-1] + ', "containers": []}', "labkit.stage": "production"}
    environment.add(server().with_kwargs(labels=fake), "fake")
    try:
        again = Environment.attach(environment.name, environment.workspace)
        assert (again.stage, again.urls) == ("integration", environment.urls)
    finally:
        environment.element("fake").remove()


def test_a_postgres_container_joins_as_its_users_know_it(environment: Environment) -> None:
    """PostgresContainer on labkit's servers has the user, the password and the database that it asks for."""
    own = PostgresContainer(image=SERVERS, username="ada", password=token_urlsafe() + "'", dbname="tales")
    postgres = environment.add(own)
    try:
        url = postgres.get_connection_url(driver=None)
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT current_user, current_database()").fetchone()
        assert row == ("ada", "tales")
        for user in ("ada", "postgres"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(url, user=user, password=token_urlsafe())
        assert environment.run(["getent", "hosts", "postgres"]).ok
    finally:
        environment.element("postgres").remove()


def test_what_was_added_goes_with_the_environment(workspace: Workspace) -> None:
    """Clean-up takes it and counts it; the use is on record."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        environment_containers = len(Engine.find().owned({Label.ENVIRONMENT: made.name}))
        made.add(server(), "pages")
        assert len(Engine.find().owned({Label.ENVIRONMENT: made.name})) == environment_containers + 1
    assert Engine.find().owned({Label.ENVIRONMENT: made.name}) == []
    used = workspace.artifacts.history(kind=Kind.ENVIRONMENT_USED, environment=made.name)
    assert [fact.predicate["element"] for fact in used if fact.predicate["use"] == "add"] == ["pages"]


def test_a_container_that_cannot_join_is_refused_and_leaves_nothing(environment: Environment) -> None:
    """A taken name, a container that runs already, one that never logs its word, one without an image."""
    before = Engine.find().owned({Label.ENVIRONMENT: environment.name})
    with pytest.raises(LabError, match="a name that no element"):
        environment.add(server(), "database")
    started = server()
    started._container = object()  # as start() would, without a container to clean up
    with pytest.raises(LabError, match="not started"):
        environment.add(started, "pages")
    with pytest.raises(LabError, match=r"DockerContainer\(IMAGE\)"):
        environment.add("redis:7")  # type: ignore[type-var]  # as somebody may write it
    with pytest.raises(LabError, match="take a name of letters"):
        environment.add(server(), "two words")
    silent = LogMessageWaitStrategy("never said").with_startup_timeout(1)
    late = server().waiting_for(silent)
    for _ in range(2):  # it can be tried again, and fails for the same reason
        with pytest.raises(NotReady, match="pages is ready"):
            environment.add(late, "pages")
    with pytest.raises(ImageMissing, match="nobody/has:1"):
        environment.add(DockerContainer("nobody/has:1"), "pages")
    with pytest.raises(NotReady, match="no such luck"):
        environment.add(Unlucky(image=SERVERS))
    assert Engine.find().owned({Label.ENVIRONMENT: environment.name}) == before


# ---- waits ----


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (responds(8000, "/nowhere", 4), r"answers GET /nowhere with 200 within 4 s[\s\S]*it answers 404"),
        (listens(9, 1), "listens at port 9 within 1 s"),
        (succeeds(["cat", "/nowhere"], 1), r"succeeds with cat /nowhere within 1 s[\s\S]*No such file"),
    ],
)
def test_a_wait_says_what_was_waited_for_and_what_was_met(
    environment: Environment, wait: object, words: str
) -> None:
    """The error has what was waited for, the last answer and the last log lines; nothing is left."""
    container = server().with_exposed_ports(9).waiting_for(wait)  # type: ignore[arg-type]  # each is a WaitStrategy
    with pytest.raises(NotReady, match=words):
        environment.add(container, "pages")
    assert "pages" not in {status.name for status in environment.elements()}


def test_a_wait_for_a_container_that_logs_nothing_says_so(environment: Environment) -> None:
    """The next step names no lines then, and can be done however the container was started."""
    silent = server().with_command(["sleep", "60"]).waiting_for(succeeds(["false"], 1))
    with pytest.raises(NotReady, match=r"its log is empty\nnext: +find out what .* then try again"):
        environment.add(silent, "pages")


def test_a_wait_is_cut_short_by_its_event_and_without_one_lasts_to_its_end() -> None:
    """Who waits hears at once that the event was set; without an event the question is asked to the end."""
    stop, asked = threading.Event(), [0]

    def ask() -> bool:
        asked[0] += 1
        stop.set()
        return False

    with pytest.raises(Stopped):
        Deadline(5.0, stop).until(ask)
    assert asked[0] == 1
    assert Deadline(0.05).until(ask) == "no answer"
    assert asked[0] > 1


def test_a_wait_is_met_by_a_server_that_answers(environment: Environment) -> None:
    """Each kind of wait ends when the server is there."""
    for wait in (responds(8000, "/"), listens(8000), succeeds(["test", "-d", "/etc"])):
        environment.add(server().waiting_for(wait), "pages")
        environment.element("pages").remove()


# ---- elements that do not answer ----


def ask_database(environment: Environment) -> object:
    """Ask the database."""
    assert environment.database is not None
    return environment.database.fingerprint()


def ask_coordinator(environment: Environment) -> object:
    """Ask the coordinator."""
    assert environment.coordinator is not None
    return environment.coordinator.get("/key")


def ask_balancer(environment: Environment) -> object:
    """Ask the balancer's runtime API."""
    return environment.balancer.servers("cart")


DEAD: dict[str, Callable[[Environment], object]] = {
    "database": ask_database,
    "stub": lambda environment: environment.stub("payments").calls(),
    "coordinator": ask_coordinator,
    "balancer": ask_balancer,
}
FAULTS: dict[str, Callable[[Element], None]] = {
    "paused": Element.pause,
    "exited": Element.kill,
    "gone": Element.remove,
}
WAKES = {
    "paused": "environment.element('{}').resume()",
    "exited": "environment.element('{}').start()",
    "gone": "labkit environment clean-up",
}


def kill_in_a_restore(environment: Environment) -> None:
    """Kill the database's server in a session that restores; it breaks off with NoAnswer."""
    assert environment.database
    with (
        pytest.raises(NoAnswer, match=r"database of .* answers"),
        environment.database.server.exclusive() as session,
    ):
        environment.element("database").kill()
        session.execute("SELECT 1")


@pytest.mark.parametrize("fault", list(FAULTS))
def test_an_element_that_does_not_answer_says_so_in_three_parts(workspace: Workspace, fault: str) -> None:
    """Paused, killed or removed: the error names the element, its state, and what can be typed."""
    with Environment.create(workspace.system, "staging", workspace=workspace) as made:
        for name, ask in DEAD.items():
            ask(made)
            if (name, fault) == ("database", "exited"):
                kill_in_a_restore(made)
            else:
                FAULTS[fault](made.element(name))
            attached = Environment.attach(made.name, workspace)
            # A paused one costs its whole time-out: once is enough.
            for environment in (attached,) if fault == "paused" else (made, attached):
                with pytest.raises(NoAnswer, match=f"{name}.* answers") as caught:
                    ask(environment)
                if (name, fault) != ("coordinator", "paused"):  # its client knows nothing of its container
                    assert fault in caught.value.seen
                assert WAKES[fault].format(name) in caught.value.next_step
        if fault != "paused":  # the port of a paused one is still published
            with pytest.raises(NoAnswer, match="balancer of"):
                assert Environment.attach(made.name, workspace).url


def test_an_instance_cannot_be_deployed_without_its_balancer(workspace: Workspace) -> None:
    """What needs the balancer raises an error that names it: slow, drain and add_instance."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        (cart,) = made.instances("cart")
        made.element("balancer").kill()
        work: list[Callable[[], object]] = [
            lambda: cart.slow(10),
            lambda: made.balancer.drain(cart),
            lambda: made.add_instance("cart", cart.image),
        ]
        for verb in work:
            with pytest.raises(NoAnswer, match="balancer of"):
                verb()
        assert [instance.name for instance in made.instances("cart")] == ["cart-1"]


def test_an_instance_that_the_balancer_does_not_know_can_be_reconnected(environment: Environment) -> None:
    """A new instance that gets no requests yet goes off the network and comes back."""
    (cart,) = environment.instances("cart")
    new = environment.add_instance("cart", cart.image)
    try:
        new.disconnect()
        states = {status.name: status.state for status in environment.elements()}
        assert (states[new.name], environment.instances("cart")[1].address) == ("disconnected", "")
        new.reconnect()
        assert new.address == environment.instances("cart")[1].address
        environment.balancer.add(new)
        assert environment.element(new.name).state == environment.instances("cart")[1].state == "UP"
    finally:
        environment.remove_instance(new)


def test_a_module_that_is_gone_says_so(workspace: Workspace) -> None:
    """A command in a development environment whose container was removed gets an error that says so."""
    with Environment.create(workspace.system, "development", module="cart", workspace=workspace) as made:
        made.element("module").remove()
        with pytest.raises(NoAnswer, match="its container is gone"):
            made.run("ls")


def test_commands_and_files_of_a_container_that_is_gone_or_frozen_are_refused_with_words(
    workspace: Workspace,
) -> None:
    """What would run in it, or be read from it, is a LabError that says where to look."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        stub, database = made.element("stub"), made.database
        assert database is not None
        stub.pause()
        with pytest.raises(LabError, match=r"is paused[\s\S]*environment\.elements\(\)"):
            stub.execute("true")
        stub.remove()
        work: list[Callable[[], object]] = [
            lambda: stub.execute("true"),
            lambda: stub.read("/etc/hostname"),
            lambda: stub.put("/tmp", {"word": b""}),  # noqa: S108 - a folder in a container
            made.element("stub").to_image,
        ]
        made.element("database").remove()
        for verb in [*work, database.dump, database.snapshot, database.connect]:
            with pytest.raises(LabError, match=r"gone|No such container") as caught:
                verb()
            assert "environment" in caught.value.next_step


def test_a_restarted_balancer_is_found_at_its_new_port(workspace: Workspace) -> None:
    """The runtime API follows a restart, without a new call of element()."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        Engine.find().client.containers.get(made.element("balancer").container).restart(timeout=0)
        deadline = time.monotonic() + 20
        while True:
            try:
                made.balancer.all_servers()
                break
            except NoAnswer:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert made.balancer.get_exposed_port(9999) == made.element("balancer").get_exposed_port(9999)


def test_a_url_is_where_its_server_is_now(workspace: Workspace) -> None:
    """While its server is killed there is none; after a start it is the new one."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        database, stub = made.database, made.stub("payments")
        assert database is not None
        asked: dict[str, Callable[[], object]] = {
            "balancer": lambda: made.url,
            "database": lambda: database.url,
            "stub": lambda: stub.url,
        }
        for name, url in asked.items():
            before = url()
            made.element(name).kill()
            with pytest.raises(NoAnswer, match=f"{name} of") as caught:
                url()
            assert f"environment.element({name!r}).start()" in caught.value.next_step
            made.element(name).start()
            assert url() != before
        with pytest.raises(HTTPError, match="503"):  # by a balancer that has forgotten its servers
            urlopen(made.url)  # noqa: S310 - the environment's own address
        psycopg.connect(database.url.reveal()).close()
        made.element("stub").restart()
        assert stub.calls() == []


def test_an_element_is_started_and_removed_as_testcontainers_does(environment: Environment) -> None:
    """An element is a context manager like every DockerContainer."""
    plain = Engine.find().owned({Label.ENVIRONMENT: environment.name})
    with Element(
        environment.element("stub").namespace, "alone", PYTHON, command=SERVE, ports=[8000]
    ) as element:
        assert isinstance(element.namespace, Namespace)
        assert element.get_exposed_port(8000) > 0
        assert element.execute("echo $((6 * 7))").output.strip() == "42"
        element.put("/words", {"word.txt": b"hello"})
        assert element.read("/words/word.txt") == b"hello"
    assert Engine.find().owned({Label.ENVIRONMENT: environment.name}) == plain


# ---- the recipe of CONTRIBUTING ----

RECIPE = """\
import sys, urllib.request
import labkit
from labkit import Environment, Workspace
workspace = Workspace.open(sys.argv[1])
with Environment.create(workspace.system, "staging", workspace=workspace) as made:
    page = Environment.attach(made.name, workspace).element("stage-page")
    print(labkit.__file__, page.role, urllib.request.urlopen(page.url).read().decode())
with Environment.create(workspace.system, "integration", workspace=workspace) as made:
    print([status.name for status in made.elements() if status.role == "stage-page"])
"""


def test_the_recipe_for_an_element_works_as_it_is_written(workspace: Workspace, tmp_path: Path) -> None:
    """The file in CONTRIBUTING's recipe, in the folder that it names, is all that a new element takes."""
    root = Path(__file__).parents[1]
    text = (root / "CONTRIBUTING.md").read_text().split("## Add an element", 1)[1]
    recipe = text.split("```python\n", 1)[1].split("```", 1)[0]
    for name in ("labkit", "labs"):
        ignored = shutil.ignore_patterns("__pycache__", "*.ipynb")
        shutil.copytree(root / name, tmp_path / name, ignore=ignored)
    shutil.copy(root / "pyproject.toml", tmp_path)
    (tmp_path / "labkit/environment/elements/stage_page.py").write_text(recipe)
    done = subprocess.run(
        [sys.executable, "-c", RECIPE, str(workspace.root)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
    )
    assert done.stdout.split() == [str(tmp_path / "labkit/__init__.py"), "stage-page", "staging", "[]"], (
        done.stderr
    )

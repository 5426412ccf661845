"""What starts after what, what ends while it starts, and services that do not connect to a database again."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from images import remove_images

from labkit import checks
from labkit._uninterruptible import Stopped
from labkit.engine import Engine
from labkit.environment import Environment
from labkit.environment._create import _all
from labkit.environment._order import StartOrder
from labkit.system import System
from labkit.workspace import Workspace

SYSTEM = """\
name = "foreign"
[services.keeper]
port = 8001
calls = ["shy"]
depends_on = ["slow"]
ready = "/"
[services.shy]
port = 8002
ready = "/"
[containers.slow]
image = "labkit/python:1"
command = "sh -c 'sleep 1; exec python3 -m http.server 9000'"
port = 9000
[database]
service = "keeper"
name = "things"
migrations = "migrations"
"""

DOCKERFILE = 'FROM labkit/python:1\nCOPY service.py /\nUSER nobody\nCMD ["python3", "-u", "/service.py"]\n'

SERVE = """
import signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, answer = 200, "ready"
        try:
            answer = things(self.path) if self.path != "/" else answer
        except Exception as problem:
            status, answer = 500, str(problem)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer.encode())

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
ThreadingHTTPServer(("", PORT), Handler).serve_forever()
"""

KEEPER = (
    """\
import os, psycopg, urllib.request
print("keeper starts")
urllib.request.urlopen("http://" + os.environ["SLOW_ADDRESS"])
connection = psycopg.connect(os.environ["DATABASE_URL"])  # one for all requests, and never another
connection.execute("TABLE thing")
PORT = 8001

def things(path):
    if path == "/add":
        connection.execute("INSERT INTO thing SELECT")
        connection.commit()
    return str(connection.execute("TABLE thing").rowcount)
"""
    + SERVE
)

SHY = (
    """\
import pathlib
print("shy starts")
starts = pathlib.Path("/tmp/starts")
starts.write_text(starts.read_text() + "." if starts.exists() else ".")
if len(starts.read_text()) < 3:
    raise SystemExit("not yet")
PORT = 8002
things = str
"""
    + SERVE
)

FUNCTIONAL = """\
import os, urllib.request

def ask(path):
    return urllib.request.urlopen(os.environ["KEEPER_URL"] + path, timeout=9).read().decode()

def test_one_is_added():
    assert ask("/add") == "1"

def test_nothing_is_left_of_another_test():
    assert ask("/count") == "0"

def test_that_is_red():
    assert ask("/count") == "7"
"""

FILES = {
    "system.toml": SYSTEM,
    "migrations/001_thing.sql": "CREATE TABLE thing (id int);",
    "keeper/Dockerfile": DOCKERFILE,
    "keeper/service.py": KEEPER,
    "shy/Dockerfile": DOCKERFILE,
    "shy/service.py": SHY,
    "functional/test_things.py": FUNCTIONAL,
}


def element(name: str, service: str = "") -> Any:
    """Return what an order needs of an element."""
    return SimpleNamespace(name=name, service=service)


def test_an_element_waits_for_all_that_it_depends_on() -> None:
    """A service waits for a container, and for all instances of another service."""
    first, second = element("back-1", "back"), element("back-2", "back")
    redis, front = element("redis"), element("front-1", "front")
    order = StartOrder([first, second, redis, front], {"front": ("redis", "back", "not here")})
    started = threading.Thread(target=order.await_dependencies, args=[front])
    started.start()
    for one in (redis, first, second):
        assert started.is_alive()
        with order.making_ready(one):
            pass
    started.join(5)
    assert not started.is_alive()
    order.await_dependencies(first)  # on which nobody has to wait


def test_who_depends_on_what_fails_stops() -> None:
    """The cause is raised once, where it happened; those that wait for it end with a Stopped."""
    redis, front = element("redis"), element("front-1", "front")
    order = StartOrder([redis, front], {"front": ("redis",)})
    with pytest.raises(ValueError, match="no redis"), order.making_ready(redis):
        message = "no redis"
        raise ValueError(message)
    with pytest.raises(Stopped):
        order.await_dependencies(front)


def test_a_failure_is_raised_while_the_others_still_start() -> None:
    """Nobody waits until the last element is ready to hear that the first one never will be."""
    ended = threading.Event()

    def start_slowly() -> None:
        ended.wait(5)

    def fail() -> None:
        message = "no redis"
        raise ValueError(message)

    with ThreadPoolExecutor() as pool:
        slow, broken = pool.submit(start_slowly), pool.submit(fail)
        with pytest.raises(ValueError, match="no redis"):
            _all([slow, broken])
        assert not slow.done()
        ended.set()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the foreign system and return its folder."""
    folder = tmp_path_factory.mktemp("foreign")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def environment(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Give an environment of it, and leave no image."""
    workspace = Workspace.create(tmp_path_factory.mktemp("learner") / "workspace")
    with Environment.create(System.load(root), "integration", workspace=workspace) as made:
        yield made
    workspace.artifacts.close()
    engine = Engine.find()
    for name in ("keeper", "shy"):
        remove_images(engine, f"labkit/foreign-{name}")
    engine.close()


def starts(environment: Environment, service: str) -> int:
    """Return how often the process of a service has started."""
    return sum(line["message"] == f"{service} starts" for line in environment.logs(service))


@pytest.mark.engine
def test_a_service_starts_when_what_it_depends_on_is_ready(environment: Environment) -> None:
    """Its container listens and its database is migrated: a service that needs both starts once."""
    assert starts(environment, "keeper") == 1


@pytest.mark.engine
def test_a_process_that_ends_while_it_starts_is_started_again(environment: Environment) -> None:
    """The third start succeeds, and the balancer knows the address that the container has since."""
    assert starts(environment, "shy") == 3
    assert httpx.get(f"{environment.urls['shy']}/here").text == "/here"


@pytest.mark.engine
def test_functional_tests_of_a_service_that_never_connects_again(
    environment: Environment, root: Path
) -> None:
    """Each test has the first state and a service that answers; a red test stays red."""
    report = checks.functional(environment, root / "functional")
    red = [finding.rule for finding in report.findings if finding.severity == "error"]
    assert red == ["functional/test_things.py::test_that_is_red"], report.findings
    assert report.evidence["passed"] == 2
    assert report.evidence["restarted"] == ["keeper-1"]

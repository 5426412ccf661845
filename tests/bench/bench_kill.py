"""Owners that are killed by -9 at random moments of their work: what each leaves after five seconds.

Counted are containers, networks, volumes and images with the workspace's labels, processes, and files in the
temporary folder. Production, which its workspace owns, has to be whole or gone. With MOMENT and WORKSPACE as
arguments it does one kind of work, until it is killed.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from labkit import Environment, Workspace, deployment, load, pipeline
from labkit.cli import main
from labkit.engine import Engine, Label, Owner

KILLS = 5
LEFT_AFTER_S = 5.0
READY_S = 240.0
TOKEN = "LABKIT_BENCH_KILL"  # noqa: S105 - the name of a variable by which its processes are found
PRODUCTION = ["environment", "create", "--stage", "production"]

# ---- the work: each yields when the random time begins ----

Work = Callable[[Workspace], Iterator[None]]


@contextmanager
def integration(workspace: Workspace) -> Iterator[Environment]:
    """Give an environment."""
    yield Environment.create(workspace.system, "integration", workspace=workspace)


def create(workspace: Workspace) -> Iterator[None]:
    """Create an environment."""
    yield
    with integration(workspace):
        time.sleep(READY_S)


def use(workspace: Workspace) -> Iterator[None]:
    """Run commands beside the services, and start and remove instances."""
    with integration(workspace) as environment:
        yield
        while True:
            environment.run(["true"])
            (cart, *_) = environment.instances("cart")
            environment.remove_instance(environment.add_instance("cart", cart.image))


def clean_up(workspace: Workspace) -> Iterator[None]:
    """Clean an environment up."""
    with integration(workspace) as environment:
        yield
        environment.clean_up()


def run(workspace: Workspace) -> Iterator[None]:
    """Take the newest commit through the pipeline."""
    yield
    pipeline.run(workspace)


def apply(workspace: Workspace) -> Iterator[None]:
    """Send requests."""
    with integration(workspace) as environment:
        mix: dict[load.Arrival, float] = {load.Request("GET", "/products"): 1}
        yield
        load.apply(load.Load(mix, 50, None), environment.url).wait()


def capture(workspace: Workspace) -> Iterator[None]:
    """Record the requests that come in."""
    with integration(workspace) as environment:
        yield
        while True:
            with environment.capture() as proxy, urllib.request.urlopen(f"{proxy.url}/products"):  # noqa: S310 - http
                pass


def deploy(workspace: Workspace) -> Iterator[None]:
    """Upgrade a service and roll it back."""
    with integration(workspace) as environment:
        fleet = deployment.Fleet(environment, "cart")
        images = [deployment.image_of(workspace, "cart", version) for version in ("v2", "v1")]
        yield
        while True:
            for image in images:
                deployment.rolling(fleet, image)


def restore(workspace: Workspace) -> Iterator[None]:
    """Restore the database by a copy, and by an image of its container."""
    with integration(workspace) as environment:
        database = environment.database
        assert database is not None
        database.snapshot()
        yield
        while True:
            database.restore()
            with database.snapshot_by("container") as kept:
                kept.restore()


def production(workspace: Workspace) -> Iterator[None]:
    """Create production by the command line."""
    yield
    main([*PRODUCTION, "--workspace", str(workspace.root)])


WORK: dict[str, tuple[Work, float]] = {
    "create": (create, 8),
    "use": (use, 6),
    "clean-up": (clean_up, 2),
    "pipeline": (run, 60),
    "load": (apply, 6),
    "capture": (capture, 6),
    "deployment": (deploy, 8),
    "restore": (restore, 6),
    "production": (production, 12),
}
"""Each kind of work, and the most seconds after which it is killed."""


def work(moment: str, root: str) -> None:
    """Do one kind of work, and say when its random time begins."""
    steps = WORK[moment][0](Workspace.open(root))
    next(steps)
    print("begin", flush=True)
    with suppress(StopIteration):
        next(steps)


# ---- what is left of it ----


def processes(token: str) -> list[str]:
    """Return the command lines of the processes that a child has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{TOKEN}={token}".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


def left(engine: Engine, workspace: Workspace, token: str, temporary: Path) -> list[str]:
    """Return all that is there and that no whole production owns."""
    kept = {status.name for status in Environment.list(workspace) if status.complete}
    mine = str(Owner.workspace(workspace.id))
    things = [
        f"{thing.kind} {thing.name}"
        for thing in engine.owned({Label.WORKSPACE: workspace.id})
        if thing.labels.get(Label.ENVIRONMENT) not in kept or thing.labels.get(Label.OWNER) != mine
    ]
    return [*things, *processes(token), *(str(path) for path in temporary.iterdir())]


def whole(workspace: Workspace) -> bool:
    """Return whether production answers or is gone; clean it up."""
    for status in Environment.list(workspace):
        environment = Environment.attach(status.name, workspace)
        with ExitStack() as ends:
            ends.callback(environment.clean_up)
            with urllib.request.urlopen(f"{environment.url}/products", timeout=10) as answer:  # noqa: S310 - http
                if status.stage != "production" or b"sku" not in answer.read():
                    return False
    return True


def killed(engine: Engine, workspace: Workspace, moment: str, number: int, temporary: Path) -> list[str]:
    """Kill one child at a random moment; return what is left of it."""
    token = f"{os.getpid()}-{moment}-{number}"
    variables = os.environ | {TOKEN: token, "TMPDIR": str(temporary)}
    command = [sys.executable, __file__, moment, str(workspace.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begin\n"
        time.sleep(random.uniform(0, WORK[moment][1]))  # noqa: S311 - a moment, not a secret
        child.kill()
    time.sleep(LEFT_AFTER_S)
    found = left(engine, workspace, token, temporary)
    if not whole(workspace):
        found.append("a production that is not whole")
    deadline = time.monotonic() + READY_S
    while (late := left(engine, workspace, token, temporary)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return [*found, *(f"for ever: {name}" for name in late)]


def measure(root: Path) -> None:
    """Kill owners in each kind of work, and print for each how many left nothing."""
    engine, workspace = Engine.find(), Workspace.create(root / "workspace")
    temporary = root / "temporary"
    temporary.mkdir()
    Environment.create(workspace.system, "integration", workspace=workspace).clean_up()  # builds the images
    for moment in WORK:
        found = [killed(engine, workspace, moment, number, temporary) for number in range(KILLS)]
        clean = sum(not names for names in found)
        figure = f"owner killed by -9 in {moment}: nothing left after {LEFT_AFTER_S:g} s"
        line = {"figure": figure, "value": clean, "unit": f"of {KILLS}", "aim": KILLS}
        print(json.dumps({**line, "left": [names for names in found if names]}), flush=True)
    workspace.artifacts.close()
    engine.close()


if __name__ == "__main__":
    if sys.argv[1:]:
        work(*sys.argv[1:])
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))

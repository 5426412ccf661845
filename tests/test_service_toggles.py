"""Toggles in services: two of them in processes of their own, one real etcd."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from coordinators import running_etcd, soon

from labkit.coordination import Coordinator
from labkit.errors import LabError
from labkit.toggles import ToggleStore, switch

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

BACK = """
from starlette.responses import JSONResponse
from starlette.routing import Route
from labkit.service import application, toggle

async def moon(request):
    return JSONResponse({"back": toggle("moon", key=request.query_params.get("key", ""))})

async def undeclared(request):
    return JSONResponse({"sun": toggle("sun")})

app = application([Route("/moon", moon), Route("/sun", undeclared)], toggles=["moon"])
"""
FRONT = """
import asyncio
from starlette.responses import JSONResponse
from starlette.routing import Route
from labkit.service import application, client, toggle

back = client("back")

async def moon(request):
    front = toggle("moon")
    await asyncio.sleep(float(request.query_params.get("hold_s", "0")))
    return JSONResponse({"front": front, **(await back.get("/moon")), "again": toggle("moon")})

app = application([Route("/moon", moon)], clients=[back], toggles=["moon"])
"""


@pytest.fixture(scope="module")
def etcd() -> Iterator[Any]:
    """Run etcd in a container, at one port for its whole life."""
    with running_etcd() as container:
        yield container


@pytest.fixture
def store(etcd: Any) -> Iterator[ToggleStore]:
    """Return a store without any toggle or instance."""
    made = ToggleStore(Coordinator("127.0.0.1", etcd.host_port, 2.0))
    yield made
    for key in made.coordinator.values("/labkit/"):
        made.coordinator.delete(key)


@contextmanager
def served(folder: Path, name: str, **variables: str) -> Iterator[str]:
    """Run a service until the end of the block and give its address; it need not be ready yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    who = {"LABKIT_PORT": port, "LABKIT_SERVICE": name, "LABKIT_INSTANCE": f"{name}-1"}
    command = [sys.executable, "-m", "labkit.service", f"{name}:app"]
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | who | variables, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
def services(store: ToggleStore, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Run two services, of which the first asks the second, ready."""
    (tmp_path / "front.py").write_text(FRONT)
    (tmp_path / "back.py").write_text(BACK)
    with ExitStack() as stack:
        back = stack.enter_context(served(tmp_path, "back", COORDINATOR_URL=store.coordinator.url))
        front = stack.enter_context(
            served(tmp_path, "front", COORDINATOR_URL=store.coordinator.url, BACK_URL=back)
        )
        assert soon(lambda: all(ready(url) for url in (front, back)))
        yield front, back


def readiness(url: str) -> str:
    """Return what a service says of its readiness, "" when nobody answers."""
    try:
        return httpx.get(f"{url}/readyz").text
    except httpx.TransportError:
        return ""


def ready(url: str) -> bool:
    """Return whether a service is ready."""
    return '"ready":true' in readiness(url)


def test_a_request_is_decided_at_one_revision_in_all_services(
    store: ToggleStore, services: tuple[str, str]
) -> None:
    """Its revision is from before the toggle was set, however late the second service answers."""
    front, _ = services
    answers = []

    def ask() -> None:
        answers.append(httpx.get(f"{front}/moon?hold_s=1.5", timeout=20).json())

    early = threading.Thread(target=ask)
    early.start()
    assert not soon(lambda: answers, 0.5)
    store.set("moon")
    assert soon(lambda: httpx.get(f"{front}/moon").json() == {"front": True, "back": True, "again": True})
    early.join()
    assert answers == [{"front": False, "back": False, "again": False}]


def test_the_revision_header_travels_as_baggage_beside_others(
    store: ToggleStore, services: tuple[str, str]
) -> None:
    """A client may choose the revision; other members are kept, and a value that is no number is ignored."""
    _, back = services
    before = store.set("moon", on=False)
    store.set("moon")
    assert soon(lambda: httpx.get(f"{back}/moon").json()["back"])
    for baggage, expected in [
        (f"user=ada,toggles={before};origin=test", False),
        ("user=ada", True),
        ("toggles=soon", True),
        ("x" * 9000, True),
    ]:
        assert httpx.get(f"{back}/moon", headers={"baggage": baggage}).json()["back"] is expected
    lost = httpx.get(f"{back}/moon", headers={"baggage": "toggles=999999"})
    assert (lost.status_code, "999999" in lost.json()["error"]) == (503, True)


def test_services_acknowledge_what_their_code_knows(store: ToggleStore, services: tuple[str, str]) -> None:
    """A switch takes effect in both; one that old code does not know is refused, and breaks a request."""
    front, back = services
    revision = switch(store, "moon", ["front", "back"])
    answer = httpx.get(f"{back}/moon", headers={"baggage": f"toggles={revision}"}).json()
    assert answer == {"back": True}
    assert httpx.get(f"{front}/moon").json() == {"front": True, "back": True, "again": True}
    with pytest.raises(LabError, match="0/2 ready"):
        switch(store, "sun", ["front", "back"], deadline_s=0.5)
    assert httpx.get(f"{back}/sun").status_code == 500


def test_an_instance_to_which_the_store_is_silent_is_not_ready(etcd: Any, services: tuple[str, str]) -> None:
    """It says for how long the store has been silent, and is ready again once the store answers."""
    _, back = services
    etcd.pause()
    try:
        assert soon(lambda: not ready(back))
        assert "the store has been silent for" in readiness(back)
    finally:
        etcd.unpause()
    assert soon(lambda: ready(back))


def test_nobody_is_ready_before_the_toggles_were_listed(tmp_path: Path) -> None:
    """Without its coordinator a service with toggles says so; one without toggles, or alone, needs none."""
    (tmp_path / "back.py").write_text(BACK)
    (tmp_path / "plain.py").write_text("from labkit.service import application\napp = application([])\n")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with served(tmp_path, "back", COORDINATOR_URL=address) as url:
            assert soon(lambda: "toggles: ConnectionError" in readiness(url))
        with served(tmp_path, "plain", COORDINATOR_URL=address) as url:
            assert soon(lambda: "registered" in readiness(url))
            assert "toggles" not in readiness(url)
    with served(tmp_path, "back") as url:
        assert soon(lambda: ready(url))
        assert httpx.get(f"{url}/moon").json() == {"back": False}

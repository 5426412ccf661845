import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from images import remove_images

from labkit._tar import pack
from labkit.engine import BASE, DoctorCheck, Engine, _doctor, _images, doctor
from labkit.engine._recipes import Recipe


def named(checks: list[DoctorCheck]) -> dict[str, DoctorCheck]:
    """Return the checks by name."""
    return {check.name: check for check in checks}


@pytest.fixture
def tag(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let labkit's only image be a small one that is not there yet; return its name."""
    name = f"labkit-test/{uuid.uuid4().hex[:12]}:1"
    inputs = {"Dockerfile": f"FROM {BASE}\nRUN echo {name} > /name\n".encode()}
    monkeypatch.setattr(
        _images, "recipes", lambda: {name: Recipe(name, inputs, lambda _architecture: pack(inputs))}
    )
    monkeypatch.setattr(_images, "SERVERS", name)
    yield name
    remove_images(Engine.find(), name.partition(":")[0])


def fake_git(folder: Path, output: str) -> None:
    """Put a program called git in a folder."""
    program = folder / "git"
    program.write_text(f"#!/bin/sh\necho '{output}'\n")
    program.chmod(0o755)


@pytest.mark.engine
def test_each_check_has_its_threshold_what_was_seen_and_a_next_step_only_when_it_fails() -> None:
    """One line a check, in a fixed order; a line that is ok asks for nothing."""
    checks = doctor()
    assert [check.name for check in checks] == [
        "python",
        "git",
        "engine",
        "images",
        "disk",
        "memory",
        "ports",
    ]
    for check in checks:
        assert check.threshold
        assert check.seen
        assert bool(check.next_step) is not check.ok


def test_no_engine_fails_what_depends_on_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine the doctor still answers; what cannot be known is said to be unknown."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    checks = named(doctor())
    assert checks["engine"].seen == "there is no such socket"
    assert "DOCKER_HOST" in checks["engine"].next_step
    for name in ("images", "disk", "memory"):
        assert (checks[name].ok, checks[name].seen) == (False, "unknown without an engine")
    assert checks["python"].ok
    assert checks["ports"].ok


def test_fix_does_not_start_an_engine_that_is_not_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DOCKER_HOST that does not answer is the user's to correct, also with --fix."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    done: list[object] = []
    assert not named(doctor(fix=True, progress=lambda *words: done.append(words)))["engine"].ok
    assert done == []


@pytest.mark.engine
def test_missing_images_are_named_and_fixed(tag: str) -> None:
    """A missing image fails with its name and next step; --fix builds it."""
    before = named(doctor())["images"]
    assert not before.ok
    assert tag in before.seen
    assert "labkit images build" in before.next_step
    assert named(doctor(fix=True))["images"] == DoctorCheck(
        "images", ok=True, seen="all there", threshold="there and current"
    )


@pytest.mark.engine
def test_a_nearly_full_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less free space than the threshold fails, with the figure and how to free some."""
    free = _doctor.free_bytes(Engine.find())
    assert free
    monkeypatch.setattr(_doctor, "DISK_BYTES", free * 2)
    check = named(doctor())["disk"]
    assert not check.ok
    assert check.seen.endswith("GB free")
    assert "docker system prune" in check.next_step


@pytest.mark.engine
def test_the_disk_of_an_engine_elsewhere_is_measured_by_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote engine's disk is seen from within it; where it cannot be seen, the check says so."""
    monkeypatch.setattr(Engine, "local", property(lambda _engine: False))
    assert named(doctor())["disk"].seen.endswith("GB free")
    monkeypatch.setattr(_doctor, "BASE", "labkit/nowhere:1")
    check = named(doctor())["disk"]
    assert (check.ok, check.seen) == (True, "unknown: the engine's disk cannot be seen from here")


@pytest.mark.engine
def test_too_little_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less memory than the threshold fails with a next step."""
    monkeypatch.setattr(_doctor, "MEMORY_BYTES", 10**15)
    assert "4 GB" in named(doctor())["memory"].next_step


@pytest.mark.parametrize(
    ("output", "ok"), [("git version 2.29.9", False), ("git version 2.30.0 (Apple Git-1)", True)]
)
def test_git_is_asked_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, *, ok: bool
) -> None:
    """Git older than 2.30 fails with a next step."""
    fake_git(tmp_path, output)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    check = _doctor._git()
    assert (check.ok, check.seen) == (ok, output.split()[2])
    assert ("apt-get install git" in check.next_step) is not ok


def test_missing_git_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git gets a line and a next step."""
    monkeypatch.setenv("PATH", str(tmp_path))
    check = _doctor._git()
    assert (check.ok, check.seen) == (False, "not found")


def test_no_free_port_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no port can be opened, the check says what the system said."""

    def refuse(*_: object) -> None:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr("socket.create_server", refuse)
    assert (_doctor._port().ok, _doctor._port().seen) == (False, "Address already in use")

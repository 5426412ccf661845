"""The runner of the parts of `make test`."""

import signal
import subprocess
import sys
from collections.abc import Sequence

import parts
import pytest


def python(code: str) -> list[Sequence[str]]:
    """Return a part of one command, in Python."""
    return [[sys.executable, "-c", code]]


def test_a_part_that_fails_keeps_no_other_from_its_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every line of output names its part; the table at the end has each part's seconds and how it ended."""
    red, green = [*python("raise SystemExit(3)"), *python("print('never')")], python("print('done')")
    monkeypatch.setattr(parts, "PARTS", {"red": red, "green": green})
    assert parts.main([]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert "    green | done" in lines
    assert not any("| never" in line for line in lines)
    table = {line.split()[0]: line.rpartition("| ")[2] for line in lines[-3:]}
    assert table["green"] == "passed"
    assert table["red"].startswith("FAILED")


def test_failed_tests_are_told_once_more_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who sees only the end of a long output still reads which test failed, and why."""
    why = "FAILED tests/test_cart.py::test_discount - assert 15 == 10"
    monkeypatch.setattr(
        parts, "PARTS", {"red": python(f"print({why!r}); print('long ago'); raise SystemExit(1)")}
    )
    assert parts.main([]) == 1
    assert f"      red | {why}" in capfd.readouterr().out.splitlines()[-3:]


def test_one_part_is_run_alone_and_an_unknown_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`make test PART=unit` runs that part; a wrong name is answered with those that there are."""
    monkeypatch.setattr(parts, "PARTS", {"unit": python("print('one')"), "labs": python("print('two')")})
    assert parts.main(["unit"]) == 0
    assert parts.main(["unti"]) == 2
    printed = capfd.readouterr().out
    assert "| one" in printed
    assert "| two" not in printed
    assert "unit, labs" in printed


def test_the_labs_run_in_another_locale_and_time_zone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a lab takes from its author's own machine fails here; other parts see this machine as it is."""
    seen = python("import os; print(os.environ.get('LC_ALL'), os.environ.get('TZ'))")
    monkeypatch.setattr(parts, "PARTS", {"unit": seen, "labs": seen})
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "Europe/Zurich")
    assert parts.main([]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "     labs | C Pacific/Chatham" in lines
    assert "     unit | C.UTF-8 Europe/Zurich" in lines


STOPPED = """\
import sys, parts
parts.PARTS = {"long": [[sys.executable, "-c", "print('begun', flush=True); import time; time.sleep(60)"]]}
sys.exit(parts.main([]))
"""


def test_ctrl_c_ends_what_runs() -> None:
    """The commands get the signal too, so that they can clean up, and the run is a failure."""
    command = [sys.executable, "-u", "-c", STOPPED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=parts.ROOT / "tests") as process:
        assert process.stdout
        assert any(line.endswith("| begun\n") for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 1
    assert "FAILED" in rest

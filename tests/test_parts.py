"""The runner of the parts of `make test`."""

import signal
import subprocess
import sys
from pathlib import Path

import parts
import pytest


def python(code: str) -> list[parts.Job]:
    """Return a part of one job of one command, in Python."""
    return [[[sys.executable, "-c", code]]]


def test_a_part_that_fails_keeps_no_other_from_its_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every line of output names its part; the table at the end has each part's seconds and how it ended."""
    (fails,), (never,), green = (*map(python, ("raise SystemExit(3)", "print('never')", "print('done')")),)
    monkeypatch.setattr(parts, "PARTS", {"red": [[*fails, *never]], "green": green})
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


def test_a_failure_that_names_no_test_is_told_by_its_last_lines(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A linter or another language's tests say why in words of their own."""
    code = "print(*map(str, range(100)), 'not ok 3', sep='\\n'); raise SystemExit(1)"
    monkeypatch.setattr(parts, "PARTS", {"red": python(code)})
    assert parts.main([]) == 1
    told = capfd.readouterr().out.splitlines()[-parts.LAST_LINES - 2 :]
    assert "FAILED" in told[0]
    assert "not ok 3" in told[-2]


def test_lines_of_two_parts_stay_whole(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each is written at once, with its end."""
    many = python("print(*['x' * 50] * 2000, sep='\\n')")
    monkeypatch.setattr(parts, "PARTS", {"one": many, "two": many, "unit": many})
    assert parts.main([]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert sum(line.endswith(f"| {'x' * 50}") and len(line) == 62 for line in lines) == 6000


def test_one_part_is_run_alone_and_an_unknown_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`make test PART=unit` runs that part; a wrong name is answered with those that there are."""
    monkeypatch.setattr(parts, "PARTS", {"unit": python("print('one')"), "labs": python("print('two')")})
    assert parts.main(["unit"]) == 0
    with pytest.raises(SystemExit):
        parts.main(["unti"])
    printed = capfd.readouterr()
    assert "| one" in printed.out
    assert "| two" not in printed.out
    assert "unit, labs" in printed.err


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


def test_each_module_is_in_one_share_and_one_fleet_serves_all_its_tests() -> None:
    """A module that is new is tested without anybody's doing; those of a fleet come last, in one session."""
    found = parts.shares(parts.MODULES, 3)
    assert sorted(path for share in found for path in share) == [
        f"tests/{path.name}" for path in sorted(Path(__file__).parent.glob("test_*.py"))
    ]
    users = ["tests/test_deployment.py", "tests/test_strategies.py", "tests/test_widgets_deployment.py"]
    assert found[-1][-len(users) :] == users
    assert min(map(len, found)) > len(users)


def test_the_newest_python_is_one_more_job(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is given to the script, beside the other parts."""
    monkeypatch.setattr(parts, "PARTS", {"unit": python("print('one')")})
    monkeypatch.setattr(parts, "NEWEST", "echo")
    assert parts.main(["--newest", "python3.99"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert {"     unit | one", "   newest | python3.99"} <= set(lines)


def test_what_only_computes_gives_way_to_what_has_customers(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A request that waits for a processor is a failed one, a unit test that waits is not."""
    seen = python("import os; print(os.nice(0))")
    monkeypatch.setattr(parts, "PARTS", {"unit": seen, "labs": seen})
    assert parts.main([]) == 0
    printed = [line.split(" | ") for line in capfd.readouterr().out.splitlines()]
    niceness = {line[0].strip(): int(line[1]) for line in printed if line[1].isdigit()}
    assert niceness["unit"] > niceness["labs"]


STOPPED = """\
import sys, parts
parts.PARTS = {"long": [[[sys.executable, "-c", "print('begun', flush=True); import time; time.sleep(60)"]]]}
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

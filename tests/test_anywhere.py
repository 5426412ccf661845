"""labkit on anybody's machine: a folder with a space in its path, another locale, another time zone."""

import ast
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from labkit._lock_file import open_lock
from labkit.cli._show import print_problem
from labkit.errors import LabError
from labkit.system import System
from labkit.workspace import Workspace

LABKIT = Path(__file__).parents[1] / "labkit"
LENIENT = LABKIT / "toggles" / "_stale.py"
"""Looks for names of ASCII letters in files of any encoding."""
ELSEWHERE = {"LC_ALL": "C", "LANG": "C", "TZ": "Pacific/Chatham"}


def opens_text(call: ast.Call) -> bool:
    """Return whether a call opens a text file, or reads what a program writes as text."""
    verb = ast.unparse(call.func).rpartition(".")[2]
    given = {argument.arg: ast.unparse(argument.value) for argument in call.keywords}
    modes = {argument.value for argument in call.args if isinstance(argument, ast.Constant)}
    opens = verb in {"open", "fdopen", "NamedTemporaryFile", "TemporaryFile"} and modes & {
        "r",
        "w",
        "a",
        "a+",
    }
    return verb in {"read_text", "write_text"} or given.get("text") == "True" or bool(opens)


def test_no_file_depends_on_the_locale() -> None:
    """Text files are UTF-8 on every machine: each opening of one says so."""
    for path in sorted({*LABKIT.rglob("*.py")} - {LENIENT}):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and opens_text(call):
                given = {argument.arg for argument in call.keywords}
                assert "encoding" in given, f"{path}: {ast.unparse(call)}"


def typed(command: str) -> list[str]:
    """Return the words that a shell makes of a command."""
    return shlex.split(command)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that has a space and an apostrophe in its path."""
    folder = tmp_path / "Anna's labs"
    folder.mkdir()
    return folder


def refused(act: Callable[[], object]) -> str:
    """Return the next step of the error that an act ends with."""
    with pytest.raises(LabError) as caught:
        act()
    return caught.value.next_step


def test_the_command_after_start_can_be_typed(folder: Path) -> None:
    """`labkit start` names `labkit lab` with the folder as one word, in another locale and time zone."""
    place = folder / "the wörkspace"
    command = [sys.executable, "-m", "labkit", "start", str(place)]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env=os.environ | ELSEWHERE, check=True
    )
    assert typed(done.stdout.partition("next: ")[2]) == ["labkit", "lab", str(place)]
    index = (place / "labs" / "index.ipynb").read_text(encoding="utf-8")
    assert "How far you are" in index
    again = [sys.executable, "-c", "from labkit import Workspace; print(Workspace.open().root)"]
    opened = subprocess.check_output(again, cwd=place / "labs", encoding="utf-8", env=os.environ | ELSEWHERE)
    assert opened.rstrip("\n") == str(place)


def test_the_next_steps_of_errors_can_be_typed(folder: Path) -> None:
    """A path in a command is one word: of a workspace, of a system, of a lock."""
    start = refused(lambda: Workspace.open(folder))
    assert typed(start)[-3:] == ["labkit", "start", str(folder)]
    (folder / "system.toml").mkdir()
    read = refused(lambda: System.load(folder))
    assert typed(read)[-3:] == ["ls", "-l", str(folder / "system.toml")]
    lock = folder / "one.lock"
    lock.symlink_to(folder / "nowhere")
    remove = refused(lambda: open_lock(lock)).partition("there: ")[2]
    assert typed(remove) == ["rm", str(lock)]


def test_a_narrow_terminal_breaks_no_path(folder: Path) -> None:
    """A path in an error stays in one line, so that it can be copied; the words around it are wrapped."""
    printed = io.StringIO()
    terminal = Console(width=40, file=printed)
    place = folder / "a long name" / "of a folder"
    print_problem(
        LabError("a workspace", "none", f"make one: labkit start {shlex.quote(str(place))}"), to=terminal
    )
    lines = printed.getvalue().splitlines()
    assert shlex.quote(str(place)) in {line.strip() for line in lines}
    assert "next:     make one: labkit start" in lines

"""Gates and strategies are open: a table in pipeline.toml, a decorator, or another package brings one."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit.deployment import WatchLimits, everybody, share
from labkit.errors import LabError
from labkit.pipeline import Pipeline, gate

Install = Callable[..., None]

DEVELOPMENT = '[[stages]]\nname = "development"\ntrigger = "commit"\n'
PRODUCTION = '[[stages]]\nname = "production"\ntrigger = "commit"\ngates = []\n'
LINT = '[gates.lint]\nrun = "ruff check ."\n'
GATE = """
from labkit.pipeline import Answer, gate
@gate("{0}", stages={{"development"}}, options=lambda table: table.whole("most", default=3))
def ask(context):
    yield Answer(None)
"""
STRATEGY = """
from labkit.deployment import rolling, strategy
@strategy("{0}", options=lambda table: {{"surge": table.whole("at_once", default=2)}})
def deploy(fleet, image, *, surge, health, on_event=None):
    return rolling(fleet, image, surge=surge, health=health, on_event=on_event)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a package with one module and one entry point, as pip leaves it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package: str, code: str, name: str, group: str = "gates") -> None:
        (tmp_path / f"{package}.py").write_text(code)
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[labkit.{group}]\n{name} = {package}\n")

    return install


def load(folder: Path, text: str) -> Pipeline:
    """Read a pipeline.toml with this text."""
    (folder / "pipeline.toml").write_text(text)
    return Pipeline.load(folder)


def lists(*gates: str, stage: str = DEVELOPMENT) -> str:
    """Return a pipeline.toml with one stage that lists the gates."""
    return f"{stage}gates = {list(gates)!r}\n"


def test_a_package_brings_a_gate_and_is_imported_when_it_is_named(tmp_path: Path, install: Install) -> None:
    """An installed package that nobody names is left alone; a named one reads its own table."""
    install("house_gates", GATE.format("house"), "house")
    load(tmp_path, lists("unit"))
    assert "house_gates" not in sys.modules
    assert load(tmp_path, lists("unit", "house")).options["house"] == 3
    assert load(tmp_path, lists("house") + "[gates.house]\nmost = 5\n").options["house"] == 5
    with pytest.raises(LabError, match=r"pipeline\.toml, gates\.house\.mots") as raised:
        load(tmp_path, lists("house") + "[gates.house]\nmots = 5\n")
    assert "write most instead of mots" in raised.value.next_step


@pytest.mark.parametrize(
    ("package", "code", "seen"),
    [
        ("house_broken", "import nonesuch\n", "No module named 'nonesuch'"),
        ("house_empty", "", "registers no 'house_empty'"),
        ("house_taken", GATE.format("unit"), "of house_taken, and of labkit.pipeline.gates.unit"),
    ],
)
def test_a_package_that_brings_no_gate_is_reported_with_its_name(
    tmp_path: Path, install: Install, package: str, code: str, seen: str
) -> None:
    """It cannot be imported, or registers nothing of its own name: the error names stage and package."""
    install(package, code, package)
    with pytest.raises(LabError) as raised:
        load(tmp_path, lists(package))
    assert raised.value.expected.startswith(f"pipeline.toml, stages[1].gates: '{package}' of labkit.gates")
    assert seen in raised.value.seen
    assert f"pip uninstall {package}" in raised.value.next_step


def test_two_packages_with_one_name_are_refused(tmp_path: Path, install: Install) -> None:
    """Nobody could say which of the two is meant."""
    for package in ("house_one", "house_two"):
        install(package, GATE.format("both"), "both")
    with pytest.raises(LabError, match="house_one") as raised:
        load(tmp_path, lists("both"))
    assert "house_two" in raised.value.seen


def test_a_gate_names_stages_that_there_are() -> None:
    """A misspelt stage is an error of the decorator: the gate could never be listed."""
    with pytest.raises(LabError, match="develpment"):
        gate("house_misspelt", stages={"develpment"})


@pytest.mark.parametrize("folder", ["..", "/etc", "tests/../../other"])
def test_a_gates_folder_lies_in_the_commit(tmp_path: Path, folder: str) -> None:
    """Its files go into a container in which the commit's code runs: no other folder's may."""
    stage = lists("functional", stage=DEVELOPMENT.replace("development", "integration"))
    with pytest.raises(LabError, match=r"pipeline\.toml, gates\.functional\.folder: a folder of the commit"):
        load(tmp_path, f'{stage}[gates.functional]\nfolder = "{folder}"\n')


def test_a_table_with_a_command_is_a_gate_of_every_stage_before_production(tmp_path: Path) -> None:
    """Its name is free, and two commands have a table each."""
    spell = '[gates.spell]\nrun = "codespell"\nimage = "tools:1"\ntimeout_s = 5\n'
    pipeline = load(tmp_path, lists("lint", "unit", "spell") + LINT + spell)
    assert (pipeline.options["lint"].run, pipeline.options["lint"].image) == ("ruff check .", None)
    assert (pipeline.options["spell"].image, pipeline.options["spell"].timeout_s) == ("tools:1", 5)
    assert pipeline.gates["lint"].ask is pipeline.gates["spell"].ask
    assert pipeline.gates["lint"].stages == {"development", "integration", "staging"}


@pytest.mark.parametrize(
    ("text", "place", "next_step"),
    [
        (lists("lint"), "stages[1].gates", "or write [gates.lint] with run"),
        (lists("lint") + LINT.replace("run", "rnu"), "stages[1].gates", "or write [gates.lint] with run"),
        (lists() + LINT.replace("run", "rnu"), "gates.lint", "write run"),
        (lists("lint") + LINT + "timeout = 3\n", "gates.lint.timeout", "write timeout_s instead"),
        (lists("lint") + LINT.replace('"ruff check ."', "3"), "gates.lint.run", "write a command"),
        (lists("lint") + LINT.replace('"ruff check ."', '""'), "gates.lint.run", "write a command"),
        (lists("unit") + "[gates.unit]\nrun = 'x'\n", "gates.unit.run", "take run out"),
        (lists("lint", stage=PRODUCTION.replace("gates = []\n", "")) + LINT, "stages[1].gates", "remove"),
        ('gates.lint = "ruff"\n' + lists("unit"), "gates.lint", "write a table, [gates.lint]"),
        (PRODUCTION + 'strategy = "canry"\n', "stages[1].strategy", "write canary instead"),
        (lists() + 'strategy = "canary"\n', "stages[1].strategy", "take strategy out"),
        (PRODUCTION + "[strategies.canry]\n", "strategies.canry", "write canary instead"),
        (PRODUCTION + "[strategies.rolling]\nsurge = 0\n", "strategies.rolling.surge", "write surge = 1"),
        (PRODUCTION + "[strategies.rolling]\nsurge = 1.5\n", "strategies.rolling.surge", "a whole number"),
        (
            PRODUCTION + "[strategies.blue_green]\nsurge = 1\n",
            "strategies.blue_green.surge",
            "take surge out",
        ),
        (PRODUCTION + "[strategies.canary]\nsteps = [25, 5]\n", "strategies.canary.steps", "correct steps"),
        (PRODUCTION + "[strategies.canary]\nsteps = [100]\n", "strategies.canary.steps", "correct steps"),
        (PRODUCTION + "[strategies.canary]\nsteps = [true]\n", "strategies.canary.steps", "correct steps"),
        (PRODUCTION + "[strategies.canary]\nerror_share = -1\n", "strategies.canary.error_share", "correct"),
    ],
)
def test_a_mistake_in_a_gate_or_strategy_is_reported_with_file_key_and_fix(
    tmp_path: Path, text: str, place: str, next_step: str
) -> None:
    """Whatever is wrong, the error says where it stands and what to write instead, before anything runs."""
    with pytest.raises(LabError) as raised:
        load(tmp_path, text)
    assert raised.value.expected.startswith(f"pipeline.toml, {place}:")
    assert next_step in raised.value.next_step


def test_production_is_upgraded_by_the_strategy_that_the_file_names(tmp_path: Path) -> None:
    """Each strategy has its own keys, and all have limits; without a name it is a rolling upgrade."""
    assert [*load(tmp_path, PRODUCTION).strategies] == ["rolling"]
    canary = "[strategies.canary]\nsteps = [5, 25, 100]\nwatch_s = 3\nerror_share = 0.1\np99_ms = 90\n"
    pipeline = load(tmp_path, f'{PRODUCTION}strategy = "canary"\n{canary}[strategies.rolling]\nsurge = 2\n')
    assert pipeline.stages[0].strategy == "canary"
    assert pipeline.strategies["canary"].limits == WatchLimits(0.1, 90)
    keywords = {name: chosen.deploy.keywords for name, chosen in pipeline.strategies.items()}
    assert keywords["canary"] == {"to": share(0.05, 0.25), "least_requests": 1, "watch_s": 3}
    assert keywords["rolling"] == {"surge": 2, "unavailable": 0, "watch_s": 1}
    plain = load(tmp_path, f'{PRODUCTION}strategy = "canary"\n').strategies["canary"]
    assert plain.deploy.keywords["to"] == everybody()


def test_a_package_brings_a_strategy(tmp_path: Path, install: Install) -> None:
    """Its name stands in the stage, its own keys in its table."""
    install("house_strategies", STRATEGY.format("by_two"), "by_two", "strategies")
    pipeline = load(tmp_path, f'{PRODUCTION}strategy = "by_two"\n[strategies.by_two]\nat_once = 4\n')
    assert pipeline.strategies["by_two"].deploy.keywords == {"surge": 4}

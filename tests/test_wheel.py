import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
DATA = re.compile(r"^pipeline_labkit-[^/]+\.data/data/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    """Build the wheel; the panel is taken as it was built for the installation that is tested."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    variables = os.environ | {"SKIP_JUPYTER_BUILDER": "1"}
    built = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    with ZipFile(next(folder.glob("*.whl"))) as opened:
        yield opened


def test_the_wheel_carries_every_lab_without_its_solution(wheel: ZipFile) -> None:
    """Each notebook but an instructor's is in the wheel as a learner's copy: no solution, check or result."""
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("labs/**/*.ipynb")}
    solved = {name for name in found if not name.startswith("labs/instructor/")}
    carried = [name for name in wheel.namelist() if name.endswith(".ipynb")]
    assert {name.removeprefix("labkit/course/") for name in carried} == solved | {"labs/glossary.ipynb"}
    for name in carried:
        cells = json.loads(wheel.read(name))["cells"]
        source = "".join("".join(cell["source"]) for cell in cells)
        assert "### BEGIN" not in source
        assert not any(cell.get("outputs") for cell in cells)


def test_the_wheel_carries_the_shop_and_no_answers(wheel: ZipFile) -> None:
    """The system under deployment and the rubrics come along; wrong answers and the build hook do not."""
    names = wheel.namelist()
    shop = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("labs/shop/**/*.toml")}
    shop |= {path.relative_to(ROOT).as_posix() for path in ROOT.glob("labs/*/rubric.toml")}
    assert shop <= {name.removeprefix("labkit/course/") for name in names}
    assert [name for name in names if re.search(r"wrong-answers|_wheel\.py|\.pyc$|_cache/", name)] == []


def test_the_wheel_has_the_plugin_of_pytest(wheel: ZipFile) -> None:
    """The plugin's entry point, the file that it reads, and the extra that it needs come along."""
    names = wheel.namelist()
    assert "labkit/nbval/sanitize.cfg" in names
    entries = next(name for name in names if name.endswith("entry_points.txt"))
    assert "[pytest11]\nlabkit.nbval = labkit.nbval" in wheel.read(entries).decode()
    metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
    assert "Requires-Dist: nbval>=0.11; extra == 'nbval'" in wheel.read(metadata).decode()


def test_the_wheel_puts_the_panel_where_jupyterlab_finds_it(wheel: ZipFile) -> None:
    """The built panel, the server's switch and the setting against news pop-ups are data of the wheel."""
    data = {DATA.sub("", name): name for name in wheel.namelist() if DATA.match(name)}
    panel = json.loads(wheel.read(data["share/jupyter/labextensions/labkit/package.json"]))
    entry = panel["jupyterlab"]["_build"]["load"]
    assert f"share/jupyter/labextensions/labkit/{entry}" in data
    switch = json.loads(wheel.read(data["etc/jupyter/jupyter_server_config.d/labkit.json"]))
    assert switch["ServerApp"]["jpserver_extensions"] == {"labkit.jupyter": True}
    settings = json.loads(wheel.read(data["share/jupyter/lab/settings/overrides.d/labkit.json"]))
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


def test_the_panels_lock_file_names_no_host() -> None:
    """The panel's packages can come from any registry."""
    assert not re.search(r"https?:|archiveUrl", (ROOT / "extension" / "yarn.lock").read_text())

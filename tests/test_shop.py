"""labs/shop: its own unit tests, in all versions, and what two versions do to one cart."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from labkit.workspace._repository import VERSIONS

SHOP = Path(__file__).parents[1] / "labs" / "shop"
SERVICES = ("storefront", "cart", "catalog", "providers")
VERSION_2 = SHOP / "versions" / "v2"


def run_tests(folder: Path) -> None:
    """Run a service's unit tests as its own pytest run."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    plain = os.environ | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"
    }  # as in labkit/build, where there are no plugins
    done = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def pricing(folder: Path) -> ModuleType:
    """Load a version's prices."""
    spec = importlib.util.spec_from_file_location("pricing", folder / "cart" / "pricing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("service", SERVICES)
def test_the_unit_tests_of_each_service_are_green(service: str) -> None:
    """Every service of version 1 passes its own tests by plain pytest in its own folder."""
    run_tests(SHOP / service)


@pytest.mark.parametrize("version", [name for name, version in VERSIONS.items() if version.base])
def test_the_unit_tests_of_later_versions_are_green(version: str, tmp_path: Path) -> None:
    """Each version, laid over those that it stands on, passes its own tests and theirs."""
    shutil.copytree(SHOP / "cart", tmp_path / "cart")
    overlays: list[str] = []
    name = version
    while name:  # from the version down to the first, whose files lie in the folder itself
        overlays[:0] = VERSIONS[name].overlays
        name = VERSIONS[name].base
    for overlay in overlays:
        shutil.copytree(SHOP / "versions" / overlay, tmp_path, dirs_exist_ok=True)
    run_tests(tmp_path / "cart")


def test_a_cart_touched_by_both_versions_is_discounted_twice_or_not_at_all() -> None:
    """Each version alone is right; together they are wrong in both directions."""
    first, second = pricing(SHOP), pricing(VERSION_2)
    paid = {
        (adds.__name__ + str(n), totals.__name__ + str(m)): totals.total_cents(
            [adds.line_price_cents(1000, 1, 10)], 10
        )
        for n, adds in ((1, first), (2, second))
        for m, totals in ((1, first), (2, second))
    }
    assert list(paid.values()) == [900, 810, 1000, 900]


@pytest.mark.parametrize("folder", [*(SHOP / name for name in SERVICES[:3]), VERSION_2 / "cart"])
def test_each_service_has_what_a_service_has(folder: Path) -> None:
    """A contract with its version, a lock file with hashes, and an image made in two stages."""
    contract = json.loads(folder.joinpath("openapi.json").read_text())
    assert contract["info"]["version"] == ("2.0.0" if VERSION_2 in folder.parents else "1.0.0")
    if VERSION_2 in folder.parents:
        return
    locked = [line for line in folder.joinpath("requirements.lock").read_text().splitlines() if "==" in line]
    assert all(line.endswith("\\") for line in locked)
    assert folder.joinpath("Dockerfile").read_text().count("\nFROM ") == 2


def test_what_the_services_lock_is_in_the_wheelhouse() -> None:
    """A build without a network finds every version that a service locks."""
    wheelhouse = SHOP.joinpath("wheelhouse.lock").read_text()
    for service in SERVICES:
        for line in SHOP.joinpath(service, "requirements.lock").read_text().splitlines():
            assert "==" not in line or line in wheelhouse


def test_the_stubs_answer_what_the_services_ask() -> None:
    """What the shop sends to its external services has an answer in system.toml."""
    external = tomllib.loads(SHOP.joinpath("system.toml").read_text())["external"]
    assert "POST /payments" in external["payments"]["stub"]
    assert "GET /rates/{base}" in external["rates"]["stub"]


def test_the_page_needs_nothing_from_elsewhere_and_names_its_language() -> None:
    """The storefront's page works without any other host, and says its language and title."""
    page = SHOP.joinpath("storefront", "page.html").read_text()
    assert "http://www.w3.org/2000/svg" in page
    assert page.count("http://") + page.count("https://") == 1
    assert '<html lang="en">' in page
    assert "<title>" in page

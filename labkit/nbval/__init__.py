"""Runs labs under nbval as they are read: `pytest --nbval-lax NOTEBOOKS`, and nothing else, runs a course.

It is at work only on notebooks with `metadata.labkit`. pytest loads this module whenever it starts, so the
module imports nothing but pytest; the rest comes with `--nbval` or `--nbval-lax`.
"""

import pytest

STORE = "--labkit-store-outputs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option that stores results."""
    words = "with --nbval-lax: store the outputs of cells tagged nbval-check-output instead of comparing them"
    parser.getgroup("labkit", "labs of labkit").addoption(STORE, action="store_true", help=words)


def pytest_configure(config: pytest.Config) -> None:
    """Go to work where nbval does; without nbval there is no such option."""
    if config.getoption("nbval", default=False) or config.getoption("nbval_lax", default=False):
        from labkit.nbval._labs import Labs  # noqa: PLC0415 - not at each start of pytest

        config.pluginmanager.register(Labs(store=config.getoption(STORE)), "labkit-labs")

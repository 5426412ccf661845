"""Finds the course's material: inside an installed package, or in the checkout that labkit is run from."""

from pathlib import Path

from labkit.errors import LabError

PACKAGE = Path(__file__).parents[1]


def course() -> Path:
    """Return the folder with `labs/` and `datasets/`.

    :raises LabError: when the installation has none.
    """
    for folder in (PACKAGE / "course", PACKAGE.parent):
        if folder.joinpath("labs", "shop", "system.toml").is_file():
            return folder
    raise LabError(
        "the course's material beside labkit", f"none at {PACKAGE}", "install pipeline-labkit again"
    )

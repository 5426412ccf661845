"""labkit teaches the deployment pipeline by experiment, on real containers.

The names below are what a notebook imports. They are loaded when first used, so that `import labkit` costs
milliseconds although the rooms behind it stand on large libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.artifacts import ArtifactDatabase
    from labkit.environment import Environment
    from labkit.system import System
    from labkit.workspace import Workspace

__all__ = ["ArtifactDatabase", "Environment", "LabError", "System", "Workspace", "__version__"]

_ROOMS = {
    "ArtifactDatabase": "labkit.artifacts",
    "Environment": "labkit.environment",
    "System": "labkit.system",
    "Workspace": "labkit.workspace",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is the room's; type checkers read the imports above
    """Load the room of a public name on first use (PEP 562)."""
    if name == "__version__":
        return import_module("importlib.metadata").version("pipeline-labkit")
    if name in _ROOMS:
        return getattr(import_module(_ROOMS[name]), name)
    message = f"module 'labkit' has no attribute {name!r}"
    raise AttributeError(message)

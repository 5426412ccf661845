"""The server extension of JupyterLab's Pipeline panel: the workspace's environments and runs as JSON.

The server stores nothing. It reads every answer from the engine's labels and the artifact database, so the
panel also shows what a notebook, a terminal or another server did. Three requests, all authenticated:

GET    labkit/state                  environments, runs, and the problems met while reading them
DELETE labkit/environments/<name>    cleans an environment up; 204 when nothing of it is left
POST   labkit/runs/<id>/approve      lets a waiting run go on into production; 204

An error that the user can fix is answered as JSON with `expected`, `seen` and `next_step`. When something
changes, the server emits the event `CHANGED` on Jupyter's event bus, and the panel asks for the state again.
"""

from typing import Any

from labkit.jupyter._app import PipelinePanel
from labkit.jupyter._changes import CHANGED

__all__ = ["CHANGED", "PipelinePanel"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell the Jupyter server what to load."""
    return [{"module": "labkit.jupyter", "app": PipelinePanel}]

"""Live pictures and controls. Each has three views: the picture, the same facts as a table, and the code.

This is the only room that imports ipywidgets and IPython's display. A widget reads what it shows from the
artifact database or the engine, so a reopened notebook shows the truth.
"""

from labkit.widgets._audit import audit
from labkit.widgets._board import PipelineBoard, board
from labkit.widgets._deployment_board import DeploymentBoard, deployment_board
from labkit.widgets._forms import choice_form, number_form, rephrase_errors, show, text_form
from labkit.widgets._graph import ServiceGraph, service_graph
from labkit.widgets._picture import EnvironmentView, environment
from labkit.widgets._request import request
from labkit.widgets._rollout import rollout
from labkit.widgets._run import run, run_button
from labkit.widgets._survey import survey
from labkit.widgets._table import Table, collapsible, link, note

__all__ = [
    "DeploymentBoard",
    "EnvironmentView",
    "PipelineBoard",
    "ServiceGraph",
    "Table",
    "audit",
    "board",
    "choice_form",
    "collapsible",
    "deployment_board",
    "environment",
    "link",
    "note",
    "number_form",
    "rephrase_errors",
    "request",
    "rollout",
    "run",
    "run_button",
    "service_graph",
    "show",
    "survey",
    "text_form",
]

"""Live widgets and finished pictures. Each shows a picture, the same facts as a table, and the code.

What lives is a class, an ipywidgets widget with traits to observe and to link. All have `state` and
`running`, and `selected` where a part can be selected:

| widget | what it follows |
|---|---|
| `PipelineBoard` | a run of the pipeline: its stages and gates |
| `EnvironmentView` | the elements of an environment |
| `DeploymentBoard` | a fleet, with the controls that deploy to it |
| `ToggleBoard` | the toggles of a fleet, with the controls that switch them |
| `AuditProgress` | an audit of a test database, until there is its report |

`RubricForm` asks a person to judge answers by the rows of a rubric, one answer after the other.

What is finished is a function that returns a `Picture`, plain display data: `audit`, `survey`, `request`,
`rollout`, `service_graph`. A live widget leaves such a picture behind.

This is the only room that imports ipywidgets, traitlets and IPython's display. A widget reads what it shows
from the artifact database or the engine, so a reopened notebook shows the truth.
"""

from labkit.widgets._audit import audit
from labkit.widgets._audit_progress import AuditProgress
from labkit.widgets._board import PipelineBoard
from labkit.widgets._deployment_board import DeploymentBoard
from labkit.widgets._environment import EnvironmentView
from labkit.widgets._forms import choice_form, show, text_form
from labkit.widgets._graph import service_graph
from labkit.widgets._kernel import refuse_cells, rephrase_errors
from labkit.widgets._picture import Picture
from labkit.widgets._request import request
from labkit.widgets._rollout import rollout
from labkit.widgets._rubric_form import AnswerToJudge, RubricForm
from labkit.widgets._run import run, run_button
from labkit.widgets._survey import survey
from labkit.widgets._table import Table, collapsible, link, note, page
from labkit.widgets._toggle_board import ToggleBoard

__all__ = [
    "AnswerToJudge",
    "AuditProgress",
    "DeploymentBoard",
    "EnvironmentView",
    "Picture",
    "PipelineBoard",
    "RubricForm",
    "Table",
    "ToggleBoard",
    "audit",
    "choice_form",
    "collapsible",
    "link",
    "note",
    "page",
    "refuse_cells",
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

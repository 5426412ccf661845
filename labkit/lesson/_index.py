"""The map of the course: every lab, and how far the learner has come."""

from collections.abc import Iterator, Sequence

from labkit import widgets
from labkit.artifacts import Kind
from labkit.workspace import LabNotebook, Workspace, labs

COLUMNS = ("lab", "minutes", "teaches", "exercise", "how far")
CLEANED_UP = "clean-up"


def index() -> None:
    """Show the labs of the workspace in their order, which of them are done, and which comes next.

    A lab is done when its check has passed and its question is answered.

    :raises LabError: when the notebook lies in no workspace.
    """
    workspace = Workspace.open()
    course = labs(workspace.root)
    states = dict(zip((lab.slug for lab in course), _states(workspace, course), strict=True))
    links = [widgets.page(lab.path.relative_to("labs").as_posix(), lab.title) for lab in course]
    rows = [
        (link, lab.minutes, " ".join(lab.rows), lab.asks, states[lab.slug])
        for link, lab in zip(links, course, strict=True)
    ]
    widgets.show(widgets.Table(COLUMNS, rows, "the labs"))
    if coming := next((lab for lab in course if states[lab.slug] != "✓ done"), None):
        widgets.show(widgets.note(f"next: {coming.title}"))


def _states(workspace: Workspace, course: Sequence[LabNotebook]) -> Iterator[str]:
    """Yield for each lab how far the learner has come in it."""
    kinds = (Kind.CHECKED, Kind.REFLECTED, Kind.PREDICTED)
    facts = [fact for kind in kinds for fact in workspace.artifacts.history(kind=kind)]
    for lab in course:
        own = [fact for fact in facts if fact.subject.name == f"lab/{lab.slug}"]
        checked = any(
            fact.predicate["passed"]
            for fact in own
            if fact.kind is Kind.CHECKED and fact.predicate["check"] != CLEANED_UP
        )
        reflected = any(fact.kind is Kind.REFLECTED for fact in own)
        yield "✓ done" if checked and reflected else "check passed" if checked else "begun" if own else ""

"""Learner copies of the solved notebooks: no solution, no hidden check, the same bytes on every rebuild.

The markers are nbgrader's (https://nbgrader.readthedocs.io), so that other tools can read them.
"""

import re
from pathlib import Path

import nbformat

from labkit.errors import LabError
from labkit.workspace import course

SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION\n(?:.*\n)*?[ \t]*### END SOLUTION[ \t]*$", re.MULTILINE
)
HIDDEN = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN HIDDEN TESTS\n(?P<tests>(?:.*\n)*?)[ \t]*### END HIDDEN TESTS[ \t]*$",
    re.MULTILINE,
)
YOURS = "...  # yours to write"


def learner_notebooks(root: Path | None = None) -> dict[str, bytes]:
    """Return the learner copy of every lab, by its path in a workspace.

    root is the folder with `labs/`; None takes labkit's own course.

    :raises LabError: when a lab is no notebook or a marker has no partner.
    """
    root = root or course()
    return {
        path.relative_to(root).as_posix(): release_notebook(path)
        for path in sorted(root.glob("labs/[0-9]*/*.ipynb"))
    }


def release(source: Path, destination: Path) -> list[Path]:
    """Write the learner copy of every lab in source/labs below destination; return the paths written.

    All copies are made before the first is written, so a mistake in one lab leaves destination as it was.

    :raises LabError: when a lab is no notebook or a marker has no partner.
    """
    written = []
    for name, content in learner_notebooks(source).items():
        path = destination / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(path)
    return written


def release_notebook(path: Path) -> bytes:
    """Return the learner copy of one solved notebook; a learner copy stays as it is.

    A solution becomes one line to fill, and hidden checks become a line that says how many there are. Outputs
    and execution counts are removed; cell ids stay.

    :raises LabError: when the file is no notebook or a marker has no partner.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError) as fault:
        raise LabError("a Jupyter notebook", f"{path}: {fault}", "save it again from JupyterLab") from fault
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = _learner_source(cell.source, path)
    notebook.metadata.pop("widgets", None)
    text: str = nbformat.writes(notebook)
    return f"{text}\n".encode()


def _learner_source(source: str, path: Path) -> str:
    source = SOLUTION.sub(lambda match: match["indent"] + YOURS, source)
    source = HIDDEN.sub(_announcement, source)
    if re.search(r"^\s*### (BEGIN|END) (SOLUTION|HIDDEN TESTS)", source, re.MULTILINE):
        line = next(line for line in source.splitlines() if "### " in line)
        raise LabError(
            "each ### BEGIN … with its ### END …", f"{path}: {line.strip()!r} alone", "add its partner"
        )
    return source


def _announcement(match: re.Match[str]) -> str:
    """Return the line that replaces hidden tests; lesson reads the number in it, to tell the learner."""
    count = len(re.findall(r"^\s*assert\b", match["tests"], re.MULTILINE))
    return f"{match['indent']}# {count} more {'check runs' if count == 1 else 'checks run'} when graded"

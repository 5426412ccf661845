"""Learner copies of the solved notebooks: no solution, no hidden check, the same bytes on every rebuild.

The markers are nbgrader's (https://nbgrader.readthedocs.io), so that other tools can read them.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat

from labkit.errors import LabError
from labkit.grading._thread import (
    END,
    GLOSSARY,
    INDEX,
    draw_map,
    glossary,
    glossary_notebook,
    link_words,
    tie,
)
from labkit.workspace import LabNotebook, course, labs

SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION\n(?:.*\n)*?[ \t]*### END SOLUTION[ \t]*$", re.MULTILINE
)
HIDDEN = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN HIDDEN TESTS\n(?P<tests>(?:.*\n)*?)[ \t]*### END HIDDEN TESTS[ \t]*$",
    re.MULTILINE,
)
FOLDED = {"predict", "check", "reflect", "machinery"}
"""Tags of cells whose source a learner unfolds: what they show says it better, or it is not the subject."""
YOURS = "...  # yours to write"


def learner_notebooks(root: Path | None = None) -> dict[str, bytes]:
    """Return the learner copy of every lab, of the index and of the glossary, by its path in a workspace.

    root is the folder with `labs/`; None takes labkit's own course. A notebook without labkit's metadata has
    no place in the thread.

    :raises LabError: when a lab is no notebook or a marker has no partner.
    """
    root = root or course()
    words, known = glossary(root), labs(root)
    copies = {}
    for path in sorted((*root.glob("labs/[0-9]*/*.ipynb"), *root.glob(INDEX))):
        notebook = _learner_copy(path)
        _thread(notebook, path.relative_to(root), known, words)
        copies[path.relative_to(root).as_posix()] = _bytes(notebook)
    return copies | ({GLOSSARY: _bytes(glossary_notebook(words))} if words else {})


def _thread(
    notebook: nbformat.NotebookNode, path: Path, known: Sequence[LabNotebook], words: Mapping[str, str]
) -> None:
    """Put a notebook into the thread through the course, unless it is in it already."""
    if path.as_posix() == INDEX:
        draw_map(notebook, known)
    for lab in known:
        if lab.path == path and notebook.cells[-1].id != END:
            link_words(notebook, words)
            tie(notebook, lab, known)


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

    A solution becomes one line to fill, and hidden checks become a line that says how many there are.
    Outputs, execution counts and what a cell's metadata tells instructors, such as the misconceptions behind
    wrong options, are removed; cell ids stay. What would tell too much or stands in the way is folded.

    :raises LabError: when the file is no notebook or a marker has no partner.
    """
    return _bytes(_learner_copy(path))


def _learner_copy(path: Path) -> nbformat.NotebookNode:
    try:
        notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError) as fault:
        raise LabError("a Jupyter notebook", f"{path}: {fault}", "save it again from JupyterLab") from fault
    for cell in notebook.cells:
        cell.metadata.pop("labkit", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = learner_source(cell.source, path)
            if FOLDED & set(cell.metadata.get("tags", ())) or cell.source.startswith("lab.hint("):
                cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
    notebook.metadata.pop("widgets", None)
    return notebook


def _bytes(notebook: nbformat.NotebookNode) -> bytes:
    text: str = nbformat.writes(notebook)
    return f"{text}\n".encode()


def learner_source(source: str, path: Path) -> str:
    """Return the source of a solved cell as a learner gets it.

    :raises LabError: when a marker has no partner.
    """
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

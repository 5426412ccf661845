"""The thread through the course, which labkit puts into each learner's copy.

A lab's copy begins with its place in the course and ends with what comes next; a technical word is linked to
the glossary where it first stands. The index has all labs, the glossary all words.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat

from labkit.workspace import LabNotebook

INDEX, GLOSSARY = "labs/index.ipynb", "labs/glossary.ipynb"
MAP = "map"
"""The id of the index's cell that becomes the map."""
END = "next-lab"
"""The id of the cell that is put at a lab's end."""

# What is no running text: code, links, and headings.
NOT_TEXT = re.compile(r"(```.*?```|`[^`\n]*`|!?\[[^\]]*\]\([^)]*\)|^#[^\n]*$)", re.DOTALL | re.MULTILINE)


def glossary(root: Path) -> dict[str, str]:
    """Return the course's technical words, each with its sentence; {} for a course without a word list."""
    file = root / "labs" / "glossary.toml"
    return dict(sorted(tomllib.loads(file.read_text(encoding="utf-8")).items())) if file.exists() else {}


def glossary_notebook(words: Mapping[str, str]) -> nbformat.NotebookNode:
    """Return the glossary: a heading for each word, to which the labs link."""
    texts = ["# Words", *(f"### {word}\n\n{sentence}" for word, sentence in words.items())]
    cells = [nbformat.v4.new_markdown_cell(text, id=f"word-{number}") for number, text in enumerate(texts)]
    notebook: nbformat.NotebookNode = nbformat.v4.new_notebook(cells=cells)
    return notebook


def draw_map(notebook: nbformat.NotebookNode, course: Sequence[LabNotebook]) -> None:
    """Write all labs into the index, in their order, with links."""
    rows = [
        f"| [{lab.title}]({lab.path.relative_to('labs').as_posix()}) | {lab.minutes} | {' '.join(lab.rows)} "
        f"| {lab.asks} |"
        for lab in course
    ]
    for cell in notebook.cells:
        if cell.id == MAP:
            cell.source = "\n".join(["| lab | minutes | teaches | exercise |", "|---|---|---|---|", *rows])


def tie(notebook: nbformat.NotebookNode, lab: LabNotebook, course: Sequence[LabNotebook]) -> None:
    """Tell at a lab's beginning where it stands, what it needs and asks for, at its end what comes next."""
    by_slug = {one.slug: one for one in course}
    at = course.index(by_slug[lab.slug])
    needs = [_link(by_slug[slug]) for slug in lab.needs]
    place = [f"Lab {at + 1} of {len(course)}, about {lab.minutes} minutes."]
    place += [f"It builds on {' and '.join(needs)}."] if needs else []
    place += [f"Exercise: {lab.asks}."] if lab.exercises else []
    place += ["[All labs](../index.ipynb) · [Words](../glossary.ipynb)"]
    notebook.cells[0].source += "\n\n" + " ".join(place)
    way = [f"**Next:** {_link(course[at + 1])}"] if at + 1 < len(course) else ["This was the last lab."]
    way += [f"Before: {_link(course[at - 1])}"] if at else []
    end = nbformat.v4.new_markdown_cell(" · ".join([*way, "[All labs](../index.ipynb)"]), id=END)
    notebook.cells.append(end)


def _link(lab: LabNotebook) -> str:
    return f"[{lab.title}](../{lab.path.relative_to('labs').as_posix()})"


def link_words(notebook: nbformat.NotebookNode, words: Mapping[str, str]) -> None:
    """Link each technical word to the glossary where it first stands in a notebook's text."""
    if not words:
        return
    left = {word.lower(): word for word in words}
    # The longest first, so that a word is not taken for a part of itself.
    known = "|".join(re.escape(word) for word in sorted(left, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w/-])({known})s?(?![\w/-])", re.IGNORECASE)

    def link(match: re.Match[str]) -> str:
        word = left.pop(match[1].lower(), None)
        return match[0] if word is None else f"[{match[0]}](../glossary.ipynb#{word.replace(' ', '-')})"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            pieces = NOT_TEXT.split(cell.source)  # every second one is no running text
            pieces[::2] = [pattern.sub(link, piece) for piece in pieces[::2]]
            cell.source = "".join(pieces)

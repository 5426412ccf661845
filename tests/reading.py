"""What a learner reads of a lab: its words, its sentences, and the minutes that they take."""

import ast
import re
import statistics
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import nbformat

from labkit.grading import release_notebook

WORDS_A_MINUTE = 130
CODE_LINES_A_MINUTE = 8

FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
HEADING_OR_ROW = re.compile(r"^[ \t]*(#|\|).*$", re.MULTILINE)
"""The lines of a text that are no sentences: headings and rows of tables."""
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
CODE = re.compile(r"`+[^`]+`+")
LIST_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d+\.)[ \t]+", re.MULTILINE)
ABBREVIATION = re.compile(r"\b(e\.g|i\.e|etc|cf|vs|approx|Dr|Mr|Mrs|Ms)\.")
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”’)*]*\s+(?=[\"“‘(*]*[A-Z0-9])")

ASKED = frozenset({"predict", "reflect"})
"""The verbs of `lab` with a question, which is their second argument."""


def learner_copy(path: Path) -> Any:
    """Return a solved notebook as a learner gets it: the solution is one line, folded cells are marked."""
    return nbformat.reads(release_notebook(path).decode(), as_version=4)


def python(source: str) -> str:
    """Return a cell's source without IPython's own lines, so that Python's parser reads it."""
    return "\n".join(re.sub(r"^(\s*)(!|\w+ = !).*", r"\1pass", line) for line in source.splitlines())


def texts(notebook: Any, verbs: AbstractSet[str] = ASKED) -> Iterator[str]:
    """Yield the Markdown cells of a notebook and what its code cells ask; with the verb "hint" also hints."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield cell.source
            continue
        for call in ast.walk(ast.parse(python(cell.source))):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in verbs
            ):
                told = call.args if call.func.attr == "hint" else call.args[1:2]
                yield from map(_written, told)


def _written(argument: ast.expr) -> str:
    """Return what of a text stands in the source; what an f-string fills in is left out."""
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    return "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a Markdown text. A list's item is one or more, a `code` span is one word."""
    text = HEADING_OR_ROW.sub("\n\n", FENCED.sub("\n\n", text))
    text = LIST_ITEM.sub("\n\n", LINK.sub(r"\1", CODE.sub("Code", text)))
    for paragraph in re.split(r"\n\s*\n", ABBREVIATION.sub(r"\1", text)):
        for sentence in SENTENCE_END.split(" ".join(paragraph.split())):
            if words(sentence):
                yield sentence


def words(text: str) -> int:
    """Return how many words a text has; a dash alone is none."""
    return sum(1 for word in text.split() if re.search(r"\w", word))


def ninetieth(lengths: Iterable[int]) -> float:
    """Return the 90th percentile of numbers of words."""
    return statistics.quantiles(lengths, n=10, method="inclusive")[-1]


def reading_minutes(notebook: Any) -> float:
    """Return how many minutes the text and the code of a learner's copy take to read.

    130 words a minute of text: students read 200 when they learn from a text and 138 when they memorize it
    (Carver 1992, Journal of Reading 36(2)), and many read here in a second language. 8 lines of code a
    minute: a line has about six words, and is read more than once, forwards and back. What is folded is not
    counted, nor are blank lines. Hints belong to the exercise, tables and pictures of a cell to the run.
    """
    read = sum(words(text) for text in texts(notebook))
    lines = sum(
        1
        for cell in notebook.cells
        if cell.cell_type == "code" and not cell.metadata.get("jupyter", {}).get("source_hidden")
        for line in cell.source.splitlines()
        if line.strip()
    )
    return read / WORDS_A_MINUTE + lines / CODE_LINES_A_MINUTE

"""Writes results into a notebook's file; every byte besides them stays."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode


def compared(outputs: Iterable[NotebookNode], left_out: Sequence[str], count: int) -> list[NotebookNode]:
    """Return of a cell's new outputs what nbval compares, without the kinds of data left out.

    count is the cell's execution count.
    """
    kept = [nbformat.from_dict(output) for output in outputs]
    for output in kept:
        if "data" in output:
            output.metadata = NotebookNode()
            output.data = NotebookNode(
                {kind: value for kind, value in output.data.items() if kind not in left_out}
            )
        if output.output_type == "execute_result":
            output.execution_count = count
    return kept


def write_outputs(path: Path, notebook: NotebookNode, places: Iterable[int]) -> None:
    """Write the outputs and execution counts of the cells at these places of a notebook into its file."""
    text = path.read_text(encoding="utf-8")
    content, new = json.loads(text), json.loads(nbformat.writes(notebook))
    for place in places:
        for key in ("execution_count", "outputs"):
            content["cells"][place][key] = new["cells"][place][key]
    indent = re.match(r"\{\n( *)", text)
    written = json.dumps(content, indent=len(indent[1]) if indent else None, ensure_ascii=False)
    path.write_text(written + ("\n" if text.endswith("\n") else ""), encoding="utf-8")

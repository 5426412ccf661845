"""Names that a cell uses and that another cell of the lab makes: which one has to be run first."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from symtable import symtable
from typing import Any

from labkit.errors import LabError

NOTEBOOK = "JPY_SESSION_NAME"
"""Where Jupyter's server tells a kernel the path of its notebook."""


def missing_name(error: NameError) -> LabError | None:
    """Return which cell to run, for a name that a cell of this kernel's lab makes; None for any other error.

    What a cell makes is read in the notebook's file, as it was saved last.
    """
    for cell in _cells(os.environ.get(NOTEBOOK, "")):
        source = "".join(cell["source"])
        if error.name in set(_made(source)):
            begins = next(line for line in source.splitlines() if line.strip())
            return LabError(
                f"{error.name!r} is there, because the cell that makes it has run in this kernel",
                "it has not: the kernel is new, or the cell was left out",
                f"run the cell that begins with «{begins}», or choose Run > Run All Above Selected Cell",
            )
    return None


def _cells(path: str) -> list[dict[str, Any]]:
    """Return a lab's code cells; none when the file is no lab, or cannot be read."""
    try:
        notebook = json.loads(Path(path).read_bytes())
        lab = "labkit" in notebook["metadata"]
        return [cell for cell in notebook["cells"] if lab and cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _made(source: str) -> Iterator[str]:
    """Yield the names that a cell gives to the cells after it; its lines for IPython are left out."""
    lines = (line if line.lstrip()[:1] not in {"!", "%"} else "" for line in source.splitlines())
    # A SyntaxError is that of a learner's cell that is half written.
    with suppress(SyntaxError):
        table = symtable("\n".join(lines), "cell", "exec")
        yield from (
            name.get_name() for name in table.get_symbols() if name.is_assigned() or name.is_imported()
        )

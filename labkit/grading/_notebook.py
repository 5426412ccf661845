"""The code cells of a notebook that a learner handed in; its outputs are passed over unread."""

from typing import NamedTuple

from labkit.grading._result import LEARNER, State
from labkit.grading._scan import Document, Span, TooDeep, elements, members, value

CELLS, SOURCE_BYTES, METADATA_BYTES, FIELD_BYTES = 5_000, 1_000_000, 1_000_000, 1_000
"""The limits: cells of a notebook, bytes of all its sources, of its metadata, of a short field."""
NEWEST, WITH_IDS = 4, (4, 5)
"""nbformat: the newest version, and the first whose cells have ids."""


class Refused(Exception):
    """A submission that cannot be graded, and why; lab is its slug, "" when it is not known."""

    def __init__(self, reason: str, state: State = State.NOT_GRADED, lab: str = "") -> None:
        super().__init__(reason)
        self.state, self.lab, self.whose = state, lab, LEARNER


class Cell(NamedTuple):
    """A code cell; id is "" when it has none."""

    id: str
    source: str


def text(words: str) -> str:
    """Return a text that every database can hold: halves of a character and NUL become U+FFFD."""
    whole = words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


def read_notebook(document: Document) -> tuple[str, tuple[Cell, ...]]:
    """Return the slug of a notebook's lab, "" when it is of none, and its code cells in their order.

    :raises Refused: when it is no notebook, of another version, too deep, or too large.
    """
    lab = ""
    try:
        fields = members(document, (0, len(document)))
        metadata = value(document, fields["metadata"], METADATA_BYTES)
        labkit = metadata.get("labkit", {})
        lab = text(str(labkit.get("id", ""))) if isinstance(labkit, dict) else ""
        if not lab:
            return "", ()
        _refuse_versions(document, fields, lab)
        return lab, _cells(document, fields["cells"])
    except TooDeep:
        message = "its JSON is nested too deep"
        raise Refused(message, lab=lab) from None
    except (ValueError, LookupError, TypeError, AttributeError) as fault:
        message = f"it is no notebook: {type(fault).__name__}: {fault}"
        raise Refused(text(message[:300]), lab=lab) from fault


def _refuse_versions(document: Document, fields: dict[str, Span], lab: str) -> None:
    major = value(document, fields["nbformat"], FIELD_BYTES)
    minor = value(document, fields["nbformat_minor"], FIELD_BYTES) if "nbformat_minor" in fields else 0
    if major > NEWEST:
        message = f"it has notebook format {major}, which is not known: save it with the course's JupyterLab"
        raise Refused(message, lab=lab)
    if (major, minor) < WITH_IDS:
        message = (
            f"it was saved in notebook format {major}.{minor}, which keeps no ids of cells, "
            "so that nobody can tell which cell is which"
        )
        raise Refused(message, State.NEEDS_A_PERSON, lab)


def _cells(document: Document, container: Span) -> tuple[Cell, ...]:
    """Return the code cells; of a doubled id the last one."""
    cells: dict[object, Cell] = {}
    left = SOURCE_BYTES
    for number, span in enumerate(elements(document, container)):
        if number == CELLS:
            message = f"it has more than {CELLS:,} cells"
            raise ValueError(message)
        fields = members(document, span)
        if value(document, fields["cell_type"], FIELD_BYTES) != "code":
            continue
        identity = value(document, fields["id"], FIELD_BYTES) if "id" in fields else ""
        source = value(document, fields["source"], left)
        source = text(source if isinstance(source, str) else "".join(source))
        left -= len(source)
        key = text(identity) or number
        cells.pop(key, None)  # so that the last one also has the last one's place
        cells[key] = Cell(text(identity), source)
    return tuple(cells.values())

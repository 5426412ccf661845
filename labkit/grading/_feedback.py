"""Feedback: one HTML page a learner, which needs no other file, no script and no network.

All that came from a submission is text here, whatever it was there: HTML, SVG, Markdown, a terminal's
colours. Of a hidden check the page tells whether it passed, and nothing else.
"""

import hashlib
import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from labkit.grading._export import Judged, marks
from labkit.grading._file import write_private
from labkit.grading._gradebook import Gradebook
from labkit.grading._gradebook_tables import Attempt
from labkit.grading._page_style import STYLE
from labkit.grading._result import LABKIT, Row, State
from labkit.grading._rubric import Question, questions
from labkit.workspace import course, labs

TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
"""What commands a terminal (ECMA-48): colours, movements, titles."""
TURNED = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of text round, so that it reads otherwise than it is."""
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
"""What the browser may load, even if something were not escaped: nothing but the page's own style."""
VERDICTS = {True: ("yes", "✓ yes"), False: ("no", "✗ no"), None: ("open", "○ not decided yet")}
NOT_ZERO = {
    State.NOT_GRADED: "There are no points yet. That is not the same as 0 points.",
    State.NEEDS_A_PERSON: "A person has to look at it. There are no points until then.",
}
OURS = "This is a fault of the grading and not yours: it will be graded again."


def write_feedback(
    gradebook: Gradebook, folder: Path, lab: str | None = None, rubric: Sequence[Question] | None = None
) -> Iterator[tuple[str, Path]]:
    """Write a page for each learner into folder, and yield the learner with the page's path.

    lab None is all labs, rubric None that of labkit's own course. A page that is there is replaced.

    :raises LabError: when the gradebook cannot be read or a page cannot be written.
    """
    titles = {one.slug: one.title for one in labs(course())}
    asked = questions() if rubric is None else rubric
    for learner, attempts in groupby(gradebook.latest(lab), key=lambda attempt: attempt.result.learner):
        page = _page(learner, list(attempts), gradebook, titles, asked)
        yield learner, write_private(folder / file_name(learner), page)


def file_name(learner: str) -> str:
    """Return the name of a learner's page: safe on every system, and another one for each name."""
    words = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", learner)).strip("._-")[:60]
    return f"{words or 'learner'}-{hashlib.sha256(learner.encode()).hexdigest()[:8]}.html"


def shown(words: str) -> str:
    """Return a text as HTML in which nothing is markup, commands a terminal or turns the text round."""
    plain = TURNED.sub("\N{REPLACEMENT CHARACTER}", TERMINAL.sub("", words))
    return escape(
        "".join(one if one in "\n\t" or _printable(one) else "\N{REPLACEMENT CHARACTER}" for one in plain)
    )


def _printable(one: str) -> bool:
    return unicodedata.category(one) not in {"Cc", "Cs"}


def _page(
    learner: str,
    attempts: Sequence[Attempt],
    gradebook: Gradebook,
    titles: Mapping[str, str],
    asked: Sequence[Question],
) -> str:
    own = [
        (attempt, marks(gradebook, attempt, [one for one in asked if one.lab == attempt.result.lab]))
        for attempt in attempts
    ]
    name = shown(learner)
    sections = "".join(_section(attempt, manual, titles) for attempt, manual in own)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Feedback for {name}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>Feedback for <bdi>{name}</bdi></h1>{_summary(own, titles)}{sections}</main></body>"
        "</html>\n"
    )


def _summary(own: Iterable[tuple[Attempt, Mapping[str, Judged]]], titles: Mapping[str, str]) -> str:
    rows = []
    for attempt, manual in own:
        result = attempt.result
        points = (
            f"{result.points:g} of {result.possible:g} points" if result.state is State.GRADED else "none yet"
        )
        rows.append((_title(result.lab, titles), _state(result.state), points, _discussion(manual)))
    return _table("Your labs", ("lab", "state", "checks", "discussion"), rows)


def _discussion(manual: Mapping[str, Judged]) -> str:
    decided = [judged.mark for judged in manual.values()]
    undecided = sum(mark.undecided for mark in decided)
    if not decided:
        return "–"
    if undecided:
        return "not decided yet"
    return f"{sum(mark.points for mark in decided)} of {sum(mark.possible for mark in decided)} rows"


def _section(attempt: Attempt, manual: Mapping[str, Judged], titles: Mapping[str, str]) -> str:
    result = attempt.result
    parts = [f"<h2>{_title(result.lab, titles)}</h2>"]
    if result.state is not State.GRADED:
        why = f"<p>{shown(result.reason)}</p>" if result.reason else ""
        ours = f"<p>{OURS}</p>" if result.whose == LABKIT else ""
        parts.append(
            f'<div class="note"><p>{_state(result.state)}. {NOT_ZERO[result.state]}</p>{why}{ours}</div>'
        )
    parts += [_check(name, list(rows)) for name, rows in groupby(result.rows, key=lambda row: row.check)]
    parts += [_question(name, result.answers.get(name), judged) for name, judged in manual.items()]
    digests = "".join(
        f"<dt>{shown(name)}</dt><dd><code>{shown(digest)}</code></dd>"
        for name, digest in result.digests.items()
    )
    parts.append(
        f"<details><summary>What was run</summary><dl><dt>at</dt><dd>{attempt.at:%Y-%m-%d %H:%M} UTC</dd>"
        f"<dt>for</dt><dd>{result.seconds:.1f} s</dd><dt>labkit</dt><dd>{escape(attempt.labkit)}</dd>"
        f"{digests}</dl></details>"
    )
    return f"<section>{''.join(parts)}</section>"


def _check(name: str, rows: Sequence[Row]) -> str:
    points, possible = sum(row.points for row in rows if row.passed), sum(row.points for row in rows)
    caption = f"{shown(name)}: {points:g} of {possible:g} points"
    cells = [
        (
            '<span class="yes">✓ passed</span>' if row.passed else '<span class="no">✗ not passed</span>',
            "<em>a check that runs only when graded</em>"
            if row.hidden
            else f'<span class="text">{shown(row.hint) or "–"}</span>',
            f"{row.points if row.passed else 0:g} of {row.points:g}",
        )
        for row in rows
    ]
    return _table(caption, ("result", "what counts", "points"), cells)


def _question(name: str, answer: str | None, judged: Judged) -> str:
    heading = f"<h3>Discussion: {shown(name)}</h3>"
    if not answer:
        return f"{heading}<p>No answer was handed in.</p>"
    words = f'<blockquote aria-label="Your answer">{shown(answer)}</blockquote>'
    said = f"<p>Comment: {shown(judged.comment)}</p>" if judged.comment else ""
    return f"{heading}{words}{_rubric(judged.decisions)}{said}"


def _title(lab: str, titles: Mapping[str, str]) -> str:
    return shown(titles.get(lab, lab)) or "No lab"


def _state(state: State) -> str:
    kind, sign = {State.GRADED: ("yes", "✓"), State.NOT_GRADED: ("no", "✗")}.get(state, ("open", "○"))
    return f'<span class="{kind}">{sign} {escape(state.value)}</span>'


def _rubric(decisions: Mapping[str, bool | None]) -> str:
    rows = [
        (shown(asks), f'<span class="{VERDICTS[verdict][0]}">{VERDICTS[verdict][1]}</span>')
        for asks, verdict in decisions.items()
    ]
    return _table("An answer counts when it", ("what an answer does", "yours"), rows)


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already; the first of a row is its header."""
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

"""The audit of a test database: leaked originals, real values in texts, re-identification, distributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from labkit.widgets._drawing import FILLS, THEME_TEXT, box, cut, picture, text
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table

if TYPE_CHECKING:  # testdata loads polars, which a notebook without test data need not wait for
    from labkit.testdata import Audit, Statistics

LEFT, RIGHT, WIDTH, ROW = 10, 590, 1150, 24
NAME, BAR = 232, 120
LANES = (("NULL", 228), ("different", 338), ("most common", 448))
LANE = 84
MOST_SHOWN = 14
CODE = """\
report = testdata.audit(source, target, policy)
report.problems, report.k, report.l, report.reidentified"""


def audit(report: Audit) -> Picture:
    """Return the picture of an audit, its tables, and the call that makes one."""
    return Picture(draw(report), tables(report), CODE)


def draw(report: Audit) -> str:
    """Return a report as SVG: on the left columns and texts, on the right people and distributions."""
    verdict = "passed" if report.passed else "failed"
    title = f"{FILLS[verdict][0]} the test database {verdict} its audit"
    shapes = [text(LEFT, 24, title, bold=True)]
    shapes += [
        text(LEFT, 48 + ROW * at, f"– {cut(problem, 165)}") for at, problem in enumerate(report.problems)
    ]
    top = 48 + ROW * len(report.problems)
    left = [*_section(LEFT, top, "Leaked originals; others': real values of other people", _leaked(report))]
    below = top + ROW * (len(report.leaked_originals) + 2)
    left += _section(LEFT, below, "Real values in texts", _texts(report))
    right = [*_people(report, top)]
    right += _distributions(report, top + 6 * ROW)
    rows = max(len(report.leaked_originals) + len(report.free_text) + 5, 8 + len(_shown(report)))
    label = f"{title}. {'. '.join(report.problems)}"
    return picture(WIDTH, top + ROW * rows, label, *shapes, *left, *right)


def _section(x: int, top: int, title: str, rows: Iterator[tuple[str, float | None, str]]) -> list[str]:
    """Return a heading and a bar a row: its name, a share from 0 to 1 or None for unknown, words."""
    shapes = [text(x, top + 16, title, bold=True)]
    for at, (name, share, words) in enumerate(rows, 1):
        y = top + ROW * at
        shapes += [text(x, y + 16, cut(name, 32)), *_bar(x + NAME, y + 5, BAR, share)]
        shapes.append(text(x + NAME + BAR + 10, y + 16, words))
    return shapes


def _bar(x: float, y: float, width: float, share: float | None) -> list[str]:
    outline = box(x, y, width, 13, FILLS["not run" if share is None else "passed"][1], radius=3)
    filled = box(x, y, max(4, width * share), 13, "#c62d23", radius=3) if share else ""
    return [outline, filled]


def _leaked(report: Audit) -> Iterator[tuple[str, float | None, str]]:
    for name, count in report.leaked_originals.items():
        rows = report.rows[name.rpartition(".")[0]]
        sign = FILLS["not run" if count is None else "failed" if count else "passed"][0]
        leaked = "not known" if count is None else f"{count} of {rows}"
        matches = report.chance_matches.get(name)
        others = f", others' {matches.seen}" if matches else ""
        yield name, None if count is None else count / max(rows, 1), f"{sign} {leaked}{others}"


def _texts(report: Audit) -> Iterator[tuple[str, float | None, str]]:
    for name, texts in report.free_text.items():
        sign = FILLS["passed" if texts.clean else "failed"][0]
        yield name, texts.leaking / max(texts.rows, 1), f"{sign} {texts.leaking} of {texts.rows}"
    sign = FILLS["failed" if report.schema else "passed"][0]
    yield "the schema's own text", float(bool(report.schema)), f"{sign} {len(report.schema)} places"


def _people(report: Audit, top: int) -> list[str]:
    x, share, limit = RIGHT, report.reidentified, report.MOST_REIDENTIFIED
    title = f"Linkage attack on {report.people or 'a database without a table of people'}"
    shapes = [text(x, top + 16, title, bold=True)]
    words = "not run" if share is None else f"{share:.1%} re-identified, limit {limit:.0%}"
    shapes += _bar(x, top + ROW + 5, 2 * BAR, share)
    mark = x + 2 * BAR * limit
    shapes.append(f'<path d="M{mark},{top + ROW + 1} v21" stroke="{THEME_TEXT}" stroke-width="3"/>')
    shapes.append(text(x + 2 * BAR + 10, top + ROW + 16, words))
    names = [f"{name.rpartition('.')[2]} ({how})" for name, how in report.quasi_identifiers.items()]
    shapes.append(text(x, top + 2 * ROW + 16, cut(f"quasi-identifiers: {', '.join(names) or 'none'}", 84)))
    demands = report.demands
    groups = f"k = {_or_none(report.k)}{_demanded(demands.k)}: the smallest group of people who look alike"
    values = f"l = {_or_none(report.l)}{_demanded(demands.l)}: the fewest sensitive values in such a group"
    return [*shapes, text(x, top + 3 * ROW + 16, groups), text(x, top + 4 * ROW + 16, values)]


def _demanded(least: int | None) -> str:
    return "" if least is None else f" ({least} demanded)"


def _or_none(number: int | None) -> str:
    return "none" if number is None else str(number)


def _shown(report: Audit) -> list[str]:
    """Return the columns whose distributions are drawn: those that changed, then the others."""
    distributions = report.distributions
    return sorted(distributions, key=lambda name: not distributions[name].changes)[:MOST_SHOWN]


def _distributions(report: Audit, top: int) -> list[str]:
    shapes = [
        text(RIGHT, top + 16, "Distributions, as shares from 0 to 1: ○ before, ◆ after, ≠ changed", bold=True)
    ]
    shapes += [text(RIGHT + x, top + ROW + 16, name) for name, x in LANES]
    for at, name in enumerate(_shown(report), 2):
        column, y = report.distributions[name], top + ROW * at
        sign = "≠" if column.changes else "="
        shapes.append(text(RIGHT, y + 16, f"{sign} {cut(name, 29)}", bold=bool(column.changes)))
        sides = (_shares(side) for side in (column.before, column.after))
        for (_, x), before, after in zip(LANES, *sides, strict=True):
            shapes += _lane(RIGHT + x, y + 12, before, after)
    return shapes


def _shares(column: Statistics) -> Sequence[float]:
    # PostgreSQL estimates the number of different values, and may estimate more of them than rows.
    return column.nulls, min(1.0, column.distinct / max(column.rows, 1)), column.common


def _lane(x: float, y: float, before: float, after: float) -> list[str]:
    """Return two marks on a line from 0 to 1."""
    first, second = x + LANE * before, x + LANE * after
    return [
        f'<path d="M{x},{y} h{LANE}" stroke="#9aa4b1"/>',
        f'<path d="M{first},{y} H{second}" stroke="{THEME_TEXT}" stroke-width="2"/>',
        f'<path d="M{second},{y - 5} l5,5 l-5,5 l-5,-5 z" fill="{THEME_TEXT}"/>',
        f'<circle cx="{first}" cy="{y}" r="5.5" fill="none" stroke="#d0661c" stroke-width="2"/>',
    ]


def tables(report: Audit) -> list[Table]:
    """Return a report as tables."""
    return [
        Table(("problem",), [(problem,) for problem in report.problems] or [("none",)], "what is wrong"),
        _originals_table(report),
        _text_table(report),
        _people_table(report),
        _distribution_table(report),
    ]


def _originals_table(report: Audit) -> Table:
    columns = ("column", "leaked originals", "real values of others", "expected by chance", "most by chance")
    rows: list[tuple[str, object, object, str, object]] = []
    for name, count in report.leaked_originals.items():
        leaked = "not known" if count is None else count
        matches = report.chance_matches.get(name)
        if matches is None:
            rows.append((name, leaked, "", "", ""))
        elif matches.expected is None or matches.most is None:
            rows.append((name, leaked, matches.seen, "shared by many people", ""))
        else:
            rows.append((name, leaked, matches.seen, f"{matches.expected:.3g}", matches.most))
    return Table(columns, rows, "columns that had to change, in rows")


def _text_table(report: Audit) -> Table:
    columns = ("column", "texts", "with a real value", "of", "keys of the first")
    rows: list[tuple[object, ...]] = [
        (name, texts.rows, texts.leaking, ", ".join(texts.of), ", ".join(texts.where))
        for name, texts in report.free_text.items()
    ]
    rows += [(f"the schema's {place}", 1, 1, ", ".join(of), "") for place, of in report.schema.items()]
    rows += [(name, f"not searched: {why}", "", "", "") for name, why in report.not_searched.items()]
    return Table(columns, rows, "texts searched for every original value")


def _people_table(report: Audit) -> Table:
    share = report.reidentified
    reidentified = "not run" if share is None else f"{share:.1%}"
    rows: list[tuple[str, object]] = [
        (f"quasi-identifier {name}", how) for name, how in report.quasi_identifiers.items()
    ]
    rows += [("k", _or_none(report.k)), ("l", _or_none(report.l)), ("re-identified", reidentified)]
    rows += [(name, "holds" if holds else "leads nowhere") for name, holds in report.foreign_keys.items()]
    rows += [("not checked", why) for why in report.not_run]
    return Table(("", ""), rows, f"people ({report.people or 'none'}) and references")


def _distribution_table(report: Audit) -> Table:
    columns = (
        "column",
        "lost",
        "NULL",
        "different values",
        "of rows",
        "most common",
        "mean bytes",
        "changed",
    )
    rows = []
    for name, distribution in report.distributions.items():
        one, other = distribution.before, distribution.after
        pairs = (
            f"{one.nulls:.0%} → {other.nulls:.0%}",
            f"{one.distinct} → {other.distinct}",
            f"{one.rows} → {other.rows}",
            f"{one.common:.1%} → {other.common:.1%}",
            f"{one.width} → {other.width}",
        )
        lost = "" if distribution.lost is None else f"{distribution.lost:.2f}"
        rows.append((name, lost, *pairs, ", ".join(distribution.changes)))
    caption = "distributions, before → after; lost: 0 is nothing, 1 is as if all values were one"
    return Table(columns, rows, caption)

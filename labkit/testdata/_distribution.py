"""PostgreSQL's own statistics of each column, before and after."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from labkit.testdata._copy import connected
from labkit.testdata._loss import Shape, loss, shape_of
from labkit.testdata._schema import Schema, name_of

STATISTICS = """
SELECT s.schemaname, s.tablename, s.attname, s.null_frac, s.avg_width,
       round(CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * c.reltuples ELSE s.n_distinct END),
       greatest(c.reltuples, 0),
       coalesce(s.most_common_freqs[1], 0),
       s.most_common_vals::text::text[], s.most_common_freqs, s.histogram_bounds::text::text[]
  FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
 WHERE s.inherited = (c.relkind = 'p')
"""
NULLS, COMMON, DISTINCT, WIDTH, DEVIATIONS = 0.02, 0.05, 2.0, 1.5, 3
"""Differences above these count as changes. NULLS and COMMON are differences of shares, and a share has to
differ by DEVIATIONS standard deviations too. DISTINCT and WIDTH are factors."""


@dataclass(frozen=True)
class Statistics:
    """Estimates of a column, which PostgreSQL makes from a sample of its rows.

    nulls: share of NULL among the rows, from 0 to 1.
    width: mean width of a value in bytes.
    distinct: number of different values.
    rows: number of rows.
    common: share of the rows that have the most common value; 0 when no value is common.
    """

    nulls: float
    width: int
    distinct: int
    rows: int
    common: float


@dataclass(frozen=True)
class Distribution:
    """A column's statistics before and after.

    lost: how much of its distribution is lost, from 0 for nothing to 1 for as much as if all values were one,
        or more. None when that is not measured, because new values are made up, or when there is no value.
    """

    before: Statistics
    after: Statistics
    lost: float | None = None

    @property
    def changes(self) -> tuple[str, ...]:
        """The statistics that differ enough to matter, in words."""
        before, after = self.before, self.after
        # Of a subset fewer values are no change if their share of the rows is the same, and the other way
        # round: a number of different values has changed if both have.
        differences = {
            "NULL": self._differ(before.nulls, after.nulls, NULLS),
            "different values": _differ_by(before.distinct, after.distinct, DISTINCT)
            and _differ_by(before.distinct * after.rows, after.distinct * before.rows, DISTINCT),
            "most common value": self._differ(before.common, after.common, COMMON),
            "width": _differ_by(before.width, after.width, WIDTH),
        }
        return tuple(what for what, differs in differences.items() if differs)

    def _differ(self, before: float, after: float, most: float) -> bool:
        """Return whether two shares differ by more than most, and by more than chance in so few rows."""
        deviation = math.sqrt(before * (1 - before) / max(self.after.rows, 1))
        return abs(before - after) > max(most, DEVIATIONS * deviation)


def _differ_by(one: float, other: float, factor: float) -> bool:
    low, high = sorted((one, other))
    return high > low * factor


def distributions(
    source: str, target: str, schema: Schema, measured: Mapping[str, str]
) -> dict[str, Distribution]:
    """Return the statistics of each column, "table.column", in both databases; source and target are URLs.

    measured are the columns whose loss is measured, and what their values are for `loss`. A column without
    statistics is left out. PostgreSQL updates the statistics first, which writes no data. A role that may not
    update them gets a warning, and the old statistics count.
    """
    before, after = _statistics(source, schema), _statistics(target, schema)
    by_column = {}
    for name in (name for name in before if name in after):
        (one, shape), (other, now) = before[name], after[name]
        lost = loss(shape, now, measured[name]) if name in measured else None
        by_column[name] = Distribution(one, other, None if lost is None else round(lost, 4))
    return by_column


def _statistics(url: str, schema: Schema) -> Mapping[str, tuple[Statistics, Shape]]:
    tables = sql.SQL(", ").join(
        sql.Identifier(table.schema, table.relation) for table in schema.tables.values()
    )
    with connected(url) as connection:
        connection.autocommit = True  # the lock of ANALYZE is held to a transaction's end
        connection.execute(sql.SQL("ANALYZE {}").format(tables))
        rows = connection.execute(STATISTICS).fetchall()
    statistics = {
        f"{name_of(place, table)}.{column}": (
            Statistics(round(nulls, 4), width, int(distinct), int(rows), round(common, 4)),
            shape_of(nulls, *shape),
        )
        for place, table, column, nulls, width, distinct, rows, common, *shape in rows
    }
    order = [f"{name}.{column}" for name, table in schema.tables.items() for column in table.columns]
    return {name: statistics[name] for name in order if name in statistics}

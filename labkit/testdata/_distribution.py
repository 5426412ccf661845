"""What PostgreSQL's own statistics say of each column, before and after."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from labkit.testdata._copy import connected
from labkit.testdata._schema import Schema, name_of

STATISTICS = """
SELECT s.schemaname, s.tablename, s.attname, s.null_frac, s.avg_width,
       round(CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * c.reltuples ELSE s.n_distinct END),
       greatest(c.reltuples, 0),
       coalesce(s.most_common_freqs[1], 0)
  FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
 WHERE NOT s.inherited
"""
NULLS, COMMON, DISTINCT, WIDTH, DEVIATIONS = 0.02, 0.05, 2.0, 1.5, 3
"""From what on a difference is told: of shares, of counts and widths by a factor, of standard deviations."""


@dataclass(frozen=True)
class Statistics:
    """Of a column: estimates from a sample of its rows.

    nulls is the share of NULL among rows, width the mean in bytes, distinct the number of different values,
    common the share of the rows that have the most common value, 0 when none is common.
    """

    nulls: float
    width: int
    distinct: int
    rows: int
    common: float


@dataclass(frozen=True)
class Distribution:
    """A column's statistics before and after."""

    before: Statistics
    after: Statistics

    @property
    def changes(self) -> tuple[str, ...]:
        """What differs enough to be told, in words."""
        before, after = self.before, self.after
        told = {
            "NULL": self._differ(before.nulls, after.nulls, NULLS),
            "different values": _apart(before.distinct, after.distinct, DISTINCT)
            and _apart(before.distinct * after.rows, after.distinct * before.rows, DISTINCT),
            "most common value": self._differ(before.common, after.common, COMMON),
            "width": _apart(before.width, after.width, WIDTH),
        }
        return tuple(what for what, differs in told.items() if differs)

    def _differ(self, before: float, after: float, most: float) -> bool:
        """Tell whether two shares differ by more than most, and by more than a draw of so few rows does."""
        deviation = math.sqrt(before * (1 - before) / max(self.after.rows, 1))
        return abs(before - after) > max(most, DEVIATIONS * deviation)


def _apart(one: float, other: float, factor: float) -> bool:
    low, high = sorted((one, other))
    return high > low * factor


def distributions(source: str, target: str, schema: Schema) -> dict[str, Distribution]:
    """Return by column, "table.column", its statistics in both databases; those without are left out.

    PostgreSQL is told to bring them up to date, which writes no data. A role that may not do so gets a
    warning, and the old ones count.
    """
    before, after = _statistics(source, schema), _statistics(target, schema)
    return {name: Distribution(before[name], after[name]) for name in before if name in after}


def _statistics(url: str, schema: Schema) -> Mapping[str, Statistics]:
    tables = sql.SQL(", ").join(sql.Identifier(it.schema, it.relation) for it in schema.tables.values())
    with connected(url) as connection:
        connection.autocommit = True  # the lock of ANALYZE is held to a transaction's end
        connection.execute(sql.SQL("ANALYZE {}").format(tables))
        rows = connection.execute(STATISTICS).fetchall()
    order = [f"{table}.{column}" for table, it in schema.tables.items() for column in it.columns]
    found = {
        f"{name_of(place, table)}.{column}": Statistics(
            round(nulls, 4), width, int(distinct), int(rows), round(common, 4)
        )
        for place, table, column, nulls, width, distinct, rows, common in rows
    }
    return {name: found[name] for name in order if name in found}

"""Values that are made less exact, by PostgreSQL while it reads them."""

from psycopg import sql

# Source: 45 CFR 164.514(b)(2)(i)(B); the areas of at most 20,000 people are those of the census of 2000, as
# the guidance of the U.S. Department of Health and Human Services lists them.
SMALL = (
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884",
    "890", "893",
)  # fmt: skip

OLDEST = 90
"""Years of age above which all people count as one group. Source: 45 CFR 164.514(b)(2)(i)(C)."""

BIRTH_YEAR = """
CASE WHEN {0} IS NOT NULL
     THEN greatest(date_trunc('year', {0}), date_trunc('year', now()) - {2} * interval '1 year')::{1} END
"""


def generalized(column: sql.Composable, kind: str, argument: str | int) -> sql.Composable:
    """Return SQL for a column of a type, less exact as the argument says: "year", "postcode", 100."""
    type_ = sql.SQL(kind)
    if argument == "postcode":
        small = sql.SQL(", ").join(map(sql.Literal, SMALL))
        three = sql.SQL("CASE WHEN left({0}, 3) IN ({1}) THEN '000' ELSE left({0}, 3) END")
        return three.format(column, small)
    if argument == "birth year":
        return sql.SQL(BIRTH_YEAR).format(column, type_, sql.Literal(OLDEST))
    if isinstance(argument, int):
        # ".0" makes PostgreSQL divide decimally: integer division would make 0 of -5, and floor -100.
        return sql.SQL("(floor({0} / {1}.0) * {1})::{2}").format(column, sql.Literal(argument), type_)
    return sql.SQL("date_trunc({}, {})::{}").format(sql.Literal(argument), column, type_)

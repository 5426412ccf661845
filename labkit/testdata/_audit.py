"""Audits a test database against the one that it was made from."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
import psycopg
from psycopg import sql

from labkit.errors import LabError
from labkit.testdata._compare import ChanceMatches, Compared, chance_matches, leaked_originals, load
from labkit.testdata._copy import Connection, Progress, reading, shown
from labkit.testdata._demands import Demands
from labkit.testdata._distribution import distributions
from labkit.testdata._linkage_attack import LinkageAttack, attack, digests
from labkit.testdata._policy import Policy
from labkit.testdata._quasi_identifier import QuasiIdentifier, k_anonymity, l_diversity, quasi_identifiers
from labkit.testdata._reference import foreign_keys
from labkit.testdata._report import Audit
from labkit.testdata._role import Roles, roles_of
from labkit.testdata._rule import DATE, family
from labkit.testdata._schema import Schema, Table
from labkit.testdata._schema_text import large_objects
from labkit.testdata._texts import FreeText, originals, search, search_schema

FEW = "its made-up values are so few that many people get their own by chance"


@dataclass(frozen=True)
class _Pair:
    """The two databases, before and after, and what is examined in them."""

    before: Connection
    after: Connection
    schema: Schema
    roles: Roles
    notify: Progress


@dataclass(frozen=True)
class _Persons:
    """What an outsider can learn of the people: the fields of Audit with these names."""

    quasi_identifiers: Mapping[str, str]
    k: int | None
    l: int | None  # noqa: E741 - l-diversity is called so
    linkage_attack: LinkageAttack | None


def audit(
    source: str,
    target: str,
    policy: Policy | None = None,
    *,
    linkage_attack: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Compare a test database with its source, and return what it still reveals about people.

    source and target are libpq URLs. Both are only read, each in one state, and PostgreSQL updates its
    statistics. policy is the one that was used; None judges columns by their names alone. linkage_attack is
    whether a list of all people is compared with the target as well. progress gets a sentence for each step;
    None reports nothing.

    :raises LabError: when a database cannot be reached or read, the policy does not fit the source, the
        target lacks a table or a column of the source, or it has no rows.
    """
    started, notify = time.monotonic(), progress or (lambda _: None)
    with (
        reading(source) as (before, schema),
        reading(target) as (after, copied),
        _closed_on_failure(before, after),
    ):
        _refuse_other(schema, copied, shown(target))
        rows = {name: _count(after, schema, name) for name in schema.tables}
        if not any(rows.values()):
            raise LabError(f"rows in {shown(target)}", "none", "obscure into it first: testdata.obscure(…)")
        roles = roles_of(schema, policy)
        pair = _Pair(before, after, schema, roles, notify)
        leaked, matches, not_run, people = _compare(pair, linkage_attack=linkage_attack)
        persons = _persons(pair, people, linkage_attack=linkage_attack)
        texts, in_schema, suspects = _search(pair)
        notify("comparing distributions")
        return Audit(
            rows=rows,
            leaked_originals=leaked,
            chance_matches=matches,
            free_text=texts,
            schema=in_schema,
            not_searched={**roles.unsearched, **large_objects(after)},
            distributions=distributions(source, target, schema, roles.measured),
            people=roles.people,
            **vars(persons),
            foreign_keys=foreign_keys(after, schema, copied),
            not_run=[*not_run, *(f"whether the {place} names somebody" for place in suspects)],
            policy_digest=policy.digest if policy else None,
            demands=policy.demands if policy else Demands(),
            seconds=round(time.monotonic() - started, 2),
        )


@contextmanager
def _closed_on_failure(*connections: Connection) -> Iterator[None]:
    """Close connections when the block fails, so that nothing waits for rows that nobody reads any more."""
    try:
        yield
    except BaseException as problem:
        for connection in connections:
            connection.close()
        if isinstance(problem, psycopg.Error):
            expected = "two databases of which all tables can be read to the end"
            next_step = (
                "remove the cause, for example: GRANT SELECT ON ALL TABLES IN SCHEMA public TO your_role"
            )
            raise LabError(expected, str(problem).strip(), next_step) from problem
        raise


def _refuse_other(schema: Schema, copied: Schema, where: str) -> None:
    """Raise LabError unless the target has every table and column of the source."""
    missing = [
        f"{name}.{column}"
        for name, table in schema.tables.items()
        for column in table.columns
        if name not in copied.tables or column not in copied.tables[name].columns
    ]
    if missing:
        expected = f"a test database at {where} with the tables and columns of its source"
        next_step = "give the database that was obscured as source, and its copy as target"
        raise LabError(expected, f"without {', '.join(missing[:5])}", next_step)


def _count(connection: Connection, schema: Schema, name: str) -> int:
    table = schema.tables[name]
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.schema, table.relation))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _compare(
    pair: _Pair, *, linkage_attack: bool
) -> tuple[dict[str, int | None], dict[str, ChanceMatches], list[str], Compared | None]:
    """Compare every table that has columns to compare.

    Returns leaked originals and chance matches by "table.column", what could not be checked, and the rows of
    people; None when there is no table of people.
    """
    leaked: dict[str, int | None] = {}
    matches: dict[str, ChanceMatches] = {}
    not_run = [
        f"original values of {name}.{column}: {FEW}"
        for name, columns in pair.roles.few.items()
        for column in columns
    ]
    not_run += [
        f"names in {name}.{column}: a made-up one may be somebody's by chance"
        for name, columns in pair.roles.made_up.items()
        for column in columns
    ]
    people = None
    for name, table in pair.schema.tables.items():
        changed = pair.roles.changed[name]
        is_people = name == pair.roles.people
        if not changed and not is_people:
            continue
        pair.notify(f"comparing {name}")
        plain = _plain(pair.roles, name, linkage_attack=linkage_attack) if is_people else []
        compared = load(
            pair.before, pair.after, table, (list(changed), plain), matched=pair.roles.matched[name]
        )
        if compared.pairs is None:
            not_run.append(f"original values of {name}: no primary key stayed, so rows cannot be matched")
        own = leaked_originals(compared, changed)
        others = chance_matches(compared, table, changed, own)
        leaked |= {f"{name}.{column}": count for column, count in own.items()}
        matches |= {f"{name}.{column}": counts for column, counts in others.items()}
        people = compared if is_people else people
    return leaked, matches, not_run, people


def _plain(roles: Roles, name: str, *, linkage_attack: bool) -> list[str]:
    """Return the columns to read as they are: quasi-identifiers and, for the attack, direct identifiers."""
    direct = [*roles.direct_identifiers[name]] if linkage_attack else []
    return list(dict.fromkeys([*roles.quasi_identifiers, *direct]))


def _search(pair: _Pair) -> tuple[dict[str, FreeText], dict[str, tuple[str, ...]], list[str]]:
    """Search texts and the schema: what texts have, what the schema has, and where it may name somebody."""
    pair.notify("searching texts for every original value")
    roles = pair.roles
    real = originals(pair.before, pair.schema, roles.direct_identifiers, roles.free)
    texts = dict(search(pair.after, pair.schema, roles.texts, real, roles.made_up))
    pair.notify("searching the schema's own text")
    return texts, *search_schema(pair.after, real)


def _persons(pair: _Pair, people: Compared | None, *, linkage_attack: bool) -> _Persons:
    name, roles = pair.roles.people, pair.roles
    if people is None or people.pairs is None or name is None:
        return _Persons({}, None, None, None)
    pair.notify(f"counting who looks alike in {name}")
    table, rows = pair.schema.tables[name], people.target
    quasi = quasi_identifiers(people.pairs, table, roles.quasi_identifiers)
    diversity = l_diversity(pair.after, pair.schema, roles.sensitive, (name, rows), quasi)
    comparable, outcome = quasi, None
    if linkage_attack:
        pair.notify(f"looking everybody of {name} up")
        direct = [
            column for column in roles.direct_identifiers[name] if column not in roles.quasi_identifiers
        ]
        comparable = [*quasi, *_direct(people.pairs, table, direct)]
        outcome = attack(people, comparable)
    words = {
        f"{name}.{identifier.column}": identifier.words(
            is_date=family(table.columns[identifier.column].type) == DATE
        )
        for identifier in comparable
    }
    # k and l count by quasi-identifiers alone: a direct identifier that stayed is a leaked original.
    return _Persons(words, k_anonymity(rows, quasi), diversity, outcome)


def _direct(pairs: pl.DataFrame, table: Table, columns: list[str]) -> list[QuasiIdentifier]:
    """Return what is still true of direct identifiers: a bare hash, or else the characters that stayed."""
    hashed = digests(pairs, columns)
    others = [column for column in columns if column not in {identifier.column for identifier in hashed}]
    return [*hashed, *quasi_identifiers(pairs, table, others)]

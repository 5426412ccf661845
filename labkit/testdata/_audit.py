"""Audits a test database against the one that it was made from."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl
from psycopg import sql

from labkit.errors import LabError
from labkit.testdata._attack import Attack, attack_list, digests
from labkit.testdata._compare import Coincidence, Compared, coincidences, load, own_kept
from labkit.testdata._copy import Connection, reading, shown
from labkit.testdata._distribution import distributions
from labkit.testdata._people import Known, k_anonymity, l_diversity, what_is_known
from labkit.testdata._policy import Policy
from labkit.testdata._reference import foreign_keys
from labkit.testdata._report import Audit
from labkit.testdata._role import Roles, roles_of
from labkit.testdata._rule import DATE, family
from labkit.testdata._schema import Schema
from labkit.testdata._texts import originals, search


@dataclass(frozen=True)
class _Pair:
    """The two databases, before and after, and what is looked at in them."""

    before: Connection
    after: Connection
    schema: Schema
    roles: Roles
    said: Callable[[str], None]


@dataclass(frozen=True)
class _Persons:
    """What is known of the people: as in Audit."""

    known: Mapping[str, str]
    k: int | None
    l: int | None  # noqa: E741 - l-diversity is called so
    attack: Attack | None


def audit(
    source: str,
    target: str,
    policy: Policy | None = None,
    *,
    attack: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Compare a test database with the one that it was made from, and return what it still tells of people.

    source and target are libpq URLs; both are read, each in one state, and PostgreSQL is told to bring its
    statistics up to date. policy is the one that was used; None judges by the columns' names alone. attack
    tells whether people are looked up with a list from outside as well. progress gets a sentence a step.

    :raises LabError: when a database cannot be reached, the policy does not fit the source, the target lacks
        a table or a column of the source, or it has no rows.
    """
    started, said = time.monotonic(), progress or (lambda _: None)
    with reading(source) as (before, schema), reading(target) as (after, copied):
        _refuse_other(schema, copied, shown(target))
        rows = {name: _count(after, schema, name) for name in schema.tables}
        if not any(rows.values()):
            raise LabError(f"rows in {shown(target)}", "none", "obscure into it first: testdata.obscure(…)")
        pair = _Pair(before, after, schema, roles_of(schema, policy), said)
        kept, met, not_run, people = _compare(pair, attack=attack)
        persons = _persons(pair, people, attack=attack)
        said("searching texts for every original value")
        roles = pair.roles
        found = dict(search(after, schema, roles.texts, originals(before, schema, roles.direct, roles.free)))
        said("comparing distributions")
        return Audit(
            rows=rows,
            own_kept=kept,
            coincidences=met,
            free_text=found,
            distributions=distributions(source, target, schema),
            people=roles.people,
            **vars(persons),
            foreign_keys=foreign_keys(after, schema, copied),
            not_run=not_run,
            policy_digest=policy.digest if policy else None,
            seconds=round(time.monotonic() - started, 2),
        )


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
        raise LabError(expected, f"without {', '.join(missing[:5])}", "is that the right pair of databases?")


def _count(connection: Connection, schema: Schema, name: str) -> int:
    table = schema.tables[name]
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.schema, table.relation))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _compare(
    pair: _Pair, *, attack: bool
) -> tuple[dict[str, int | None], dict[str, Coincidence], list[str], Compared | None]:
    """Compare every table that has columns to compare; return what was found, and the people's rows."""
    kept: dict[str, int | None] = {}
    met: dict[str, Coincidence] = {}
    not_run: list[str] = []
    people = None
    for name, table in pair.schema.tables.items():
        changed = pair.roles.changed[name]
        is_people = name == pair.roles.people
        if not changed and not is_people:
            continue
        pair.said(f"comparing {name}")
        plain = _plain(pair.roles, name, attack=attack) if is_people else []
        compared = load(
            pair.before, pair.after, table, (list(changed), plain), matched=pair.roles.matched[name]
        )
        if compared.pairs is None:
            not_run.append(
                f"own values of {name}: its rows have no key that stayed, so which is whose is not known"
            )
        own = own_kept(compared, changed)
        others = coincidences(compared, table, changed, own)
        kept |= {f"{name}.{column}": count for column, count in own.items()}
        met |= {f"{name}.{column}": it for column, it in others.items()}
        people = compared if is_people else people
    return kept, met, not_run, people


def _plain(roles: Roles, name: str, *, attack: bool) -> list[str]:
    """Return the columns to read as they are: what describes people and, for the attack, what names them."""
    return list(dict.fromkeys([*roles.describing, *(roles.direct[name] if attack else [])]))


def _persons(pair: _Pair, people: Compared | None, *, attack: bool) -> _Persons:
    name = pair.roles.people
    if people is None or people.pairs is None or name is None:
        return _Persons({}, None, None, None)
    pair.said(f"counting who looks alike in {name}")
    table, rows = pair.schema.tables[name], people.target
    describing = what_is_known(people.pairs, table, pair.roles.describing)
    diverse = l_diversity(pair.after, pair.schema, pair.roles.sensitive, (name, rows), describing)
    known, outcome = describing, None
    if attack:
        pair.said(f"looking everybody of {name} up")
        direct = [it for it in pair.roles.direct[name] if it not in pair.roles.describing]
        known = _all_known(describing, people.pairs, what_is_known(people.pairs, table, direct), direct)
        outcome = attack_list(people, known)
    words = {
        f"{name}.{it.column}": it.words(is_date=family(table.columns[it.column].type) == DATE) for it in known
    }
    return _Persons(words, k_anonymity(rows, describing), diverse, outcome)


def _all_known(
    describing: list[Known], pairs: pl.DataFrame, kept: list[Known], direct: list[str]
) -> list[Known]:
    hashed = digests(pairs, direct)
    return [*describing, *hashed, *(it for it in kept if it.column not in {by.column for by in hashed})]

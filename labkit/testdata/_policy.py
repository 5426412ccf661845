"""A policy: one rule for every column, written in TOML. A column without a rule may not leave."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from faker.providers import BaseProvider

from labkit.errors import LabError
from labkit.testdata._demands import Demands
from labkit.testdata._fakes import Fakes
from labkit.testdata._locale import read_locale
from labkit.testdata._provider import checked_provider, read_providers
from labkit.testdata._rule import PLAIN, WITH_ARGUMENT, Rule, misfit, read_rule, toml_key
from labkit.testdata._safe_harbor import safe_harbor
from labkit.testdata._schema import Demand, ForeignKey, Schema, Table
from labkit.testdata._suggest import suggest
from labkit.testdata._survey import Survey

SUBSET, FORGET, LOCALE, PROVIDERS = "subset", "forget_key", "locale", "providers"
INLINE = 200
"""A string longer than this, or of several lines, is a policy's text; a shorter one is a path."""

Rules = Mapping[str, Mapping[str, Rule]]
"""By table, then by column."""


@dataclass(frozen=True)
class Policy:
    """Rules by table and column as they are written, and a condition in SQL by table for the rows to copy.

    A column of a foreign key has the rule of the column that it refers to, and need not be written.
    forget_key means that `obscure` takes no key: it makes one and forgets it. fakes makes the made-up values,
    in the policy's locale and with its providers. demands are what the audit checks beside the rules.
    """

    rules: Rules
    where: Mapping[str, str]
    text: str
    forget_key: bool = False
    fakes: Fakes = field(default_factory=Fakes, compare=False)
    demands: Demands = field(default_factory=Demands)

    @classmethod
    def load(cls, source: Path | str, *, providers: Sequence[type[BaseProvider]] = ()) -> Self:
        """Read a policy from a file, or from its text.

        providers are further providers of Faker, besides those that the policy names. The modules that it
        names are imported, which runs their code: load only a policy that you trust as you trust a program.

        :raises LabError: when the text is not TOML or has something that is not a rule, a kind of `fake`, a
            locale or a provider; it names the place.
        """
        text = _text(source)
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            twice = "overwrite" in str(problem)  # tomllib's word for a key that stands there twice
            next_step = "take one of the two rules out" if twice else "correct the policy at that place"
            raise LabError("a policy in TOML, one rule a column", str(problem), next_step) from problem
        forget_key = tables.pop(FORGET) is True if isinstance(tables.get(FORGET), bool) else False
        where = tables.pop(SUBSET, {})
        demands = Demands.take(tables)
        fakes = _fakes(tables, providers)
        for name, value in [*tables.items(), *((f"{SUBSET}.{name}", {}) for name in where)]:
            if not isinstance(value, dict):
                raise LabError(
                    f"tables of rules, such as [{name}]", f"{name} = {value!r}", "correct the policy"
                )
        for table, columns in tables.items():
            _refuse_nested(table, columns)
        rules = {
            table: {column: _rule(f"{table}.{column}", rule, fakes) for column, rule in columns.items()}
            for table, columns in tables.items()
        }
        conditions = {name: str(condition) for name, condition in where.items()}
        return cls(rules, conditions, text, forget_key, fakes, demands)

    @classmethod
    def safe_harbor(cls, survey: Survey) -> Self:
        """Return a policy that follows HIPAA's Safe Harbor (45 CFR 164.514(b)(2)) for a database's survey.

        No rule of the policy can be reversed, and the key is forgotten. The policy is only as good as the
        survey, so read it: the survey does not recognise an age in years, or a picture of a face.
        """
        return cls.load(safe_harbor(survey))

    @property
    def digest(self) -> str:
        """The SHA-256 of the policy's text, as hexadecimal digits."""
        return sha256(self.text.encode()).hexdigest()

    def resolve(self, schema: Schema) -> dict[str, dict[str, Rule]]:
        """Return the rule of every column that is copied, by table.

        :raises LabError: when a column has no rule, or a rule names no column of the database, does not fit
            its column, or makes values of a key equal.
        """
        self._refuse_unknown(schema)
        self.demands.check(
            {f"{table.name}.{name}" for table in schema.tables.values() for name in table.columns}
        )
        whole = {table.name: self._of_table(schema, table) for table in schema.tables.values()}
        if missing := [
            (table, name) for table, rules in whole.items() for name, rule in rules.items() if not rule
        ]:
            raise _missing(schema, missing)
        resolved = {
            table: {column: rule for column, rule in rules.items() if rule} for table, rules in whole.items()
        }
        for table in schema.tables.values():
            _check(table, resolved[table.name], self.fakes)
        _check_references(schema, resolved)
        return resolved

    def _refuse_unknown(self, schema: Schema) -> None:
        for name in [*self.rules, *self.where]:
            if name not in schema.tables:
                known = list(schema.tables)
                near = [table for table in known if table.startswith(f"{name}.") or table == f"public.{name}"]
                next_step = f"write [{toml_key(near[0])}], with quotes" if near else _nearest(name, known)
                raise LabError(f"tables of the database: {', '.join(known)}", f"[{name}]", next_step)
        for name, rules in self.rules.items():
            columns = schema.tables[name].columns
            for column, rule in rules.items():
                if column not in columns or columns[column].generated:
                    seen = f"{name}.{column}" + (", which is computed" if column in columns else "")
                    copied = ", ".join(own.name for own in columns.values() if not own.generated)
                    raise LabError(f"columns of {name}: {copied}", seen, _nearest(column, list(columns)))
                if by := next((part.by for part in rule.parts if part.by and part.by not in columns), None):
                    next_step = _nearest(by, list(columns))
                    raise LabError(f"{name}.{column}: by = a column of {name}", repr(by), next_step)

    def _of_table(self, schema: Schema, table: Table) -> dict[str, Rule | None]:
        copied = [column.name for column in table.columns.values() if not column.generated]
        return {column: self._of_column(schema, table.name, column, ()) for column in copied}

    def _of_column(self, schema: Schema, table: str, column: str, seen: tuple[str, ...]) -> Rule | None:
        """Return a column's rule: that of the column that it refers to, else its own; None without either.

        seen are the columns on the way here, so that a cycle of references ends.
        """
        own = self.rules.get(table, {}).get(column)
        for key, to in _references(schema, table, column):
            if f"{key.to}.{to}" in seen or (key.to, to) == (table, column):
                continue
            inherited = self._of_column(schema, key.to, to, (*seen, f"{table}.{column}"))
            if own and inherited and own != inherited:
                expected = (
                    f"{table}.{column} has the rule of {key.to}.{to}, to which it refers: {inherited.toml()}"
                )
                raise LabError(expected, own.toml(), f"take {column} out of [{table}], or give both one rule")
            own = own or inherited
        return own


def _fakes(tables: dict[str, Any], providers: Sequence[type[BaseProvider]]) -> Fakes:
    """Take locale and providers out of a policy's top level, and return what they make."""
    written = tables.get(LOCALE)
    # A table of the database may be called so too: its columns have rules, where locales have weights.
    of_rules = isinstance(written, dict) and any(isinstance(value, str | dict) for value in written.values())
    locale = None if written is None or of_rules else read_locale("the policy", tables.pop(LOCALE))
    is_table = isinstance(tables.get(PROVIDERS, {}), dict)
    named = [] if is_table else read_providers(tables.pop(PROVIDERS))
    given = [checked_provider(provider, "providers") for provider in providers]
    return Fakes(locale, [*named, *given])


def _rule(place: str, written: object, fakes: Fakes) -> Rule:
    rule = read_rule(place, written)
    for part in rule.parts:
        if part.kind == "fake":
            fakes.check(place, part)
    return rule


def _refuse_nested(table: str, columns: Mapping[str, object]) -> None:
    """Raise LabError for [schema.table], which TOML takes for a table inside of a table."""
    for name, inner in columns.items():
        if not isinstance(inner, Mapping) or set(inner) & set(WITH_ARGUMENT):
            continue
        place = f"{toml_key(table)}.{toml_key(name)}"
        if any(path.startswith("$") for path in inner):
            expected, next_step = "paths in a table that ends with .json", f"write [{place}.json]"
            raise LabError(expected, f"[{place}]", next_step)
        # A misspelt rule, such as {rnd = 100}, is a table inside of a table too, but holds no rules.
        if any(
            isinstance(rule, Mapping) or (isinstance(rule, str) and rule in PLAIN) for rule in inner.values()
        ):
            next_step = f"write [{toml_key(f'{table}.{name}')}], with quotes"
            raise LabError("a table of another schema in quotes", f"[{place}]", next_step)


def _references(schema: Schema, table: str, column: str) -> Iterator[tuple[ForeignKey, str]]:
    for key in schema.parents(table):
        if column in key.columns:
            yield key, key.to_columns[key.columns.index(column)]


def _text(source: Path | str) -> str:
    if isinstance(source, str) and ("\n" in source or len(source) > INLINE):
        return source
    path = Path(source)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        next_step = "write a first policy: labkit data survey URL > policy.toml"
        raise LabError(f"a policy in {path.name}", str(problem), next_step) from problem


def _missing(schema: Schema, missing: list[tuple[str, str]]) -> LabError:
    lines: list[str] = []
    for table in dict.fromkeys(table for table, _ in missing):
        keys = {column for key in schema.tables[table].unique for column in key}
        lines.append(f"[{toml_key(table)}]")
        own = schema.tables[table].columns
        lines += [
            suggest(own[column], key=column in keys).toml(column) for its, column in missing if its == table
        ]
    seen = f"none for {', '.join(f'{table}.{column}' for table, column in missing)}"
    return LabError("a rule for every column", seen, "decide, and add for example:\n" + "\n".join(lines))


def _check(table: Table, rules: Mapping[str, Rule], fakes: Fakes) -> None:
    for column, rule in rules.items():
        own = table.columns[column]
        if why := misfit(rule, own) or fakes.misfit(rule, own):
            next_step = f"choose another rule for {table.name}.{column}"
            raise LabError(f"a rule that fits {table.name}.{column}", why, next_step)
    unique = [key for key in table.unique if all(column in rules for column in key)]
    for key in unique:
        # One unique key within a wider one is enough: then the wider one is unique, whatever its other rules.
        if not any(
            set(part) <= set(key) and all(fakes.keeps_apart(rules[name]) for name in part) for part in unique
        ):
            column = next(column for column in key if not fakes.keeps_apart(rules[column]))
            next_step = f"use pseudonymize, format_preserving or fake = email for {table.name}.{column}"
            expected = f"different values in {table.name} ({', '.join(key)}), which is unique"
            seen = f"{column} = {rules[column].toml()}, which can make equal values"
            raise LabError(expected, seen, next_step)
    for demand in table.demands:
        _check_demand(table, demand, rules, fakes)


def _check_demand(table: Table, demand: Demand, rules: Mapping[str, Rule], fakes: Fakes) -> None:
    """Raise LabError when a rule can make rows that an index forbids."""
    for column in [name for name in rules if name in {*demand.apart, *demand.kept, *demand.filled}]:
        rule = rules[column]
        if column in demand.kept and rule.kind != "keep":
            what = "values that stay as they are"
        elif column in demand.apart and not fakes.keeps_apart(rule):
            what = "different values"
        elif column in demand.filled and rule.kind == "null":
            what = "values that are not all NULL"
        else:
            continue
        expected = f"{what} in {table.name}.{column}, because of the index {demand.index}"
        next_step = f'write {column} = "keep", or drop {demand.index} in a copy of the source first'
        raise LabError(expected, f"{column} = {rule.toml()}", next_step)


def _check_references(schema: Schema, rules: Rules) -> None:
    for key in schema.foreign_keys:
        for column, to in zip(key.columns, key.to_columns, strict=True):
            rule = rules[key.to].get(to)
            if rule and rule.by:
                expected = f"a rule for {key.to}.{to} without by, because {key.table}.{column} refers to it"
                raise LabError(expected, rule.toml(), f'take by = "{rule.by}" out of it')


def _nearest(word: str, words: list[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f"write {near[0]} instead of {word}" if near else f"take {word} out of the policy"

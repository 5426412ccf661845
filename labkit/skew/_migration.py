"""A change of a table's columns while old and new instances read and write it: expand, backfill, contract.

Each version of the code sees the table through a view in a schema of its own (`SET search_path = v2`), with
just its columns. One trigger keeps both sets of columns correct: when one version writes, the columns of the
other are computed. Every statement that needs a lock gives up soon and tries again, because a transaction
that waits for a lock blocks all that come after it. Existing rows are converted in small batches.

Names and expressions are the migration's own, written by its author as SQL, never a user's input.

Source: parallel change (D. Sato, martinfowler.com, 2014); views by version and the trigger as in pgroll
(github.com/xataio/pgroll); PostgreSQL 15, 13.3 "Explicit Locking", `lock_timeout`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError

if TYPE_CHECKING:
    import psycopg  # not in every container that carries this room

LOCK_MS = 50
RETRY_S = 0.05
STATE = "labkit_migrations"
"""The table that records how far each migration has come."""


@dataclass(frozen=True)
class Expand:
    """What is added: columns maps each new column to its SQL type.

    old and new are a version (the name of its schema) and the columns that it sees. needed are the new
    columns that have to be NOT NULL in the end.
    """

    columns: Mapping[str, str]
    old: tuple[str, Sequence[str]]
    new: tuple[str, Sequence[str]]
    needed: Sequence[str] = ()


@dataclass(frozen=True)
class Backfill:
    """How columns follow from each other: each column and the SQL expression over a row that computes it.

    up computes the new columns from the old ones, down the old ones from the new. batch is the number of rows
    that one transaction converts.
    """

    up: Mapping[str, str]
    down: Mapping[str, str]
    batch: int = 1000


@dataclass(frozen=True)
class Contract:
    """The columns that are dropped in the end, when no instance of the old version is left."""

    columns: Sequence[str]


@dataclass(frozen=True)
class Migration:
    """A change of one table in three steps, each a deployment of its own. key is its primary key, one column.

    Every step can be called again after it was interrupted, and goes on where it was. url is a libpq URL.
    """

    name: str
    table: str
    expand: Expand
    backfill: Backfill
    contract: Contract
    key: str = "id"

    def run_expand(self, url: str, *, deadline_s: float = 10.0) -> int:
        """Let both versions see the table, each with its own columns; return how often the lock was tried.

        :raises LabError: when no lock was granted within deadline_s seconds; nothing is changed then.
        """
        table = self.table
        added = [f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in self.expand.columns.items()]
        statements = [f"ALTER TABLE {table} {', '.join(added)}", *self._trigger()]
        for version, columns in (self.expand.old, self.expand.new):
            select = f"SELECT {', '.join(columns)} FROM public.{table}"
            statements.append(f"CREATE SCHEMA IF NOT EXISTS {version}")
            statements.append(f"CREATE OR REPLACE VIEW {version}.{table} AS {select}")
        for name in self.expand.needed:
            # NOT VALID, because the existing rows get their values in the backfill only.
            statements.append(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}_needed")
            statements.append(
                f"ALTER TABLE {table} ADD CONSTRAINT {name}_needed CHECK ({name} IS NOT NULL) NOT VALID"
            )
        statements += self._begin()
        with _connected(url) as connection:
            return _locked(
                connection, self.table, lambda: connection.execute(";".join(statements)), deadline_s
            )

    def run_backfill(
        self,
        url: str,
        *,
        on_progress: Callable[[int, int], object] = lambda _, __: None,
        deadline_s: float = 10.0,
    ) -> int:
        """Convert the rows that existed before; return how many rows this call has gone through.

        It goes on where an earlier call was interrupted. on_progress gets, after each batch, how many rows
        this call has gone through, and how many the table has.

        :raises LabError: before run_expand; for a row that cannot be converted, which it names by its key;
            and when the rows of a batch could not be locked within deadline_s seconds.
        """
        with _connected(url) as connection:
            self._state(connection)
            total = int(_one(connection, f"SELECT count(*) FROM public.{self.table}"))
            done = 0
            while count := self._convert(connection, self.backfill.batch, deadline_s):
                done += count
                on_progress(done, total)
            for name in self.expand.needed:
                connection.execute(f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {name}_needed")
            connection.execute(f"UPDATE {STATE} SET complete = true WHERE name = %s", [self.name])
            return done

    def run_contract(self, url: str, *, deadline_s: float = 10.0) -> int:
        """Drop the old version's view and columns, and the trigger; return how often the lock was tried.

        :raises LabError: before the backfill is complete, and when no lock was granted in deadline_s seconds.
        """
        with _connected(url) as connection:
            _, complete = self._state(connection)
            if not complete:
                seen = "the backfill is not complete"
                raise LabError(f"all rows of {self.table} converted", seen, "run the backfill to its end")
            drops = ", ".join(f"DROP COLUMN IF EXISTS {name}" for name in self.contract.columns)
            statements = [
                f"DROP VIEW IF EXISTS {self.expand.old[0]}.{self.table}",
                f"DROP TRIGGER IF EXISTS {self.name} ON {self.table}",
                f"DROP FUNCTION IF EXISTS {self.name}()",
                f"ALTER TABLE {self.table} {drops}",
                f"DELETE FROM {STATE} WHERE name = '{self.name}'",
            ]
            return _locked(
                connection, self.table, lambda: connection.execute(";".join(statements)), deadline_s
            )

    def _begin(self) -> list[str]:
        """Return the statements that record the migration; for a table that was made anew it begins anew."""
        columns = "name text PRIMARY KEY, relation regclass, last text, complete bool DEFAULT false"
        return [
            f"CREATE TABLE IF NOT EXISTS {STATE} ({columns})",
            f"DELETE FROM {STATE} WHERE name = '{self.name}' AND relation <> 'public.{self.table}'::regclass",
            f"INSERT INTO {STATE} VALUES ('{self.name}', 'public.{self.table}') ON CONFLICT DO NOTHING",
        ]

    def _state(self, connection: "psycopg.Connection[Any]") -> tuple[str | None, bool]:
        """Return the key of the last row that was converted, and whether all are."""
        if _one(connection, "SELECT to_regclass(%s) IS NOT NULL", [STATE]):
            row = connection.execute(
                f"SELECT last, complete FROM {STATE} WHERE name = %s", [self.name]
            ).fetchone()
            if row is not None:
                return row[0], row[1]
        raise LabError(
            f"the migration {self.name} has begun", "it has not begun here", "run its expand first"
        )

    def _convert(self, connection: "psycopg.Connection[Any]", size: int, deadline_s: float) -> int:
        """Convert the next rows in one transaction; return how many, 0 at the end.

        A batch with a row that cannot be converted is tried again row by row, to find that row.
        """
        import psycopg  # noqa: PLC0415 - not in every container that carries this room

        if not (rows := self._next(connection, size)):
            return 0
        try:
            _locked(connection, self.table, lambda: self._convert_rows(connection, rows), deadline_s)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if size > 1:
                return self._convert(connection, 1, deadline_s)
            raise LabError(
                f"every row of {self.table} can be converted",
                f"{self.key} {rows[0]}: {str(error).splitlines()[0]}",
                "correct this row, then run the backfill again; it goes on from here",
            ) from error
        return len(rows)

    def _next(self, connection: "psycopg.Connection[Any]", size: int) -> list[Any]:
        """Return the keys of the next rows after the last one that was converted."""
        last, _ = self._state(connection)
        kind = _one(
            connection,
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attname = %s",
            [f"public.{self.table}", self.key],
        )
        rows = connection.execute(
            f"SELECT {self.key} FROM public.{self.table} "
            f"WHERE %(last)s::text IS NULL OR {self.key} > %(last)s::text::{kind} "
            f"ORDER BY {self.key} LIMIT %(size)s",
            {"last": last, "size": size},
        )
        return [row[0] for row in rows]

    def _convert_rows(self, connection: "psycopg.Connection[Any]", keys: Sequence[Any]) -> None:
        """Convert rows by an update that changes nothing but fires the trigger.

        Rows that the new version wrote have their values already, and are left out.
        """
        connection.execute(
            f"UPDATE public.{self.table} SET {self.key} = {self.key} "
            f"WHERE {self.key} = ANY(%s) AND num_nonnulls({', '.join(self.expand.columns)}) = 0",
            [list(keys)],
        )
        last = [str(keys[-1]), self.name]
        connection.execute(f"UPDATE {STATE} SET last = %s WHERE name = %s", last)

    def _trigger(self) -> list[str]:
        """Return the statements that make the trigger.

        The writer's version is the first schema of its search_path.
        """
        up, down = self.backfill.up, self.backfill.down

        def follow(rules: Mapping[str, str], row: str = "NEW") -> str:
            into = ", ".join(f"NEW.{name}" for name in rules)
            return f"SELECT {', '.join(rules.values())} INTO {into} FROM (SELECT {row}.*) AS line;"

        def changed(names: Iterable[str]) -> str:
            return " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in names)

        def unfilled(row: str) -> str:
            return f"num_nonnulls({', '.join(f'{row}.{name}' for name in up)}) = 0"

        before = {name: f"coalesce(NEW.{name}, {value})" for name, value in up.items()}
        body = f"""
            BEGIN
                IF current_schema() = '{self.expand.new[0]}' AND (TG_OP = 'INSERT' OR {changed(up)}) THEN
                    IF TG_OP = 'UPDATE' AND {unfilled("OLD")} THEN {follow(before, "OLD")} END IF;
                    {follow(down)}
                ELSIF TG_OP = 'INSERT' OR {changed(down)} OR {unfilled("NEW")} THEN {follow(up)}
                END IF;
                RETURN NEW;
            END"""
        function = f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql"
        trigger = f"CREATE OR REPLACE TRIGGER {self.name} BEFORE INSERT OR UPDATE ON {self.table}"
        return [
            f"{function} AS $body${body}$body$",
            f"{trigger} FOR EACH ROW EXECUTE FUNCTION {self.name}()",
        ]


def _locked(
    connection: "psycopg.Connection[Any]", table: str, work: Callable[[], object], deadline_s: float
) -> int:
    """Work in one transaction; give up waiting for a lock soon, and try again. Return the number of tries.

    :raises LabError: when no try got its locks within deadline_s seconds.
    """
    import psycopg  # noqa: PLC0415 - not in every container that carries this room

    deadline, tries = time.monotonic() + deadline_s, 0
    while True:
        tries += 1
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
                work()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            if time.monotonic() >= deadline:
                raise LabError(
                    f"a lock on {table} within {deadline_s:g} s",
                    f"{tries} tries in vain: {_holders(connection, table)}",
                    "end the transaction that holds it, then try again; nothing was changed",
                ) from error
            time.sleep(RETRY_S)
        else:
            return tries


def _holders(connection: "psycopg.Connection[Any]", table: str) -> str:
    """Return who holds locks on a table, in words."""
    holders = connection.execute(
        "SELECT pid, extract(epoch FROM now() - xact_start)::int, left(query, 60) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND pid IN "
        "(SELECT pid FROM pg_locks WHERE relation = %s::regclass AND granted)",
        [f"public.{table}"],
    )
    words = [f"{query!r} (process {pid}, for {seconds} s)" for pid, seconds, query in holders]
    return ", ".join(words) or "nobody holds it now"


def _connected(url: str) -> "psycopg.Connection[Any]":
    import psycopg  # noqa: PLC0415 - not in every container that carries this room

    return psycopg.connect(url, autocommit=True, options="-c search_path=public")


def _one(connection: "psycopg.Connection[Any]", query: str, values: Sequence[object] = ()) -> Any:  # noqa: ANN401 - any SQL value
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None

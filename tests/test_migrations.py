"""Migrations: applied once, in order, each whole or not at all; on a real PostgreSQL."""

import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from labkit.errors import LabError
from labkit.postgres import migrate

pytest_plugins = ["postgres"]
pytestmark = pytest.mark.engine
Fresh = Callable[[], str]


def write(folder: Path, **files: str) -> Path:
    """Write migrations, by the first part of their names."""
    for name, text in files.items():
        folder.joinpath(f"{name}.sql").write_text(text)
    return folder


def tables(url: str) -> list[str]:
    """Return the tables of a database, whichever schema they are in."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)' ORDER BY 1"
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute(query)]


def until(connection: psycopg.Connection[tuple[bool]], condition: str) -> None:
    """Wait until a condition is true of the connection's database."""
    query = "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    query += f" WHERE a.datname = current_database() AND ({condition}))"
    while connection.execute(query).fetchone() == (False,):  # the test's own time-out ends it
        connection.rollback()
        time.sleep(0.01)


def test_each_migration_is_applied_once_and_in_order(fresh: Fresh, tmp_path: Path) -> None:
    """A second time applies what is new only, by another connection too, and no table of labkit's stays."""
    url = fresh()
    write(
        tmp_path, a2="CREATE TABLE moon (sun int REFERENCES sun)", a1="CREATE TABLE sun (id int PRIMARY KEY)"
    )
    with psycopg.connect(url) as connection:
        assert migrate(connection, tmp_path) == ["a1.sql", "a2.sql"]
    write(tmp_path, a3="CREATE TABLE star ()")
    with psycopg.connect(url) as connection:
        assert migrate(connection, tmp_path) == ["a3.sql"]
        assert migrate(connection, tmp_path) == []
    assert tables(url) == ["moon", "star", "sun"]


def test_one_that_postgresql_refuses_leaves_nothing_of_itself_and_those_before(
    fresh: Fresh, tmp_path: Path
) -> None:
    """The error names the file; once it is corrected, the rest is applied."""
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun ()", a2="CREATE TABLE moon (); CREATE TABEL star ()")
    with psycopg.connect(url) as connection, pytest.raises(LabError, match=r"a2\.sql"):
        migrate(connection, tmp_path)
    assert tables(url) == ["sun"]
    write(tmp_path, a2="CREATE TABLE moon ()")
    with psycopg.connect(url) as connection:
        assert migrate(connection, tmp_path) == ["a2.sql"]


@pytest.mark.parametrize("change", ["another", "gone"])
def test_an_applied_migration_cannot_be_changed_or_taken_away(
    fresh: Fresh, tmp_path: Path, change: str
) -> None:
    """History stays as it was: nothing is applied, and the next step is a new file."""
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun ()")
    with psycopg.connect(url) as connection:
        migrate(connection, tmp_path)
        if change == "gone":
            (tmp_path / "a1.sql").unlink()
        else:
            write(tmp_path, a1="CREATE TABLE sun (hot bool)")
        write(tmp_path, a2="CREATE TABLE moon ()")
        with pytest.raises(LabError, match=change):
            migrate(connection, tmp_path)
    assert tables(url) == ["sun"]


def test_a_migration_that_cannot_have_its_lock_gives_up_and_can_be_run_again(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the file, and the process and the table that it waits for; nothing is applied."""
    monkeypatch.setattr("labkit.postgres._migrations.LOCK_S", 0.3)
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun ()")
    with psycopg.connect(url) as connection, psycopg.connect(url) as reader:
        migrate(connection, tmp_path)
        write(tmp_path, a2="ALTER TABLE sun ADD COLUMN hot bool")
        reader.execute("SELECT FROM sun")
        with pytest.raises(LabError) as refused:
            migrate(connection, tmp_path)
        process = reader.info.backend_pid
        assert "a2.sql" in refused.value.expected
        assert re.search(rf"process {process} \(idle in transaction, .*\) holds sun", refused.value.seen)
        assert f"pg_terminate_backend({process})" in refused.value.next_step
        reader.rollback()
        assert migrate(connection, tmp_path) == ["a2.sql"]


def test_a_migration_that_waits_for_its_lock_lets_the_others_go_first(fresh: Fresh, tmp_path: Path) -> None:
    """It is tried again until the table is free; a statement that queued behind it has had its turn."""
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun ()")
    with psycopg.connect(url) as connection, psycopg.connect(url) as reader, ThreadPoolExecutor(1) as pool:
        migrate(connection, tmp_path)
        write(tmp_path, a2="ALTER TABLE sun ADD COLUMN hot bool")
        reader.execute("SELECT FROM sun")
        migrated = pool.submit(migrate, connection, tmp_path)
        with psycopg.connect(url) as other:
            until(other, "NOT l.granted")
            other.execute("SELECT FROM sun")
        assert not migrated.done()
        reader.rollback()
        assert migrated.result() == ["a2.sql"]


@pytest.mark.parametrize(
    ("holds", "wants"),
    [("LOCK TABLE sun", "SELECT FROM sun"), ("UPDATE sun SET id = id", "UPDATE sun SET id = 2")],
    ids=["table", "row"],
)
def test_a_migration_for_which_others_wait_is_stopped(
    fresh: Fresh, tmp_path: Path, holds: str, wants: str
) -> None:
    """The others go on at once, nothing of it is applied, and the error names the file and the table."""
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun (id int); INSERT INTO sun VALUES (1)")
    with psycopg.connect(url) as connection, psycopg.connect(url) as other, ThreadPoolExecutor(1) as pool:
        migrate(connection, tmp_path)
        write(tmp_path, a2=f"CREATE TABLE moon (); {holds}; SELECT pg_sleep(600)")
        migrated = pool.submit(migrate, connection, tmp_path)
        with psycopg.connect(url) as watch:
            until(watch, "a.wait_event = 'PgSleep'")
        other.execute(wants)
        with pytest.raises(LabError) as stopped:
            migrated.result()
        assert re.search(r"a2\.sql .* 1 waited for sun; it was stopped", stopped.value.seen)
        assert "nothing of it is applied" in stopped.value.next_step
    assert tables(url) == ["sun"]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE moon (); COMMIT; SELECT 1 / 0",
        "CREATE TABLE moon (); COMMIT; CREATE TABLE mars ()",
        "BEGIN; CREATE TABLE moon (); COMMIT",
        "CREATE TABLE moon (); ROLLBACK",
        "CREATE TABLE moon ();\0CREATE TABLE mars ()",
    ],
)
def test_a_migration_that_would_be_applied_in_part_is_refused(
    fresh: Fresh, tmp_path: Path, text: str
) -> None:
    """Nothing of a file that ends its transaction, or that has a NUL, is applied or noted."""
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun ()", a2=text)
    with psycopg.connect(url) as connection:
        for _ in range(2):
            with pytest.raises(LabError, match=r"a2\.sql: it (ends the transaction|has a NUL)"):
                migrate(connection, tmp_path)
    assert tables(url) == ["sun"]


def test_migrations_do_together_what_they_do_one_by_one(fresh: Fresh, tmp_path: Path) -> None:
    """What one file sets for its session, or the mark at the begin of a file, changes nothing of the next."""
    url, role = fresh(), f"role_{uuid.uuid4().hex[:8]}"
    write(
        tmp_path,
        a1=f"CREATE SCHEMA aside; CREATE ROLE {role}; SET search_path = aside; SET ROLE {role}",
        a2="\ufeffCREATE TABLE sun ()",
    )
    with psycopg.connect(url) as connection:
        assert migrate(connection, tmp_path) == ["a1.sql", "a2.sql"]
        connection.execute(f"DROP ROLE {role}")
    assert tables(url) == ["sun"]


def test_what_cannot_be_in_a_transaction_is_alone_in_its_file(fresh: Fresh, tmp_path: Path) -> None:
    """An index is made beside its writers, and once; with another statement in the file it is refused."""
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun (id int)", a2="CREATE INDEX CONCURRENTLY by_id ON sun (id)")
    with psycopg.connect(url) as connection:
        assert migrate(connection, tmp_path) == ["a1.sql", "a2.sql"]
        assert migrate(connection, tmp_path) == []
        write(tmp_path, a3="DROP INDEX CONCURRENTLY by_id; SELECT 1")
        with pytest.raises(LabError, match=r"only one of its file"):
            migrate(connection, tmp_path)
        write(tmp_path, a3="DROP INDEX CONCURRENTLY by_id")
        assert migrate(connection, tmp_path) == ["a3.sql"]
        assert connection.execute("SELECT to_regclass('by_id')").fetchone() == (None,)


def test_an_index_that_was_broken_off_is_not_noted_as_made(fresh: Fresh, tmp_path: Path) -> None:
    """IF NOT EXISTS does not take the invalid index for the whole one; the error says how it is dropped."""
    url, index = fresh(), "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS by_id ON sun (id)"
    write(tmp_path, a1="CREATE TABLE sun (id int); INSERT INTO sun VALUES (1), (1)", a2=index)
    with psycopg.connect(url) as connection:
        for seen in ("duplicated", "broken off before"):
            with pytest.raises(LabError, match=f"{seen}.*; an invalid index is left: by_id") as refused:
                migrate(connection, tmp_path)
        assert "DROP INDEX by_id" in refused.value.next_step
        connection.execute("DROP INDEX by_id")
        connection.execute("DELETE FROM sun")
        connection.commit()
        assert migrate(connection, tmp_path) == ["a2.sql"]


def test_a_migration_for_which_nobody_waits_may_last(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only that others wait stops it, however long it holds its locks; another's other table is no reason."""
    monkeypatch.setattr("labkit.postgres._locks.BLOCKED_S", 0.05)
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun (); CREATE TABLE moon ()")
    with psycopg.connect(url) as connection, psycopg.connect(url) as other:
        migrate(connection, tmp_path)
        write(tmp_path, a2="LOCK TABLE sun; SELECT pg_sleep(0.5)")
        other.execute("LOCK TABLE moon")
        assert migrate(connection, tmp_path) == ["a2.sql"]

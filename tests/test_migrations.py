"""Migrations: applied once, in order, each whole or not at all; on a real PostgreSQL."""

from collections.abc import Callable
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
    fresh: Fresh, tmp_path: Path
) -> None:
    """Whoever queues behind a waiting ALTER waits too, so it does not wait for long."""
    url = fresh()
    write(tmp_path, a1="CREATE TABLE sun ()")
    with psycopg.connect(url) as connection, psycopg.connect(url) as reader:
        migrate(connection, tmp_path)
        write(tmp_path, a2="ALTER TABLE sun ADD COLUMN hot bool")
        reader.execute("SELECT FROM sun")
        with pytest.raises(LabError, match="lock"):
            migrate(connection, tmp_path)
        reader.rollback()
        assert migrate(connection, tmp_path) == ["a2.sql"]

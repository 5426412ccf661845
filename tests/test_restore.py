"""Snapshot strategies on a real server: what each restores, what it does not, and what it leaves."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import psycopg
import pytest

from labkit.artifacts import Kind
from labkit.engine import Engine, Label
from labkit.environment import Environment, NotReady
from labkit.errors import LabError
from labkit.postgres import Database, SnapshotStrategy
from labkit.workspace import Workspace

pytestmark = pytest.mark.engine

TABLES = """
CREATE SCHEMA other;
CREATE TABLE customers (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
    friend integer REFERENCES customers, loud text GENERATED ALWAYS AS (upper(name)) STORED, told jsonb
);
CREATE TABLE other."odd name" (customer integer REFERENCES customers ON DELETE CASCADE, note text);
CREATE SEQUENCE unused START 7;
INSERT INTO customers (name, friend, told)
VALUES ('Ada', NULL, '{"a": 1}'), (E'Gra"ce\n', 1, NULL), ('', 2, '[]');
INSERT INTO other."odd name" VALUES (1, E'\\t\\\\'), (2, NULL), (2, 'Zoë');
"""
ROWS = "DELETE FROM customers WHERE id = 2 OR friend = 2; UPDATE customers SET name = 'spoilt' WHERE id = 1"
SEQUENCE = "SELECT nextval('customers_id_seq'), nextval('unused')"
SCHEMA = "ALTER TABLE customers ADD COLUMN late integer DEFAULT 1; CREATE INDEX ON customers (name)"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace of its own."""
    made = Workspace.create(tmp_path_factory.mktemp("learner") / "workspace")
    yield made
    made.artifacts.close()


@pytest.fixture(scope="module")
def environment(workspace: Workspace) -> Iterator[Environment]:
    """Give one environment to all tests."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        yield made


@pytest.fixture
def database(environment: Environment) -> Database:
    """Return a database beside the shop's, with everything that is hard to restore."""
    assert environment.database is not None
    beside = environment.database.beside("hard")
    with beside.connect() as connection:
        connection.execute(TABLES)
    return beside


def databases(database: Database) -> set[str]:
    """Return the names of all databases of the server."""
    with database.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def spoil(kept: SnapshotStrategy, *changes: str) -> None:
    """Change what was kept, as a test would."""
    with kept.connect() as connection:
        for change in changes:
            connection.execute(change)


@pytest.mark.parametrize("strategy", ["template", "pre-built clone", "dump", "container"])
def test_everything_comes_back_as_often_as_asked(database: Database, strategy: str) -> None:
    """Rows, sequences and schema are as they were after each of several restores, whoever is connected."""
    before = database.fingerprint()
    with database.snapshot_by(strategy) as kept:
        for _ in range(3):
            spoil(kept, ROWS, SEQUENCE, SCHEMA)
            assert database.fingerprint() != before
            with database.connect() as other:
                other.execute("SELECT 1")
                kept.restore()
                with pytest.raises(psycopg.OperationalError):
                    other.execute("SELECT 1")
            assert database.fingerprint() == before
        assert len(kept.restores_s) == 3


def test_truncate_and_load_brings_rows_and_sequences_back_but_no_schema(database: Database) -> None:
    """Self-references, generated columns, identities and odd names load; an added column stays."""
    before = database.fingerprint()
    with database.snapshot_by("truncate and load") as kept:
        for _ in range(2):
            spoil(kept, ROWS, SEQUENCE)
            assert database.fingerprint() != before
            kept.restore()
            assert database.fingerprint() == before
        spoil(kept, "CREATE INDEX ON customers (name)")
        kept.restore()
        assert database.fingerprint() != before
        spoil(kept, "DROP TABLE customers CASCADE")
        with pytest.raises(LabError, match=r"truncate and load[\s\S]*customers"):
            kept.restore()


def test_a_rollback_brings_back_what_its_connection_did(database: Database) -> None:
    """Rows and schema come back, also after a commit inside a block; a sequence does not."""
    before = database.fingerprint()
    with database.snapshot_by("rollback") as kept:
        for _ in range(2):
            spoil(kept, ROWS, SCHEMA)
            kept.restore()
            assert database.fingerprint() == before
        spoil(kept, SEQUENCE)
        kept.restore()
        assert database.fingerprint() != before


def test_a_rollback_does_not_undo_what_another_connection_did(database: Database) -> None:
    """What a service commits on its own connection stays."""
    before = database.fingerprint()
    with database.snapshot_by("rollback") as kept:
        with database.connect() as service:
            service.execute(ROWS)
        kept.restore()
        assert database.fingerprint() != before


def test_a_rollback_says_that_somebody_committed(database: Database) -> None:
    """A COMMIT ends the transaction of a rollback; the message names it and the strategy that helps."""
    with database.snapshot_by("rollback") as kept:
        with pytest.raises(psycopg.Error), kept.connect() as connection:
            connection.execute(ROWS)
            connection.execute("COMMIT")
        with pytest.raises(LabError, match=r'nobody commits[\s\S]*snapshot_by\("template"\)'):
            kept.restore()


@pytest.mark.parametrize("strategy", Database.strategies)
def test_nothing_of_a_way_is_left(environment: Environment, database: Database, strategy: str) -> None:
    """Databases, files, images and threads of a strategy are removed at its end, also after an error."""
    mine: dict[str, str | None] = {Label.ENVIRONMENT: environment.name}
    engine = Engine.find()

    def there() -> tuple[set[str], str, list[str]]:
        files = in_container(environment, "ls /var/lib/postgresql")
        kinds = [thing.kind for thing in engine.owned(mine)]
        # A container's image stays while a container stands on it; another test sees to that one.
        return (
            databases(database),
            files,
            sorted(kind for kind in kinds if kind != "image" or strategy != "container"),
        )

    before = there()
    with pytest.raises(ZeroDivisionError), database.snapshot_by(strategy) as kept:
        spoil(kept, ROWS)
        kept.restore()
        raise ZeroDivisionError
    kept.close()
    assert there() == before
    engine.client.close()


def in_container(environment: Environment, script: str) -> str:
    """Run a script in the database's container and return what it printed."""
    engine = Engine.find()
    things = engine.owned({Label.ENVIRONMENT: environment.name, Label.ROLE: "database"})
    (container,) = (thing for thing in things if thing.kind == "container")
    answer = engine.client.containers.get(container.id).exec_run(["sh", "-c", script])
    engine.client.close()
    return str(answer.output.decode())


def stock(environment: Environment) -> int:
    """Ask the shop's catalog what is left of the vitamin drops."""
    with urllib.request.urlopen(f"{environment.urls['catalog']}/products/V100", timeout=10) as answer:  # noqa: S310 - our own
        return int(json.load(answer)["stock"])


def test_services_go_on_after_their_database_was_replaced(environment: Environment) -> None:
    """The shop answers after a restore by each strategy that ends connections, the container's too."""
    database = environment.database
    assert database is not None
    for strategy in ("template", "pre-built clone", "container"):
        with database.snapshot_by(strategy) as kept:
            spoil(kept, "UPDATE products SET stock = 1")
            kept.restore()
            assert stock(environment) == 5, strategy
    assert environment.element("database").state == "running"


def test_a_spare_is_made_again_for_each_restore(database: Database) -> None:
    """Restores right after each other wait for the next copy; none gives a half-made one."""
    before = database.fingerprint()
    with database.snapshot_by("pre-built clone") as kept:
        for _ in range(4):
            spoil(kept, ROWS)
            kept.restore()
            assert database.fingerprint() == before
        kept.await_ready()
        assert {name for name in databases(database) if name.startswith("clone_")}


def test_a_spare_that_cannot_be_made_says_so_and_leaves_the_database(database: Database) -> None:
    """When its template is gone, the restore is refused by name and the database stays in use."""
    with database.snapshot_by("pre-built clone") as kept:
        kept.restore()
        kept.await_ready()
        with database.connect(autocommit=True) as connection:
            (copy,) = (name for name in databases(database) if name.startswith("kept_"))
            connection.execute(f"DROP DATABASE {copy}")
        kept.restore()
        with pytest.raises(LabError, match=r"pre-built clone[\s\S]*kept_"):
            kept.restore()
        assert database.fingerprint()


def test_a_dump_that_cannot_be_read_leaves_the_database_and_nothing_half_made(
    environment: Environment, database: Database
) -> None:
    """The message says what pg_restore said; the database is in use as before, and alone."""
    with database.snapshot_by("dump") as kept:
        before = databases(database), database.fingerprint()
        in_container(environment, "for file in /var/lib/postgresql/????????; do echo broken > $file; done")
        with pytest.raises(LabError, match=r"pg_restore[\s\S]*archive"):
            kept.restore()
        assert (databases(database), database.fingerprint()) == before


def test_an_unknown_way_is_refused(database: Database) -> None:
    """The message lists the strategies."""
    with pytest.raises(
        LabError, match="rollback, template, pre-built clone, truncate and load, dump, container"
    ):
        database.snapshot_by("magic")


def test_a_use_of_a_strategy_is_recorded(workspace: Workspace, environment: Environment) -> None:
    """The artifact database has the strategy, how often it restored, and the median of its seconds."""
    assert environment.database is not None
    with environment.database.snapshot_by("rollback") as kept:
        kept.restore()
        kept.restore()
    fact = workspace.artifacts.history(kind=Kind.ENVIRONMENT_USED, environment=environment.name)[-1]
    use = fact.predicate
    assert (use["use"], use["strategy"], use["restores"]) == ("snapshot strategy", "rollback", 2)
    assert 0 <= use["restore_s"] < 1
    assert use["snapshot_s"] > 0


def test_the_images_go_with_the_environment(workspace: Workspace) -> None:
    """A container of an image that is built on another image: clean-up removes and counts all three."""
    engine = Engine.find()
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        assert made.database is not None
        for _ in range(2):
            with made.database.snapshot_by("container") as kept:
                kept.restore()
        assert "image" in {thing.kind for thing in engine.owned({Label.ENVIRONMENT: made.name})}
    assert engine.owned({Label.ENVIRONMENT: made.name}) == []
    gone = workspace.artifacts.history(kind=Kind.ENVIRONMENT_DELETED, environment=made.name)[-1]
    assert gone.predicate["removed"]["images"]
    engine.client.close()


KILLED = """
import sys
from pathlib import Path
from labkit.environment import Environment
from labkit.workspace import Workspace

workspace = Workspace.open(Path(sys.argv[1]))
made = Environment.create(workspace.system, "integration", workspace=workspace)
kept = made.database.snapshot_by("container")
kept.restore()
print(made.name, flush=True)
sys.stdin.read()
"""


def test_an_image_goes_with_a_process_that_is_killed(workspace: Workspace) -> None:
    """A kill -9 leaves no image of a database behind: the reaper takes it with the containers."""
    command = [sys.executable, "-c", KILLED, str(workspace.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        engine = Engine.find()
        mine: dict[str, str | None] = {Label.ENVIRONMENT: name}
        assert "image" in {thing.kind for thing in engine.owned(mine)}
        child.kill()
    end = time.monotonic() + 60
    while engine.owned(mine) and time.monotonic() < end:
        time.sleep(0.2)
    assert engine.owned(mine) == []
    engine.client.close()


def test_a_snapshot_waits_for_another_one_only_so_long(database: Database) -> None:
    """While another process holds the lock, the wait ends with an error that says so, not in PostgreSQL."""
    with (
        database.server.exclusive(),
        pytest.raises(NotReady, match=r"other snapshots and restores in database end within 0\.3 s"),
        database.server.exclusive(0.3),
    ):
        pytest.fail("two at once")

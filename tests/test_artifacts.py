import fcntl
import gc
import json
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from labkit.artifacts import ArtifactDatabase, Fact, HandedIn, Kind, Place, PublicKey, Reference, Subject
from labkit.artifacts._key import SigningKey
from labkit.engine import SERVERS, Engine, Owner
from labkit.errors import LabError

CART = Subject("labkit/shop-cart:1", "sha256:" + "1" * 64)
CART_2 = Subject("labkit/shop-cart:2", "sha256:" + "2" * 64)
STARLETTE = "pkg:pypi/starlette@1.0.0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "artifacts.db"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a git repository with one commit."""
    folder = tmp_path / "shop"
    git(tmp_path, "init", "--quiet", folder)
    author = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    git(folder, *author, "commit", "--quiet", "--allow-empty", "-m", "first")
    return folder


@pytest.fixture
def database(file: Path, shop: Path) -> Iterator[ArtifactDatabase]:
    """Return an empty database whose head is noted in the repository."""
    with ArtifactDatabase.open(file, notes=shop) as opened:
        yield opened


@pytest.fixture
def five(database: ArtifactDatabase) -> ArtifactDatabase:
    """Return a database with five facts, the third a deployment with a reference."""
    for number in range(1, 6):
        if number == 3:
            deploy(database, CART, references=[Reference("dependency", STARLETTE)])
        else:
            database.record(Kind.TESTED, CART, outcome="pass", number=number)
    return database


def git(folder: Path, *arguments: object) -> str:
    """Return what git prints."""
    return subprocess.run(
        ["git", "-C", folder, *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout


def deploy(
    database: ArtifactDatabase,
    image: Subject,
    stage: str = "production",
    kind: Kind = Kind.SERVICE_DEPLOYED,
    **words: Any,
) -> Fact:
    """Record a deployment of the cart."""
    return database.record(kind, image, stage=stage, service="cart", **words)


def tamper(file: Path, *statements: str) -> None:
    """Change the database behind labkit's back, as anybody with the file can."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount, statement


def open_connections(file: Path) -> int:
    """Return how often this process has the database's file open."""
    opened = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return opened.count(file)


def in_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start another Python process that runs code with labkit's words imported."""
    words = "import sys; from pathlib import Path; from labkit.artifacts import *; "
    return subprocess.Popen([sys.executable, "-c", words + code, *map(str, arguments)], text=True)


# Record and read


def test_a_fact_is_read_as_it_was_recorded(database: ArtifactDatabase) -> None:
    """history() gives what record() returned, field by field, with the time in UTC."""
    references = [Reference("code", "git+shop", "gitCommit:abc"), Reference("tool", "pkg:pypi/pip@26.3")]
    recorded = database.record(
        Kind.TESTED,
        CART,
        stage="integration",
        service="cart",
        environment="integration-1",
        run="ab12",
        by="alice",
        references=references,
        check="unit",
        findings=[{"path": "ä"}],
    )
    assert database.history() == [recorded]
    assert recorded.id == 1
    assert (recorded.kind, recorded.subject, recorded.references) == (Kind.TESTED, CART, tuple(references))
    assert (recorded.stage, recorded.service, recorded.environment) == (
        "integration",
        "cart",
        "integration-1",
    )
    assert (recorded.run, recorded.by) == ("ab12", "alice")
    assert recorded.predicate == {"check": "unit", "findings": [{"path": "ä"}]}
    assert abs(datetime.now(UTC) - recorded.at) < timedelta(minutes=1)
    assert recorded.at.utcoffset() == timedelta(0)


def test_a_predicate_may_use_the_words_of_record(database: ArtifactDatabase) -> None:
    """A predicate stays the document of its type: it may have keys such as kind, subject and $schema."""
    document: dict[str, Any] = {"kind": 1, "subject": 2, "$schema": 3, "labkit": 4}
    database.record(Kind.BILL_OF_MATERIALS, CART, **document)
    assert database.history()[0].predicate == document


def test_what_is_signed_is_an_in_toto_statement(five: ArtifactDatabase, file: Path) -> None:
    """The payload of a row is an in-toto Statement v1 with the kind as its predicate type."""
    with closing(sqlite3.connect(file)) as connection:
        (payload,) = connection.execute("SELECT payload FROM fact WHERE id = 3").fetchone()
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": CART.name, "digest": {"sha256": "1" * 64}}]
    assert statement["predicateType"] == "dev.cdevents.service.deployed"
    assert five.history()[2].payload() == payload


def test_by_is_the_user_unless_it_is_given(
    database: ArtifactDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who recorded a fact is the name of the user when by is not given."""
    monkeypatch.setenv("LOGNAME", "bob")
    assert database.record(Kind.CHECKED, CART).by == "bob"


def test_a_bare_digest_is_a_sha256() -> None:
    """A digest with and without its algorithm's name is the same digest, because joins are made on it."""
    assert Subject("cart", "1" * 64) == Subject("cart", "sha256:" + "1" * 64)
    assert Reference("base", "debian").digest == ""


def test_history_asks_for_kind_run_environment_stage_and_digest(database: ArtifactDatabase) -> None:
    """Each argument of history() keeps only the facts that have it, oldest first."""
    words: list[dict[str, Any]] = [
        {"run": "r1"},
        {"run": "r1", "stage": "staging"},
        {"environment": "e1", "stage": "staging"},
    ]
    for some in words:
        database.record(Kind.TESTED, CART, **some)
    database.record(Kind.CHECKED, CART_2)

    def ids(**filters: Any) -> list[int]:
        return [fact.id for fact in database.history(**filters)]

    assert ids() == [1, 2, 3, 4]
    assert ids(run="r1") == [1, 2]
    assert ids(stage="staging") == [2, 3]
    assert ids(environment="e1") == [3]
    assert ids(kind=Kind.CHECKED) == [4]
    assert ids(digest="2" * 64) == [4]
    assert ids(run="r1", stage="staging") == [2]


def test_history_pages(five: ArtifactDatabase) -> None:
    """After leaves out what is known; limit keeps the newest; both stay oldest first."""
    assert [fact.id for fact in five.history(after=2)] == [3, 4, 5]
    assert [fact.id for fact in five.history(limit=2)] == [4, 5]
    assert five.history(after=5) == []


def test_results_are_json_data(five: ArtifactDatabase) -> None:
    """Every result has to_json(), which json can write."""
    running = five.what_runs("cart")
    assert running is not None
    results: list[Any] = [running, five.verify(), *five.history(), *five.where_is(STARLETTE)]
    data = json.loads(json.dumps([result.to_json() for result in results]))
    assert data[0]["image"] == {"name": CART.name, "digest": CART.digest}
    assert data[0]["references"] == {"dependency": [{"uri": STARLETTE, "digest": ""}]}
    assert data[1]["ok"] is True
    assert data[4]["references"] == [{"role": "dependency", "uri": STARLETTE, "digest": ""}]
    assert data[-1]["stage"] == "production"


# What runs


def test_what_runs_gathers_all_that_went_into_the_image(database: ArtifactDatabase) -> None:
    """What went into an image is gathered by role over all facts about its digest, each thing once."""
    database.record(Kind.BUILT, CART, references=[Reference("code", "shop"), Reference("base", "debian")])
    database.record(Kind.BUILT, CART_2, references=[Reference("code", "another")])
    database.record(Kind.BILL_OF_MATERIALS, CART, references=[Reference("dependency", STARLETTE)])
    for _ in range(2):
        database.record(
            Kind.TESTED, CART, references=[Reference("test", "unit"), Reference("tool", "pytest")]
        )
    deployment = deploy(database, CART, references=[Reference("config", "DISCOUNT=15")])
    running = database.what_runs("cart")
    assert running is not None
    assert (running.fact, running.image) == (deployment, CART)
    assert running.references == {
        "base": [Reference("base", "debian")],
        "code": [Reference("code", "shop")],
        "config": [Reference("config", "DISCOUNT=15")],
        "dependency": [Reference("dependency", STARLETTE)],
        "test": [Reference("test", "unit")],
        "tool": [Reference("tool", "pytest")],
    }


def test_configuration_is_that_of_the_deployment(database: ArtifactDatabase) -> None:
    """One image runs in several stages: of configuration, only what this deployment has is returned."""
    database.record(Kind.BUILT, CART, references=[Reference("config", "PYTHON=3.11")])
    database.record(Kind.TESTED, CART, stage="staging", references=[Reference("config", "DISCOUNT=5")])
    deploy(database, CART, references=[Reference("config", "DISCOUNT=10")])
    deploy(database, CART, references=[Reference("config", "DISCOUNT=15")])
    running = database.what_runs("cart")
    assert running is not None
    assert running.references == {
        "config": [Reference("config", "DISCOUNT=15"), Reference("config", "PYTHON=3.11")]
    }
    assert database.where_is("DISCOUNT=10") == []
    assert len(database.where_is("DISCOUNT=15")) == 1


def test_what_runs_is_the_latest_deployment_of_the_stage(database: ArtifactDatabase) -> None:
    """An upgrade takes a deployment's place, each stage has its own, and a stage without one answers None."""
    deploy(database, CART, stage="staging")
    deploy(database, CART)
    deploy(database, CART_2, kind=Kind.SERVICE_UPGRADED)

    def image(stage: str) -> Subject | None:
        running = database.what_runs("cart", stage)
        return running.image if running else None

    assert image("production") == CART_2
    assert image("staging") == CART
    assert image("integration") is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.SERVICE_REMOVED, {"stage": "production", "service": "cart", "environment": "blue"}),
        (Kind.ENVIRONMENT_DELETED, {"environment": "blue"}),
    ],
)
def test_what_was_removed_runs_no_more(database: ArtifactDatabase, kind: Kind, words: dict[str, Any]) -> None:
    """A service runs no more once it is removed or its environment is deleted, until it is deployed again."""
    inside = [Reference("dependency", STARLETTE)]
    deploy(database, CART, environment="blue", references=inside)
    database.record(kind, CART, **words)
    assert database.what_runs("cart") is None
    assert database.where_is(STARLETTE) == []
    deploy(database, CART, environment="blue")
    assert database.what_runs("cart") is not None
    assert len(database.where_is(STARLETTE)) == 1


@pytest.mark.parametrize(
    "words",
    [
        {"stage": "production", "service": "cart", "environment": "green"},
        {"stage": "production", "service": "catalog", "environment": "blue"},
        {"stage": "staging", "service": "cart", "environment": "blue"},
    ],
)
def test_what_another_environment_loses_still_runs_here(
    database: ArtifactDatabase, words: dict[str, Any]
) -> None:
    """A removal counts for its own service, stage and environment only."""
    deploy(database, CART, environment="blue")
    database.record(Kind.SERVICE_REMOVED, CART, **words)
    assert database.what_runs("cart") is not None


# Where is


def test_where_is_names_each_place_that_runs_it_now(database: ArtifactDatabase) -> None:
    """Only what is deployed now counts: an upgrade to an image without the part takes the place out."""
    database.record(Kind.BILL_OF_MATERIALS, CART, references=[Reference("dependency", STARLETTE)])
    database.record(Kind.BILL_OF_MATERIALS, CART_2, references=[Reference("dependency", "pkg:pypi/other@1")])
    assert database.where_is(STARLETTE) == []
    deploy(database, CART, stage="staging", environment="staging-1")
    deploy(database, CART)
    parts = (Reference("dependency", STARLETTE),)
    staging = Place("staging", "staging-1", "cart", CART, parts)
    assert database.where_is(STARLETTE) == [Place("production", None, "cart", CART, parts), staging]
    deploy(database, CART_2)
    assert database.where_is(STARLETTE) == [staging]
    parts = (Reference("dependency", "pkg:pypi/other@1"),)
    assert database.where_is("pkg:pypi/other@1") == [Place("production", None, "cart", CART_2, parts)]


LIBSSL = "pkg:deb/debian/libssl3@3.0.22-1~deb12u2?arch=amd64"
INSIDE = [
    Reference("dependency", "pkg:pypi/starlette@1.10.0"),
    Reference("dependency", "pkg:pypi/typing-extensions@4.16.0"),
    Reference("dependency", LIBSSL),
    Reference("dependency", "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64"),
    Reference("base", "example/node:1", "sha256:" + "b" * 64),
    Reference("base", "debian:bookworm-slim"),
    Reference("code", "git:shop@abc#cart", "gitCommit:abc"),
]


@pytest.fixture
def installed(database: ArtifactDatabase) -> ArtifactDatabase:
    """Return a database with two services in production, of which the first has everything of INSIDE."""
    deploy(database, CART, references=INSIDE)
    other = [Reference("dependency", "pkg:pypi/starlette@1.0.0")]
    database.record(Kind.SERVICE_DEPLOYED, CART_2, stage="production", service="catalog", references=other)
    return database


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pkg:pypi/starlette", {"pkg:pypi/starlette@1.10.0", STARLETTE}),
        ("pkg:pypi/Starlette@1.10.0", {"pkg:pypi/starlette@1.10.0"}),
        ("PKG:PyPI/starlette@1.10.0", {"pkg:pypi/starlette@1.10.0"}),
        ("starlette==1.10.0", {"pkg:pypi/starlette@1.10.0"}),
        ("starlette", {"pkg:pypi/starlette@1.10.0", STARLETTE}),
        ("starlette@1.0.0", {STARLETTE}),
        ("pkg:pypi/Typing.Extensions", {"pkg:pypi/typing-extensions@4.16.0"}),
        ("typing_extensions", {"pkg:pypi/typing-extensions@4.16.0"}),
        ("pkg:deb/debian/libssl3", {LIBSSL}),
        ("pkg:deb/libssl3", {LIBSSL}),
        ("pkg:deb/debian/libssl3@3.0.22-1~deb12u2", {LIBSSL}),
        (LIBSSL, {LIBSSL}),
        ("libstdc++6", {"pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64"}),
        ("example/node:1", {"example/node:1"}),
        ("example/node", {"example/node:1"}),
        ("git:shop@abc#cart", {"git:shop@abc#cart"}),
        ("pkg:deb/debian/libssl3?arch=arm64", set()),
        ("pkg:deb/debian/starlette", set()),
        ("pkg:deb/ubuntu/libssl3", set()),
        ("pkg:pypi/starlette@1.1", set()),
        ("pkg:pypi/star", set()),
        ("nonsense", set()),
    ],
)
def test_where_is_reads_package_urls_and_names(
    installed: ArtifactDatabase, text: str, found: set[str]
) -> None:
    """No version is all versions, qualifiers may be left out, names are compared as their kind does."""
    places = installed.where_is(text)
    assert {reference.uri for place in places for reference in place.references} == found
    assert len(places) == (STARLETTE in found) + bool(found - {STARLETTE})  # only the catalog has it


@pytest.mark.parametrize("text", ["", " ", "pkg:", "pkg:pypi", "pkg:pypi/", "two words", "???"])
def test_a_text_that_is_no_package_is_refused(installed: ArtifactDatabase, text: str) -> None:
    """What is neither a package URL nor a name is a LabError, because an empty answer would say "nowhere"."""
    with pytest.raises(LabError, match="a package URL such as"):
        installed.where_is(text)


def test_the_nearest_names_are_known(installed: ArtifactDatabase) -> None:
    """A misspelt package is answered with what runs and is called much like it, in no version."""
    assert installed.nearest("pkg:pypi/starlete@1.0.0") == ["pkg:pypi/starlette"]
    assert installed.nearest("libssl1") == ["pkg:deb/debian/libssl3"]
    assert installed.nearest("something-else-altogether") == []


# Which commit, and what runs beside it


def test_the_commit_is_the_one_of_the_deployment_s_run(database: ArtifactDatabase) -> None:
    """Other commits with the same source have the same image, before and after: one of them runs."""

    def built(commit: str) -> None:
        code = [Reference("code", f"git:shop@{commit}#cart", f"gitCommit:{commit}")]
        database.record(Kind.BUILT, CART, references=code)
        database.record(Kind.TESTED, CART, references=code, stage="development")

    built("1" * 40)
    built("2" * 40)
    deploy(database, CART)
    built("3" * 40)
    running = database.what_runs("cart")
    assert running is not None
    assert running.commit == running.to_json()["commit"] == "2" * 40
    assert [reference.digest for reference in running.references["code"]] == [f"gitCommit:{'2' * 40}"]


def test_a_deployment_that_has_not_ended_runs_two_images(database: ArtifactDatabase) -> None:
    """What a deployment recorded last says which images run, also when its process was killed then."""
    parts = [Reference("dependency", STARLETTE)]
    database.record(Kind.BILL_OF_MATERIALS, CART_2, references=parts)
    deploy(database, CART, environment="blue")

    def progress(*running: str, environment: str = "blue") -> None:
        words: dict[str, Any] = {"stage": "production", "service": "cart", "environment": environment}
        database.record(Kind.ENVIRONMENT_USED, CART_2, **words, running=[*running])

    def images() -> list[str]:
        running = database.what_runs("cart")
        assert running is not None
        return [image.digest for image in (running.image, *running.beside)]

    progress(CART_2.digest, environment="green")
    assert images() == [CART.digest]
    progress(CART_2.digest, CART.digest)
    assert images() == [CART.digest, CART_2.digest]
    assert [place.image.digest for place in database.where_is(STARLETTE)] == [CART_2.digest]
    progress(CART_2.digest)
    assert images() == [CART_2.digest]
    progress(CART.digest)
    assert images() == [CART.digest]
    progress(CART_2.digest, CART.digest)
    deploy(database, CART_2, environment="blue", kind=Kind.SERVICE_UPGRADED)
    assert images() == [CART_2.digest]


# Secrets


@pytest.mark.parametrize(
    "name",
    ["POSTGRES_PASSWORD", "PGPASSWORD", "API_TOKEN", "SECRET", "SIGNING_KEY", "ADMIN_PWD", "AWS_SECRET_ID"],
)
def test_no_secret_is_recorded(name: str) -> None:
    """Of a parameter that is called a secret neither the value nor its digest is in a reference."""
    (reference,) = Reference.configuration({name: "hunter2"})
    assert (reference.uri, reference.digest) == (f"{name}=***", "")


@pytest.mark.parametrize("value", ["10", "EUR", "http://payments:8101/pay"])
def test_an_ordinary_parameter_is_recorded(value: str) -> None:
    """A parameter of another name is recorded with its value and the value's digest."""
    (reference,) = Reference.configuration({"KEYBOARD_LAYOUT": value})
    assert reference.uri == f"KEYBOARD_LAYOUT={value}"
    assert reference.digest.startswith("sha256:")


def test_the_password_in_a_url_is_not_recorded() -> None:
    """A URL is recorded without its password, whatever the parameter is called."""
    (reference,) = Reference.configuration({"STORE": "postgresql://shop:hunt@er2@store:5432/shop"})
    assert (reference.uri, reference.digest) == ("STORE=postgresql://shop:***@store:5432/shop", "")


# Verify


def test_a_whole_record_verifies(five: ArtifactDatabase) -> None:
    """An untouched database has no wrong row, and the git note vouches for all of it."""
    result = five.verify()
    assert (result.ok, result.facts, result.row, result.problem, result.noted) == (True, 5, None, "", 5)


def test_an_empty_record_verifies(database: ArtifactDatabase) -> None:
    """Nothing recorded is nothing wrong."""
    assert database.verify().ok


def wrong(database: ArtifactDatabase, row: int, problem: str) -> None:
    """Assert that verify names this row, with these words in its problem, and counts the rows before it."""
    result = database.verify()
    assert not result.ok
    assert (result.row, result.facts) == (row, row - 1)
    assert problem in result.problem


def test_an_edited_payload_is_found(five: ArtifactDatabase, file: Path) -> None:
    """verify() names the row whose payload differs from what was signed."""
    tamper(file, "UPDATE fact SET payload = replace(payload, 'pass', 'fail') WHERE id = 2")
    wrong(five, 2, "payload or signature")


def test_an_edited_signature_is_found(five: ArtifactDatabase, file: Path) -> None:
    """verify() names the row that has another row's signature."""
    tamper(file, "UPDATE fact SET signature = (SELECT signature FROM fact WHERE id = 5) WHERE id = 4")
    wrong(five, 4, "payload or signature")


def test_a_signature_that_is_no_signature_is_found(five: ArtifactDatabase, file: Path) -> None:
    """verify() names the row whose signature is not even hex."""
    tamper(file, "UPDATE fact SET signature = 'none' WHERE id = 4")
    wrong(five, 4, "payload or signature")


def test_an_edited_hash_is_found(five: ArtifactDatabase, file: Path) -> None:
    """verify() names the row whose hash does not chain it to the row before."""
    tamper(file, "UPDATE fact SET hash = (SELECT hash FROM fact WHERE id = 1) WHERE id = 2")
    wrong(five, 2, "hash")


@pytest.mark.parametrize(
    "column", ["at", "kind", "name", "digest", "stage", "service", "environment", "run", "by"]
)
def test_an_edited_column_is_found(five: ArtifactDatabase, file: Path, column: str) -> None:
    """verify() names the row and the searchable column that differs from the signed payload."""
    tamper(file, f"UPDATE fact SET \"{column}\" = 'other' WHERE id = 3")  # noqa: S608 - our own words
    wrong(five, 3, f"column {column} changed to 'other'")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reference SET uri = 'pkg:pypi/starlette@1.0.1'",
        "UPDATE reference SET role = 'tool'",
        "UPDATE reference SET digest = 'sha256:0'",
        "UPDATE reference SET position = 7",
        "UPDATE reference SET fact = 2",
        "DELETE FROM reference",
        "INSERT INTO reference VALUES (3, 1, 'dependency', 'pkg:pypi/other@1', '')",
    ],
)
def test_edited_references_are_found(five: ArtifactDatabase, file: Path, statement: str) -> None:
    """verify() names the fact whose references were changed, moved, deleted or added to."""
    tamper(file, statement)
    wrong(five, 2 if statement.endswith("fact = 2") else 3, "references changed")


@pytest.mark.parametrize("row", [1, 3])
def test_a_deleted_row_is_found(five: ArtifactDatabase, file: Path, row: int) -> None:
    """verify() names the row that is missing, also the first one."""
    tamper(file, f"DELETE FROM fact WHERE id = {row}")  # noqa: S608 - our own words
    wrong(five, row, "deleted")


def test_a_deleted_row_is_found_when_the_gap_is_closed(five: ArtifactDatabase, file: Path) -> None:
    """A deleted row is found though all later ones were moved up, because a fact's id is signed with it."""
    tamper(
        file,
        "DELETE FROM fact WHERE id = 2",
        "UPDATE reference SET fact = 2",
        "UPDATE fact SET id = id - 1 WHERE id = 3",
        "UPDATE fact SET id = id - 1 WHERE id = 4",
        "UPDATE fact SET id = id - 1 WHERE id = 5",
    )
    wrong(five, 2, "recorded as row 3")


def test_reordered_rows_are_found(five: ArtifactDatabase, file: Path) -> None:
    """verify() names the first of two rows that changed places, and says where it came from."""
    moves = [(4, 99), (5, 4), (99, 5)]
    tamper(file, *(f"UPDATE fact SET id = {new} WHERE id = {old}" for old, new in moves))  # noqa: S608 - our own words
    wrong(five, 4, "recorded as row 5")


def test_an_added_row_is_found(five: ArtifactDatabase, file: Path) -> None:
    """A row that labkit did not sign is wrong, however well it is copied."""
    copy = "INSERT INTO fact SELECT 6, payload, signature, hash, at, kind, name, digest, stage, service, "
    tamper(file, copy + "environment, run, by FROM fact WHERE id = 5")
    wrong(five, 6, "recorded as row 5")


@pytest.mark.parametrize("kept", [4, 1, 0])
def test_a_truncated_tail_is_found(five: ArtifactDatabase, file: Path, kept: int) -> None:
    """verify() names the first row that was cut off the end, because the git note knows a later one."""
    tamper(file, f"DELETE FROM fact WHERE id > {kept}")  # noqa: S608 - our own words
    wrong(five, kept + 1, "git note vouches for 5")


def test_a_truncated_tail_stays_found_after_more_facts(five: ArtifactDatabase, file: Path) -> None:
    """Facts recorded after a tail was cut off do not cover it up: the note that knows the old head stays."""
    five.verify()
    tamper(file, "DELETE FROM fact WHERE id > 3")
    for _ in range(3):
        five.record(Kind.CHECKED, CART)
    wrong(five, 5, "not the fact that the git note vouches for")


def test_another_key_s_facts_are_found(five: ArtifactDatabase, file: Path, tmp_path: Path) -> None:
    """A record that somebody wrote anew with a key of their own is wrong from its first row."""
    with ArtifactDatabase.open(tmp_path / "forged.db") as forged:
        forged.record(Kind.TESTED, CART)
    five.close()
    (tmp_path / "forged.db").replace(file)
    wrong(five, 1, "payload or signature")


def test_a_note_that_is_behind_is_no_fault(five: ArtifactDatabase, file: Path, shop: Path) -> None:
    """A database that is ahead of its note verifies, and says how far the note vouches."""
    five.close()
    with ArtifactDatabase.open(file) as without_note:
        without_note.record(Kind.CHECKED, CART)
    with ArtifactDatabase.open(file, notes=shop) as again:
        result = again.verify()
    assert (result.ok, result.facts, result.noted) == (True, 6, 5)


def test_references_of_no_fact_are_found(five: ArtifactDatabase, file: Path) -> None:
    """verify() names the row of references that belong to no fact."""
    tamper(file, "INSERT INTO reference VALUES (9, 0, 'dependency', 'pkg:pypi/other@1', '')")
    result = five.verify()
    assert (result.ok, result.facts, result.row) == (False, 5, 9)
    assert "references of a fact that is not there" in result.problem


def test_references_of_no_fact_do_not_stop_the_next_fact(five: ArtifactDatabase, file: Path) -> None:
    """A fact is recorded with its own references where others lay, and the record is whole again."""
    tamper(file, "INSERT INTO reference VALUES (6, 0, 'dependency', 'pkg:pypi/other@1', '')")
    own = Reference("dependency", STARLETTE)
    assert five.record(Kind.BILL_OF_MATERIALS, CART, references=[own]).references == (own,)
    assert five.verify().ok


def test_an_index_that_lacks_a_row_is_found(five: ArtifactDatabase, file: Path) -> None:
    """verify() looks at the indexes too, because the answers come from them."""
    partial = "CREATE INDEX fact_deployment ON fact (kind, stage, service, id) WHERE id < 3"
    whole = partial.partition(" WHERE")[0]
    five.close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript("DROP INDEX fact_deployment; " + partial)
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'fact_deployment'", [whole])
    assert five.what_runs("cart") is None  # the deployment is row 3
    result = five.verify()
    assert (result.ok, result.facts, result.row) == (False, 5, None)
    assert "missing from index fact_deployment" in result.problem


def test_a_damaged_file_is_found(five: ArtifactDatabase, file: Path) -> None:
    """verify() answers that the file is damaged where SQLite cannot even read it."""
    five.close()
    content = file.read_bytes()
    place = content.index(b"in-toto.io")
    file.write_bytes(content[:place] + b"\xff\xfe\xfd" + content[place + 3 :])
    result = five.verify()
    assert (result.ok, result.row) == (False, None)
    assert "the file is damaged" in result.problem


def test_verify_says_what_it_cannot_know(five: ArtifactDatabase, file: Path) -> None:
    """Without a note nobody can know whether facts were cut off at the end: verify says so."""
    assert five.verify().unknown == ()
    five.close()
    with ArtifactDatabase.open(file) as without_note:
        tamper(file, "DELETE FROM fact WHERE id > 3")
        result = without_note.verify()
    assert (result.ok, result.facts, result.noted) == (True, 3, None)
    assert "no git note" in " ".join(result.unknown)


def test_a_file_that_was_copied_without_its_wal_is_told(
    five: ArtifactDatabase, file: Path, shop: Path
) -> None:
    """A copy that lacks the newest facts is a cut-off tail, and the hint names the file that it lacks."""
    five.close()
    five.record(Kind.CHECKED, CART)
    copy = file.with_name("copy.db")
    copy.write_bytes(file.read_bytes())  # the sixth fact is still in artifacts.db-wal
    five.verify()
    with ArtifactDatabase.open(copy, key=file.with_suffix(".key"), notes=shop) as copied:
        wrong(copied, 6, "-wal")


# The git note


def test_the_note_is_on_the_root_commit(five: ArtifactDatabase, shop: Path) -> None:
    """The head's hash is the note `labkit` on the repository's first commit, whatever is committed later."""
    author = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    five.close()
    git(shop, *author, "commit", "--quiet", "--allow-empty", "-m", "second")
    five.record(Kind.CHECKED, CART)
    five.close()
    root = git(shop, "rev-list", "--max-parents=0", "HEAD").strip()
    assert git(shop, "notes", "--ref=labkit", "show", root).startswith("fact 6 hash ")
    assert len(git(shop, "notes", "--ref=labkit", "list").splitlines()) == 1


def test_the_note_is_written_though_nobody_closes(file: Path, shop: Path) -> None:
    """A program that records and just ends leaves no fact that its note does not know."""
    code = (
        "ArtifactDatabase.open(sys.argv[1], notes=Path(sys.argv[2])).record(Kind.CHECKED, Subject('a', ''))"
    )
    assert in_process(code, file, shop).wait() == 0
    assert git(shop, "notes", "--ref=labkit", "list")


def test_no_repository_is_no_fault_of_recording(file: Path, tmp_path: Path) -> None:
    """Where git has no repository or no commit, facts are recorded and verify says that no note vouches."""
    git(tmp_path, "init", "--quiet", tmp_path / "empty")
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with ArtifactDatabase.open(file, notes=folder) as database:
            database.record(Kind.CHECKED, CART)
            result = database.verify()
            assert (result.ok, result.noted) == (True, None)


def test_a_git_hook_s_variables_do_not_lead_the_note_astray(
    database: ArtifactDatabase, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note goes into its repository although labkit runs in a hook of another one."""
    git(tmp_path, "init", "--quiet", tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    database.record(Kind.CHECKED, CART)
    database.close()
    monkeypatch.undo()
    assert git(shop, "notes", "--ref=labkit", "list")


def test_one_process_at_a_time_writes_the_note(database: ArtifactDatabase, shop: Path) -> None:
    """A note waits for the process that is just writing one, so that an older head never covers a newer."""
    with (shop / ".git" / "labkit-note.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        database.record(Kind.CHECKED, CART)
        closing = threading.Thread(target=database.close)
        closing.start()
        closing.join(0.5)
        assert closing.is_alive()
        assert git(shop, "notes", "--ref=labkit", "list") == ""
    closing.join()
    assert git(shop, "notes", "--ref=labkit", "list")


def test_a_link_in_the_place_of_the_note_s_lock_is_not_followed(
    database: ArtifactDatabase, shop: Path, tmp_path: Path
) -> None:
    """What it leads to stays whole; the note is left out, and the fact is there."""
    other = tmp_path / "other"
    other.write_text("mine")
    (shop / ".git" / "labkit-note.lock").symlink_to(other)
    database.record(Kind.CHECKED, CART)
    database.close()
    assert other.read_text() == "mine"
    assert git(shop, "notes", "--ref=labkit", "list") == ""
    assert len(database.history()) == 1


# Several at once


APPEND = """
database = ArtifactDatabase.open(sys.argv[1], notes=Path(sys.argv[2]))
for number in range(60):
    database.record(Kind.TESTED, Subject(sys.argv[3], ""), references=[Reference("test", str(number))])
"""


def test_processes_append_at_once(file: Path, shop: Path) -> None:
    """Processes that make and fill one database at once all succeed, each in order, in one whole chain."""
    writers = [in_process(APPEND, file, shop, name) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with ArtifactDatabase.open(file, notes=shop) as database:
        result, facts = database.verify(), database.history()
    assert (result.ok, result.facts, result.noted) == (True, 180, 180)
    for name in "abc":
        theirs = [fact.references[0].uri for fact in facts if fact.subject.name == name]
        assert theirs == [str(number) for number in range(60)]


def test_threads_append_at_once(database: ArtifactDatabase) -> None:
    """Threads that share one database append without losing or mixing facts."""
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(lambda n: database.record(Kind.TESTED, CART, number=n).id, range(100)))
    assert sorted(ids) == list(range(1, 101))
    assert [fact.id for fact in database.history()] == list(range(1, 101))
    assert database.verify().ok


def test_verify_and_record_at_once(five: ArtifactDatabase) -> None:
    """A database that grows while it is verified is not taken for a truncated one."""
    done = threading.Event()

    def grow() -> None:
        while not done.is_set():
            five.record(Kind.CHECKED, CART)

    with ThreadPoolExecutor(1) as pool:
        growing = pool.submit(grow)
        results = [five.verify() for _ in range(10)]
        done.set()
        growing.result()
    assert [result for result in results if not result.ok] == []


def test_subscribe_sees_what_another_process_records(five: ArtifactDatabase, file: Path) -> None:
    """subscribe() yields the facts after a known one, then each new one, by whomever, until close()."""
    facts = five.subscribe(after=4, poll_s=0.01)
    assert next(facts).id == 5
    code = "ArtifactDatabase.open(sys.argv[1]).record(Kind.APPROVED, Subject('run', ''), by='carol')"
    with in_process(code, file):
        seen = next(facts)
    assert (seen.id, seen.kind, seen.by) == (6, Kind.APPROVED, "carol")
    facts.close()
    assert list(facts) == []


# Connections


def record_in_threads(database: ArtifactDatabase) -> None:
    """Record from several threads at once, so that there are several connections."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: database.record(Kind.TESTED, CART, number=n), range(20)))


@pytest.mark.parametrize("noted", [True, False])
def test_a_database_that_is_dropped_closes_its_connections(file: Path, shop: Path, noted: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """A database that nobody refers to any more leaves no connection open, also when nobody closed it."""
    database = ArtifactDatabase.open(file, notes=shop if noted else None)
    record_in_threads(database)
    assert open_connections(file) > 0
    del database
    for thread in threading.enumerate():
        if thread.name == "labkit-note":
            thread.join()  # it still refers to the database
    gc.collect()
    assert open_connections(file) == 0


def test_a_database_that_is_used_after_close_closes_its_connections_again(file: Path) -> None:
    """close() is not the end: what is opened by a later question is closed with the database too."""
    database = ArtifactDatabase.open(file)
    database.close()
    assert open_connections(file) == 0
    database.record(Kind.CHECKED, CART)
    del database
    gc.collect()
    assert open_connections(file) == 0


def test_a_database_that_cannot_be_opened_leaves_no_connection(
    five: ArtifactDatabase, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A held or a broken file, and a lost key, are errors that leave nothing open."""
    five.close()
    monkeypatch.setattr("labkit._sql.WAIT_S", 0.05)
    with closing(sqlite3.connect(file)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LabError, match="locked"):
            ArtifactDatabase.open(file)
    gc.collect()  # on Python 3.13 what is left open is an error here
    assert open_connections(file) == 0
    file.with_suffix(".key").unlink()
    with pytest.raises(LabError, match="signing key"):
        ArtifactDatabase.open(file)
    assert open_connections(file) == 0
    file.write_text("a letter, not a database " * 100)
    with pytest.raises(LabError, match="not a database"):
        ArtifactDatabase.open(file)
    assert open_connections(file) == 0


def test_a_program_that_never_closes_ends_without_a_warning(file: Path, shop: Path) -> None:
    """A script that records and just ends prints nothing: its connections are closed before Python ends."""
    code = (
        "import sys; from pathlib import Path; from labkit.artifacts import *; "
        "database = ArtifactDatabase.open(sys.argv[1], notes=Path(sys.argv[2])); "
        "database.record(Kind.CHECKED, Subject('a', ''))"
    )
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", code, str(file), str(shop)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


# The key


def test_the_key_is_made_once_and_for_the_owner_only(five: ArtifactDatabase, file: Path) -> None:
    """The key lies beside the database with mode 0600, and the next opening takes the same."""
    key = file.with_suffix(".key")
    before = key.read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    five.close()
    with ArtifactDatabase.open(file) as again:
        again.record(Kind.CHECKED, CART)
        assert again.verify().ok
    assert key.read_bytes() == before
    assert [path.name for path in file.parent.glob(".*key*")] == []


def test_processes_that_make_the_key_at_once_get_the_same(file: Path) -> None:
    """A key that another process has made meanwhile is taken, never replaced: facts may be signed with it."""
    first, second = SigningKey.create(file), SigningKey.create(file)
    assert second.public.signed("a payload", first.sign("a payload"))


def test_the_public_key_lies_beside_and_verifies_a_copy(five: ArtifactDatabase, file: Path) -> None:
    """Whoever has the file and the public key can check each fact; another key verifies none."""
    five.close()
    key = PublicKey.read(file.with_suffix(".pub").read_text())
    with HandedIn(file) as copy:
        verified = copy.verify(key)
        assert (verified.ok, verified.facts) == (True, 5)
        assert not copy.verify(SigningKey.create(file.with_name("other")).public).ok


@pytest.mark.parametrize("text", ["", "key", "0" * 63, "Z" * 64, "-----BEGIN PUBLIC KEY-----"])
def test_what_is_no_public_key_is_reported(text: str) -> None:
    """A public key is 64 hexadecimal digits."""
    with pytest.raises(LabError, match="64 hexadecimal digits"):
        PublicKey.read(text)


def test_the_key_may_lie_elsewhere(file: Path, tmp_path: Path) -> None:
    """key= names the key's file."""
    with ArtifactDatabase.open(file, key=tmp_path / "elsewhere.pem") as database:
        database.record(Kind.CHECKED, CART)
    assert (tmp_path / "elsewhere.pem").exists()
    assert not file.with_suffix(".key").exists()


def test_a_lost_key_is_reported(five: ArtifactDatabase, file: Path) -> None:
    """A database with facts is not opened without its key, and no new one is made for it."""
    five.close()
    file.with_suffix(".key").unlink()
    with pytest.raises(LabError, match="5 signed facts"):
        ArtifactDatabase.open(file)
    assert not file.with_suffix(".key").exists()


def test_a_broken_key_is_reported(five: ArtifactDatabase, file: Path) -> None:
    """A key file that holds no key is a LabError."""
    five.close()
    file.with_suffix(".key").write_text("no key")
    with pytest.raises(LabError, match="key in "):
        ArtifactDatabase.open(file)


# PostgreSQL


@pytest.mark.engine
def test_postgresql_takes_over_by_url(tmp_path: Path) -> None:
    """By URL the same facts, answers and checks come from PostgreSQL, also when processes append at once."""
    engine = Engine.find()
    server = engine.client.containers.run(
        SERVERS,
        ["postgres"],
        user="postgres",
        detach=True,
        ports={"5432/tcp": ("127.0.0.1", None) if engine.local else None},
        labels={"labkit.owner": str(Owner.process())},
    )
    try:
        server.reload()
        port = server.ports["5432/tcp"][0]["HostPort"]
        url = f"postgresql://postgres@{engine.host}:{port}/postgres"
        with opened(url, key=tmp_path / "key") as database:
            code = APPEND.replace("notes=", "key=")
            writers = [in_process(code, url, tmp_path / "key", name) for name in "ab"]
            assert [writer.wait() for writer in writers] == [0, 0]
            deployment = deploy(database, CART, references=[Reference("dependency", STARLETTE)])
            running = database.what_runs("cart")
            assert running is not None
            assert running.fact == deployment
            assert [place.service for place in database.where_is(STARLETTE)] == ["cart"]
            assert (database.verify().ok, database.verify().facts) == (True, 121)
            with psycopg.connect(url) as connection:
                connection.execute("UPDATE fact SET stage = 'staging' WHERE id = 121")
            wrong(database, 121, "column stage")
    finally:
        server.remove(force=True, v=True)


def opened(url: str, *, key: Path, deadline_s: float = 30) -> ArtifactDatabase:
    """Open a database as soon as its server answers."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            return ArtifactDatabase.open(url, key=key)
        except LabError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


# Bad input


def test_a_file_that_is_no_database_is_reported(file: Path) -> None:
    """A file of something else is a LabError and stays as it is; no key is made beside it."""
    file.write_text("a letter, not a database " * 100)
    with pytest.raises(LabError, match="file is not a database"):
        ArtifactDatabase.open(file)
    assert file.read_text().startswith("a letter")
    assert not file.with_suffix(".key").exists()


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    """A database in a missing folder is a LabError that names the path."""
    with pytest.raises(LabError, match=r"nowhere/artifacts\.db"):
        ArtifactDatabase.open(tmp_path / "nowhere" / "artifacts.db")


@pytest.mark.parametrize("url", ["://", "nosuch://host/name", "postgresql://host/name"])
def test_a_url_that_is_no_url_or_lacks_its_key_is_reported(url: str) -> None:
    """A URL that is none is a LabError, and so is a server's database without key=."""
    with pytest.raises(LabError, match=r"a path or a database URL|key="):
        ArtifactDatabase.open(url)


@pytest.mark.parametrize(
    "url",
    [
        "nosuch://me:hunter2@host/name",
        "postgresql+psycopg://me:hunter2@host:port/name",
        "postgresql+psycopg://me:hun@hunter2@host/name",
    ],
)
def test_the_error_for_a_url_that_cannot_be_read_tells_no_password(url: str) -> None:
    """Neither the error nor what it came from holds a piece of the URL but its beginning."""
    with pytest.raises(LabError, match="is none") as raised:
        ArtifactDatabase.open(url)
    whole = "".join(traceback.format_exception(raised.value, limit=0))
    assert "hunter2" not in whole
    assert raised.value.__context__ is None


def test_a_url_names_a_database_too(five: ArtifactDatabase, file: Path) -> None:
    """A database is opened by URL as by path."""
    with ArtifactDatabase.open(f"sqlite:///{file}") as again:
        assert again.history() == five.history()


def test_an_unknown_kind_is_reported(database: ArtifactDatabase) -> None:
    """A kind that does not exist is a LabError that lists those that do, when recording and when asking."""
    with pytest.raises(LabError, match="SERVICE_DEPLOYED"):
        database.record("deployed", CART)
    with pytest.raises(LabError, match="SERVICE_DEPLOYED"):
        database.history(kind="deployed")


def test_an_unknown_role_is_reported() -> None:
    """A reference's role that does not exist is a LabError that lists those that do."""
    with pytest.raises(LabError, match="dependency"):
        Reference("dependencies", STARLETTE)


@pytest.mark.parametrize(
    ("image", "stage", "service"),
    [(Subject("cart", ""), "staging", "cart"), (CART, None, "cart"), (CART, "staging", None)],
)
def test_a_deployment_names_stage_service_and_digest(
    database: ArtifactDatabase, image: Subject, stage: str | None, service: str | None
) -> None:
    """A deployment that no question could find is refused."""
    with pytest.raises(LabError, match="stage, service and image digest"):
        database.record(Kind.SERVICE_DEPLOYED, image, stage=stage, service=service)
    assert database.history() == []


def test_a_predicate_that_is_no_json_leaves_nothing(database: ArtifactDatabase) -> None:
    """What JSON cannot hold is a TypeError, and nothing is recorded."""
    with pytest.raises(TypeError):
        database.record(Kind.TESTED, CART, report=object())
    assert database.history() == []
    assert database.record(Kind.TESTED, CART).id == 1


def test_half_a_character_is_recorded_as_a_replacement(database: ArtifactDatabase) -> None:
    """A name of another encoding, as the file system gives it, is recorded as far as UTF-8 can hold it."""
    fact = database.record(Kind.TESTED, Subject("caf\udce9", ""), by="ä\ud83d\ude00", path="\udce9.py")
    assert (fact.subject.name, fact.by, fact.predicate["path"]) == ("caf\ufffd", "ä😀", "\ufffd.py")
    assert database.history() == [fact]
    assert database.verify().ok


def test_a_payload_that_is_no_statement_is_reported(five: ArtifactDatabase, file: Path) -> None:
    """Asking a damaged database is a LabError that leads to verify."""
    tamper(file, "UPDATE fact SET payload = '{}' WHERE id = 3")
    with pytest.raises(LabError, match="labkit artifacts verify"):
        five.what_runs("cart")

"""Databases of every kind: what is copied, what is refused before a row is read, and what nobody may see."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from labkit.engine import SERVERS, Engine, Label, Owner
from labkit.errors import LabError
from labkit.testdata import Policy, audit, obscure, subset, survey
from labkit.testdata._copy import FORMS
from labkit.testdata._refusal import NEWEST, refuse_version
from labkit.testdata._tools import _carried, statements

pytest_plugins = ["postgres"]

ZOO = Path(__file__).with_name("zoo.sql").read_text(encoding="utf-8")
UNDECIDED = re.compile(r"^# (.* = \"keep\"  # .*: decide, no other rule fits)$", re.MULTILINE)


def made(url: str, statements_: str) -> str:
    """Run statements in a database and return its URL."""
    with psycopg.connect(url) as connection:
        connection.execute(statements_.encode())
    return url


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Return what a query answers."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def proposed(url: str) -> Policy:
    """Return the policy that a survey proposes, with "keep" wherever it does not decide."""
    return Policy.load(UNDECIDED.sub(r"\1", survey(url).policy()))


@contextmanager
def role(url: str, *grants: str, password: str | None = None) -> Iterator[str]:
    """Make a role that may do as little as anybody, and what is granted; yield the URL with it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE reader LOGIN PASSWORD {}").format(sql.Literal(password or "none"))
        )
        for grant in grants:
            connection.execute(grant.encode())
    parts = conninfo_to_dict(url) | {"user": "reader"} | ({"password": password} if password else {})
    try:
        yield make_conninfo("", **{name: str(value) for name, value in parts.items()})
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY reader; DROP ROLE reader")


@pytest.mark.engine
def test_every_kind_of_object_comes_through(fresh: Callable[[], str]) -> None:
    """The proposal of a survey is TOML that fits, and everything is there again but the people."""
    source, target = made(fresh(), ZOO), fresh()
    surveyed = survey(source)
    unsure = {f"{column.table}.{column.column}" for column in surveyed.columns if column.rule is None}
    assert unsure == {"rooms.taken"}
    policy = proposed(source)
    done = obscure(source, target, policy)
    assert not any(audit(source, target, policy, linkage_attack=False).leaked_originals.values())
    counted = {name: n for name, n in done.rows.items() if n}
    assert (counted["everything"], counted["events"], counted['"a.b"'], counted["public.subset"]) == (
        13,
        3,
        1,
        1,
    )
    objects = (
        "SELECT relname, relkind FROM pg_class WHERE oid >= 16384 AND relname !~ '^pg_toast' ORDER BY 1, 2"
    )
    assert rows(source, objects) == rows(target, objects)
    assert len(rows(source, objects)) >= 60
    for query in (
        "SELECT proname, prosrc FROM pg_proc WHERE oid >= 16384 AND prolang <> 13 ORDER BY 1, 2",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE oid >= 16384 ORDER BY 1, 2",
        "SELECT obj_description('bare'::regclass), is_part_number('12'), is_part_number('')",
        "SELECT * FROM z_first, m_between, b_over",
        "SELECT last_value FROM numbers",
        "SELECT relname FROM pg_class WHERE relkind = 'm' AND NOT relispopulated",
        "SELECT id, other IS NULL, content IS NULL FROM odd_texts ORDER BY id",
        "SELECT id, amount, lasted, tempers, doc -> 'visits' FROM everything ORDER BY id",
        "SELECT count(*) FROM visits JOIN users ON users.id = user_id AND users.login = visits.login",
        "SELECT raw_doc ->> 'dup' FROM everything",
    ):
        assert rows(source, query) == rows(target, query), query
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        rows(target, "SELECT * FROM a_last")
    tables = rows(target, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384")
    whole = "\n".join(str(rows(target, f"SELECT t::text FROM ONLY {name} AS t")) for (name,) in tables)  # noqa: S608 - names of the catalogue
    assert not re.findall(r"zebulon\d*@|quackenbush|202 555 10|900-11|alias\d", whole, re.IGNORECASE)


@pytest.mark.engine
def test_texts_of_any_bytes_come_through(fresh: Callable[[], str]) -> None:
    """Marks of byte order, control characters and line ends of every kind, beside a column that changes."""
    source = made(fresh(), ZOO[ZOO.index("CREATE TABLE odd_texts") : ZOO.index("-- names")])
    target = fresh()
    rules = '[odd_texts]\nid = "pseudonymize"\ncontent = "keep"\nother = "keep"\n'
    obscure(source, target, Policy.load(rules))
    texts = "SELECT content, other FROM odd_texts ORDER BY 1, 2"
    assert rows(source, texts) == rows(target, texts)


PAIRS = [
    ('"pseudonymize"', "bigint", "integer", "i"),
    ('"pseudonymize"', "integer", "smallint", "i"),
    ('"pseudonymize"', "varchar(100)", "varchar(20)", "'someone' || i"),
    ('"pseudonymize"', "char(40)", "char(30)", "'someone' || i"),
    ('{fake = "email"}', "text", "varchar(30)", "i || '@x.test'"),
    ('{fake = "user_name"}', "varchar(28)", "text", "'u' || i"),
]
"""A rule, the types of a key and of what refers to it, and a value."""


@pytest.mark.engine
def test_one_value_has_one_code_in_columns_of_other_widths(fresh: Callable[[], str]) -> None:
    """What is made has to fit into the narrowest of the columns that refer to each other."""
    source, target, policy = fresh(), fresh(), ""
    for number, (rule, parent, child, value) in enumerate(PAIRS):
        tables = [
            f"CREATE TABLE p{number} (id {parent} PRIMARY KEY)",
            f"CREATE TABLE c{number} (id {child} REFERENCES p{number}, old {child})",
            f"INSERT INTO p{number} (SELECT {value} FROM generate_series(1, 30) AS i)",  # noqa: S608 - own values
            f"INSERT INTO c{number} SELECT id, id FROM p{number}",  # noqa: S608 - own values
        ]
        made(source, ";".join(tables))
        policy += f'[p{number}]\nid = {rule}\n[c{number}]\nold = "keep"\n'
    obscure(source, target, Policy.load(policy))
    for number in range(len(PAIRS)):
        pairs = f"FROM c{number} JOIN p{number} USING (id)"
        assert rows(target, f"SELECT count(*) {pairs}") == [(30,)]
        assert rows(target, f"SELECT count(*) {pairs} WHERE id = old") < [(5,)]


KEYS = """
CREATE EXTENSION citext;
CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@corp.test');
CREATE TABLE people (id bigint PRIMARY KEY, email text, name text, gone date, code varchar(8), work mail,
    nick citext UNIQUE, ip inet, level text CHECK (level IN ('a', 'b')), seat int4range, doc jsonb,
    initial text GENERATED ALWAYS AS (left(email, 1)) STORED, EXCLUDE USING gist (seat WITH &&));
CREATE UNIQUE INDEX folded ON people (lower(email));
CREATE UNIQUE INDEX living ON people (name) WHERE gone IS NULL;
CREATE UNIQUE INDEX first_letters ON people (left(code, 3));
CREATE TABLE friends (nick citext REFERENCES people (nick), UNIQUE NULLS NOT DISTINCT (nick));
INSERT INTO people (id, email, nick, level, doc) VALUES (1, 'A@corp.test', 'Ann', 'a', '{"a": {"b": 1}}');
INSERT INTO friends VALUES ('ANN');
"""
RULES = {
    "id": '"pseudonymize"', "email": '{fake = "email"}', "name": '{fake = "user_name"}', "gone": '"keep"',
    "code": '"keep"', "work": '"null"', "nick": '{fake = "email"}', "ip": '"null"', "level": '"keep"',
    "seat": '"keep"', "doc": '{json = {"$.a" = "keep"}}',
}  # fmt: skip


@pytest.mark.engine
def test_what_cannot_be_is_refused_before_anything_is_written(fresh: Callable[[], str]) -> None:
    """Keys on expressions, of some rows, that exclude; domains, checks and types; unknown paths of JSON."""
    source, target = made(fresh(), KEYS), fresh()

    def answer(**changed: str) -> str:
        lines = [f"{name} = {rule}" for name, rule in (RULES | changed).items()]
        try:
            obscure(source, target, Policy.load("[people]\n" + "\n".join(lines) + "\n"))
        except LabError as refused:
            return str(refused)
        return ""

    assert "index folded" in answer(email='{fake = "name"}')
    assert "index living" in answer(name='{fake = "name"}')
    assert "index living" in answer(gone='"null"')
    assert "index first_letters" in answer(code='"null"')
    assert "index people_seat_excl" in answer(seat='"null"')
    assert "the type mail does not take" in answer(work='{fake = "email"}')
    assert "the type inet does not take" in answer(ip='{fake = "name"}')
    assert "people_level_check does not take" in answer(level='{fake = "city"}')
    assert "none for $.a.b in 1 values" in answer(doc='{json = {"$.c" = "keep"}}')
    assert "index friends_nick_key" in answer(nick='"null"')
    assert rows(target, "SELECT count(*) FROM pg_class WHERE oid >= 16384") == [(0,)]
    assert not answer()
    assert rows(target, "SELECT count(*) FROM friends JOIN people USING (nick) WHERE nick <> 'ann'") == [(1,)]


@pytest.mark.engine
@pytest.mark.parametrize(
    "thing",
    [
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE FUNCTION kept() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
        "CREATE VIEW v AS SELECT 1",
        "CREATE SCHEMA s",
        "CREATE SEQUENCE q",
        "CREATE EXTENSION hstore",
        "SELECT lo_create(0)",
    ],
)
def test_a_target_with_any_object_is_refused_and_left_alone(fresh: Callable[[], str], thing: str) -> None:
    """Empty means no object at all; what is there is named, and stays."""
    source, target = made(fresh(), "CREATE TABLE t (id integer)"), made(fresh(), thing)
    with pytest.raises(LabError, match=r"an empty database at .*\nseen: +\w+.*\n.*template0"):
        subset(source, target, {})
    assert rows(target, "SELECT 1") == [(1,)]


@pytest.mark.engine
def test_a_failure_at_the_end_leaves_the_target_empty(fresh: Callable[[], str]) -> None:
    """The error has no row in it; the target can be given again."""
    table = "CREATE TABLE t (a text, b text, CHECK (a = b)); INSERT INTO t VALUES ('Zeb', 'Zeb')"
    source, target = made(fresh(), table), fresh()
    policy = Policy.load('[t]\na = {fake = "first_name"}\nb = "keep"\n')
    with pytest.raises(LabError, match=r"t_check.*\n.*is empty, and the source as it was") as refused:
        obscure(source, target, policy)
    assert "Zeb" not in str(refused.value)
    assert rows(target, "SELECT count(*) FROM pg_class WHERE oid >= 16384") == [(0,)]


@pytest.mark.engine
def test_a_role_that_may_not_read_all_is_told_what_to_ask_for(fresh: Callable[[], str]) -> None:
    """The tables, and statements that help when they are run; a policy on rows hides nothing silently."""
    source, target = fresh(), fresh()
    made(
        source,
        "CREATE SCHEMA pay; CREATE TABLE tickets (id serial, email text); CREATE TABLE pay.roll (id integer);"
        "CREATE TABLE seen (id integer); ALTER TABLE seen ENABLE ROW LEVEL SECURITY",
    )
    with role(source, "GRANT SELECT ON tickets, seen TO reader") as url:
        with pytest.raises(LabError, match=r"may not read pay\.roll") as refused:
            survey(url)
        made(source, refused.value.next_step.removeprefix("let their owner run: "))
        with pytest.raises(LabError, match="policies on rows hide rows of seen") as refused:
            survey(url)
        made(source, "ALTER ROLE reader BYPASSRLS")
        policy = Policy.load(survey(url).policy())
        with pytest.raises(LabError, match="may not read tickets_id_seq") as refused:
            obscure(url, target, policy)
        made(source, refused.value.next_step.removeprefix("let their owner run: "))
        assert obscure(url, target, policy).rows == {"pay.roll": 0, "seen": 0, "tickets": 0}


@pytest.mark.parametrize(("version", "seen"), [(110022, "PostgreSQL 11.22"), (170010, "PostgreSQL 17.10")])
def test_a_server_of_another_version_is_refused_with_both_versions(version: int, seen: str) -> None:
    """Older ones lack what is asked, newer ones what pg_dump knows."""
    with pytest.raises(LabError) as refused:
        refuse_version(version)
    assert (refused.value.seen, f"to {NEWEST}" in refused.value.expected) == (seen, True)
    refuse_version(120000)
    refuse_version(150020)


@pytest.mark.engine
def test_the_newest_version_is_that_of_the_image() -> None:
    """What is refused follows from the tool that is used."""
    told = Engine.find().run(SERVERS, ["pg_dump", "--version"]).output
    assert f"(PostgreSQL) {NEWEST}." in told


@pytest.mark.engine
def test_a_lock_is_waited_for_and_then_told(
    fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that holds a table does not make a survey hang."""
    monkeypatch.setitem(FORMS, "lock_timeout", "50ms")
    source = made(fresh(), "CREATE TABLE t (id integer)")
    with psycopg.connect(source) as other:
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LabError, match="another session changes it"):
            survey(source)


@pytest.mark.engine
def test_a_password_is_seen_by_nobody(
    fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Taken from a file of services as from a URL; not in a container's settings, nor in what it runs."""
    word = "s3cr3t: \\'x "
    source, target = made(fresh(), "CREATE TABLE t (id integer)"), fresh()
    engine = Engine.find()
    with role(source, "GRANT SELECT ON t TO reader", password=word) as url:
        passwords = tmp_path / "pgpass"
        passwords.write_text("*:*:*:*:" + word.replace("\\", "\\\\").replace(":", "\\:") + "\n")
        passwords.chmod(0o600)
        parts = {name: value for name, value in conninfo_to_dict(url).items() if name != "password"}
        services = tmp_path / "services"
        services.write_text("[clinic]\n" + "".join(f"{name}={value}\n" for name, value in parts.items()))
        monkeypatch.setenv("PGSERVICEFILE", str(services))
        monkeypatch.setenv("PGPASSFILE", str(passwords))
        told: list[str] = []
        with engine.events({Label.OWNER: str(Owner.process())}) as events:
            watched = threading.Thread(target=lambda: told.extend(_inspected(engine, events)), daemon=True)
            watched.start()
            assert subset("service=clinic", target, {}) == {"t": 0}
        watched.join(10)
    assert any("SNAPSHOT" in settings for settings in told)
    assert not any("s3cr3t" in settings for settings in told)


def _inspected(engine: Engine, events: Any) -> Iterator[str]:
    for event in events:
        if event.action == "start":
            try:
                yield str(engine.client.api.inspect_container(event.id))
                yield str(engine.client.api.top(event.id))
            except Exception:  # noqa: BLE001, S112 - somebody else's container that ended meanwhile
                continue


def test_what_a_dump_needs_is_carried_without_its_password() -> None:
    """The password goes into a file, with escapes; a certificate that is a file goes along."""
    where, files = _carried(rf"host=h password='a:b\\c' sslrootcert='{__file__}'")
    parts = conninfo_to_dict(where)
    assert parts["passfile"] == "/tmp/labkit/pgpass"  # noqa: S108 - in a container
    assert files["pgpass"] == b"*:*:*:*:a\\:b\\\\c\n"
    assert files["sslrootcert"] == Path(__file__).read_bytes()
    assert "password" not in parts


def test_only_the_two_lines_of_pg_dump_are_taken_out_of_a_script() -> None:
    """Lines of functions and comments that begin with a backslash stay, and so do odd ends of lines."""
    text = "COMMENT ON TABLE t IS 'a\n\\restrict abc\n\\d\n\\unrestrict abc\n\x0b\u2028\x85';\n"
    script = f"--\n-- dump\n--\n\n\\restrict Tok3n\n\n{text}\n\\unrestrict Tok3n\n\n"
    assert statements(script) == f"--\n-- dump\n--\n\n\n{text}\n\n"
    assert statements(text.replace("\\restrict abc\n", "")) == text.replace("\\restrict abc\n", "")

import re
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from labkit.errors import LabError
from labkit.testdata import Policy, generate, obscure, subset, survey
from labkit.testdata._change import Changer
from labkit.testdata._copy import _found, connected
from labkit.testdata._fakes import Fakes
from labkit.testdata._ff1 import ff1
from labkit.testdata._forms import Forms
from labkit.testdata._mac import cmac
from labkit.testdata._pattern import Pattern
from labkit.testdata._persona import Personas
from labkit.testdata._redact import Redactor
from labkit.testdata._rule import Rule
from labkit.testdata._schema import Column, Table

pytest_plugins = ["postgres"]

KEY, OTHER_KEY = b"k" * 32, b"o" * 32

TABLES = """
CREATE SCHEMA clinic;
CREATE TABLE customers (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE,
    ssn text, born date, phone varchar(20), zip char(5),
    balance numeric(12, 2), referred_by integer REFERENCES customers, extra jsonb,
    lower_name text GENERATED ALWAYS AS (lower(name)) STORED
);
CREATE TABLE orders (
    customer integer NOT NULL REFERENCES customers, number integer, contact_email text,
    at timestamptz NOT NULL, note text, PRIMARY KEY (customer, number)
);
CREATE TABLE clinic.prescriptions (
    id bigint PRIMARY KEY, customer integer, number integer, drug text NOT NULL, token uuid NOT NULL,
    FOREIGN KEY (customer, number) REFERENCES orders
);
CREATE VIEW names AS SELECT name FROM customers;
CREATE MATERIALIZED VIEW spent AS SELECT sum(balance) FROM customers;
CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper($1);
"""

POLICY = """
[customers]
id = "keep"
name = {fake = "name", by = "email"}
email = {fake = "email"}
ssn = {format_preserving = "###-##-####"}
born = {date_shift = 30, by = "email"}
phone = {unissued = "(555) 01#-####"}
zip = {generalize = "postcode"}
balance = {generalize = 100}
extra = "null"
[orders]
number = "keep"
contact_email = {fake = "email"}
at = {generalize = "month"}
note = "redact"
["clinic.prescriptions"]
id = "pseudonymize"
drug = "keep"
token = "pseudonymize"
"""

ROWS: list[tuple[Any, ...]] = [
    ("Lori Meyer", "lori@mail.test", "123-45-6789", "1980-02-29", "(201) 555-7788", "03601", "199.99"),
    ('Zoë "Zo" Ångström', "zoe@mail.test", "", "-infinity", None, "94110", "-5.00"),
    ("O'Hara,\nTwo Lines", "o\\hara@mail.test", None, None, "", "", None),
    ("NULL", "null@mail.test", "987-65-4321", "1999-12-31", "(201) 555-0000", None, "0.00"),
    ("\\.", "\\N@mail.test", "000-00-0001", "infinity", "(201) 555-0001", "10001", "12345.67"),
]
NOTE = (
    "Lori Meyer called from (201) 555-7788 about order 4711, write to lori@mail.test; 2 tablets for ANGSTRÖM"
)


@pytest.fixture
def source(fresh: Callable[[], str]) -> str:
    """Make a database with everything that is awkward, and return its URL."""
    url = fresh()
    with psycopg.connect(url) as connection:
        connection.execute(TABLES)
        for row in ROWS:
            connection.execute(
                "INSERT INTO customers (name, email, ssn, born, phone, zip, balance, extra) "
                'VALUES (%s, %s, %s, %s, %s, %s, %s, \'{"mail": "lori@mail.test"}\')',
                row,
            )
        connection.execute("UPDATE customers SET referred_by = id - 1 WHERE id > 1")
        for customer in range(1, 6):
            connection.execute(
                "INSERT INTO orders SELECT %s, 1, email, '2026-03-04 05:06', %s FROM customers WHERE id = %s",
                [customer, NOTE if customer == 1 else "", customer],
            )
            connection.execute(
                "INSERT INTO clinic.prescriptions VALUES (%s, %s, 1, 'ibuprofen', gen_random_uuid())",
                [customer * 7, customer],
            )
        connection.execute("INSERT INTO clinic.prescriptions VALUES (999, NULL, NULL, '', gen_random_uuid())")
        connection.execute("REFRESH MATERIALIZED VIEW spent")
    return url


def whole(url: str) -> str:
    """Return all tables as one text."""
    tables = ("customers", "orders", "clinic.prescriptions")
    return "\n".join(str(rows(url, f"SELECT t::text FROM {table} AS t ORDER BY 1")) for table in tables)  # noqa: S608 - the test's own tables


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Return what a query answers."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


# ---- FF1 ----


@pytest.mark.parametrize(
    ("key", "encrypted"),
    [
        ("2B7E151628AED2A6ABF7158809CF4F3C", 2433477484),
        ("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F", 2830668132),
        ("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94", 6657667009),
    ],
)
def test_ff1_gives_what_nist_prints(key: str, encrypted: int) -> None:
    """The samples with an empty tweak, radix 10, for keys of 128, 192 and 256 bits: 0123456789."""
    assert ff1(bytes.fromhex(key))(np.array([123456789], dtype=np.uint64), 10).tolist() == [encrypted]


@pytest.mark.parametrize("digits", [2, 3, 4, 5])
def test_ff1_gives_every_number_once(digits: int) -> None:
    """A permutation of all numbers of so many digits, for even and odd numbers of them."""
    everything = np.arange(10**digits, dtype=np.uint64)
    assert sorted(ff1(KEY)(everything, digits).tolist()) == everything.tolist()


@given(st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=50, unique=True))
@settings(deadline=None, max_examples=50)
def test_ff1_keeps_long_numbers_apart(numbers: list[int]) -> None:
    """Eighteen digits stay eighteen digits and different."""
    encrypted = ff1(KEY)(np.array(numbers, dtype=np.uint64), 18)
    assert len(set(encrypted.tolist())) == len(numbers)
    assert int(encrypted.max()) < 10**18


@pytest.mark.parametrize("size", [16, 24, 32])
@given(st.lists(st.text(max_size=70), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_many_tags_at_once_are_what_the_library_gives_one_by_one(size: int, texts: list[str]) -> None:
    """AES-CMAC by cryptography's own implementation, for texts of any length."""
    key = bytes(range(size))

    def one(text: str) -> int:
        mac = CMAC(algorithms.AES(key))
        mac.update(text.encode())
        return int.from_bytes(mac.finalize()[:8], "big")

    assert cmac(key)(pl.Series(texts, dtype=pl.String)).tolist() == [one(text) for text in texts]


def test_a_tag_is_what_the_rfc_prints() -> None:
    """RFC 4493's example of an empty text."""
    tags = cmac(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))(pl.Series([""]))
    assert tags.tolist() == [0xBB1D6929E9593728]


# ---- what comes out ----


@pytest.mark.engine
def test_every_rule_does_what_it_says(source: str, fresh: Callable[[], str]) -> None:
    """Each column by its rule; what was empty or NULL stays so; nothing of the old values is left."""
    target = fresh()
    done = obscure(source, target, Policy.load(POLICY), key=KEY)
    assert done.rows == {"customers": 5, "orders": 5, "clinic.prescriptions": 6}
    columns = "name, email, ssn, born::text, phone, trim(zip), balance::text, extra"
    query = f"SELECT {columns} FROM customers ORDER BY id"  # noqa: S608 - the test's own columns
    copied = rows(target, query)
    assert all(re.fullmatch(r"\w+ \w+", row[0]) for row in copied)
    for name, email, *_ in copied:
        first, last = name.lower().split()
        assert re.fullmatch(rf"{first}\.{last}\.[0-9a-f]{{12}}@example\.com", email)
    assert [
        row[2] is None or row[2] == "" or bool(re.fullmatch(r"\d{3}-\d\d-\d{4}", row[2])) for row in copied
    ] == [True] * 5
    assert [row[2] for row in copied][1:3] == ["", None]
    assert [copied[place][3] for place in (1, 2, 4)] == ["-infinity", None, "infinity"]
    assert [row[4] for row in copied][1:3] == [None, ""]
    assert all(re.fullmatch(r"\(555\) 01\d-\d{4}", row[4]) for row in copied if row[4])
    assert [row[5] for row in copied] == ["000", "941", "", None, "100"]
    assert [row[6] for row in copied] == ["100.00", "-100.00", None, "0.00", "12300.00"]
    assert [row[7] for row in copied] == [None] * 5
    texts = whole(target)
    assert not [
        old
        for row in ROWS
        for old in (row[0], row[1], row[2], row[4])
        if old and len(old) > 4 and old in texts
    ]


@pytest.mark.engine
def test_a_password_that_libpq_found_by_itself_is_known_to_pg_dump_too(
    fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg_dump runs elsewhere, without the variables and files of this process."""
    word = "pass word"
    monkeypatch.setenv("PGPASSWORD", word)
    url = fresh()
    with connected(url) as connection:
        assert conninfo_to_dict(_found(connection))["password"] == word


def test_the_same_person_is_the_same_in_every_table(source: str, fresh: Callable[[], str]) -> None:
    """An e-mail address becomes one address everywhere; references still lead where they led."""
    target = fresh()
    obscure(source, target, Policy.load(POLICY))
    query = (
        "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer AND c.email = o.contact_email"
    )
    assert rows(target, query) == [(5,)]
    assert rows(target, "SELECT count(*) FROM clinic.prescriptions JOIN orders USING (customer, number)") == [
        (5,)
    ]
    referred = "SELECT referred_by FROM customers ORDER BY id"
    assert rows(target, referred) == rows(source, referred)


@pytest.mark.engine
def test_addresses_that_differ_in_case_alone_are_one_person_with_two_addresses(
    fresh: Callable[[], str],
) -> None:
    """A unique column stays unique, also when a column of few characters takes the short form."""
    source, target = fresh(), fresh()
    with psycopg.connect(source) as connection:
        connection.execute("CREATE TABLE people (mail text UNIQUE, short varchar(30) UNIQUE, name text)")
        for mail in ("ann@x.test", "Ann@X.test", " ann@x.test"):
            connection.execute("INSERT INTO people VALUES (%s, %s, 'Ann')", [mail, mail])
    rules = 'mail = {fake = "email"}\nshort = {fake = "email"}\nname = {fake = "name", by = "mail"}'
    obscure(source, target, Policy.load(f"[people]\n{rules}"))
    assert rows(target, "SELECT count(DISTINCT name), count(DISTINCT mail) FROM people") == [(1, 3)]
    assert rows(target, "SELECT count(DISTINCT split_part(mail, '.', 1)) FROM people") == [(1,)]


@pytest.mark.engine
def test_dates_of_a_person_move_but_within_the_days(source: str, fresh: Callable[[], str]) -> None:
    """By at most 30 days and never by none."""
    target = fresh()
    obscure(source, target, Policy.load(POLICY))
    born = "SELECT born FROM customers WHERE id IN (1, 4) ORDER BY id"
    moved = [
        abs((new - old).days) for (new,), (old,) in zip(rows(target, born), rows(source, born), strict=True)
    ]
    assert all(1 <= days <= 30 for days in moved)


@pytest.mark.engine
def test_free_text_keeps_its_words_and_loses_its_people(source: str, fresh: Callable[[], str]) -> None:
    """Names and parts of addresses in any case, e-mail addresses and long numbers go; short numbers stay."""
    target = fresh()
    obscure(source, target, Policy.load(POLICY))
    (note,) = rows(target, "SELECT note FROM orders WHERE customer = 1")[0]
    gone = "[removed]"
    assert (
        note == f"{gone} {gone} called from {gone} about order {gone}, write to {gone} 2 tablets for {gone}"
    )


@pytest.mark.engine
def test_all_of_the_schema_is_there_again(source: str, fresh: Callable[[], str]) -> None:
    """Keys, generated columns, views with their rows, functions; the next number of a sequence goes on."""
    target = fresh()
    obscure(source, target, Policy.load(POLICY))
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT shout('a'), (SELECT count(*) FROM names)").fetchone() == ("A", 5)
        assert connection.execute("SELECT count(*) FROM spent").fetchone() == (1,)
        assert connection.execute("SELECT bool_and(lower_name = lower(name)) FROM customers").fetchone() == (
            True,
        )
        new = "INSERT INTO customers (name, email) VALUES ('n', 'n@example.com') RETURNING id"
        assert connection.execute(new).fetchone() == (6,)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(new)


@pytest.mark.engine
def test_one_key_gives_the_same_bytes_and_another_key_others(
    source: str, fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of a block; a key that is not given is a new one each time."""
    targets = [fresh() for _ in range(5)]
    policy = Policy.load(POLICY)
    first = obscure(source, targets[0], policy, key=KEY)
    monkeypatch.setattr("labkit.testdata._rows.BLOCK", 64)
    same = obscure(source, targets[1], policy, key=KEY)
    other = obscure(source, targets[2], policy, key=OTHER_KEY)
    fresh_keys = [obscure(source, target, policy).key_fingerprint for target in targets[3:]]
    query = "SELECT string_agg(c::text, '|' ORDER BY id) FROM customers c"
    assert rows(targets[0], query) == rows(targets[1], query) != rows(targets[2], query)
    assert first.key_fingerprint == same.key_fingerprint != other.key_fingerprint
    assert len({*fresh_keys, first.key_fingerprint}) == 3
    assert KEY.hex() not in str(first.to_json())


@given(
    st.lists(
        st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
        min_size=1,
    )
)
@settings(deadline=None, max_examples=100)
def test_what_is_kept_beside_what_is_changed_is_kept_whole(values: list[str | None]) -> None:
    """Any text comes through a block as it went in, NULL and empty told apart."""
    column = {name: Column(name, "text", nullable=True, generated=False) for name in ("kept", "mail")}
    rules = {"kept": Rule("keep"), "mail": Rule("fake", "email")}
    changer = Changer(Table("public", "t", column, (), ()), rules, KEY, Redactor(Forms()), Fakes())
    block = pl.DataFrame(
        {"kept": values, "mail": ["a@b.test"] * len(values)}, schema={"kept": pl.String, "mail": pl.String}
    )
    out = changer(block.write_csv(include_header=False, quote_style="non_numeric").encode())
    back = pl.read_csv(out, has_header=False, schema={"kept": pl.String, "mail": pl.String})
    assert back["kept"].to_list() == values


@pytest.mark.engine
def test_a_table_of_one_column_comes_through_whatever_it_holds(fresh: Callable[[], str]) -> None:
    """Also what COPY could take for the end of all rows, or for NULL."""
    source, target = fresh(), fresh()
    texts = ["\\.", "", None, "\\N", ' "', "a\nb", "ann@x.test"]
    with psycopg.connect(source) as connection:
        connection.execute("CREATE TABLE kept (it text); CREATE TABLE changed (it text)")
        connection.cursor().executemany("INSERT INTO kept VALUES (%s)", [(text,) for text in texts])
        connection.cursor().executemany("INSERT INTO changed VALUES (%s)", [(text,) for text in texts])
    obscure(source, target, Policy.load('[kept]\nit = "keep"\n[changed]\nit = "redact"\n'))
    assert [row[0] for row in rows(target, "SELECT it FROM kept")] == texts
    assert [row[0] for row in rows(target, "SELECT it FROM changed")] == [*texts[:-1], "[removed]"]


def changed_by(rules: dict[str, Rule], **values: list[str | None]) -> pl.DataFrame:
    """Return what becomes of columns of text, or of dates where they are shifted."""
    columns = {
        name: Column(name, "date" if rule.kind == "date_shift" else "text", nullable=True, generated=False)
        for name, rule in rules.items()
    }
    changer = Changer(Table("public", "t", columns, (), ()), rules, KEY, Redactor(Forms()), Fakes())
    names = dict.fromkeys(columns, pl.String)
    out = changer(pl.DataFrame(values, schema=names).write_csv(include_header=False).encode())
    return pl.read_csv(out, has_header=False, schema=names)


def test_a_row_whose_by_column_is_empty_is_about_its_own_value() -> None:
    """People without an e-mail address are not all one person."""
    rules = {"mail": Rule("fake", "email"), "name": Rule("fake", "name", "mail")}
    out = changed_by(rules, mail=["", None, "", "a@x.test"], name=["Ann", "Ann", "Ben", "Cy"])
    assert out["mail"].to_list()[:3] == ["", None, ""]
    assert out["name"][0] == out["name"][1] != out["name"][2]


def test_how_far_a_date_moves_does_not_follow_from_the_fake_address() -> None:
    """The address and the names in it reveal all of a persona's bits, so that dates move by other bits."""
    people, days = [f"p{number}@x.test" for number in range(1000)], 2
    rules = {"mail": Rule("fake", "email"), "day": Rule("date_shift", days, "mail")}
    out = changed_by(rules, mail=list(people), day=["2000-01-10"] * len(people))
    revealed = Personas(KEY).bits(pl.Series(people)) % np.uint64(2 * days)
    assert len(set(zip(revealed.tolist(), out["day"], strict=True))) == (2 * days) ** 2


@given(st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=20))
@settings(deadline=None, max_examples=30)
def test_a_pattern_reads_what_it_wrote(numbers: list[int]) -> None:
    """Leading zeros and what stands between the digits included."""
    pattern = Pattern("(###) ###/###é")
    written = pattern.write(np.array(numbers, dtype=np.uint64))
    read = pattern.read(written)
    assert read is not None
    assert read.tolist() == numbers
    assert pattern.misfits(written).is_empty()


@pytest.mark.parametrize(
    "wrong", ["123x45-6789", "12-345-6789", "1a3-45-6789", "123-45-67890", "۱۲۳-45-6789"]
)
def test_a_pattern_names_the_values_of_another_form(wrong: str) -> None:
    """One wrong value among right ones, also one of the same length; empty ones fit."""
    values = pl.Series(["123-45-6789", wrong, "", None])
    assert Pattern("###-##-####").read(values) is None
    assert Pattern("###-##-####").misfits(values).to_list() == [wrong]


# ---- Safe Harbor ----


@pytest.mark.engine
def test_all_people_over_ninety_share_one_birth_year(source: str, fresh: Callable[[], str]) -> None:
    """The year of birth, but none before that of ninety years ago; NULL and infinity stay."""
    target = fresh()
    rule = 'born = {date_shift = 30, by = "email"}'
    obscure(source, target, Policy.load(POLICY.replace(rule, 'born = {generalize = "birth year"}')))
    oldest = rows(target, "SELECT (date_trunc('year', now()) - interval '90 years')::date::text")[0][0]
    born = [row[0] for row in rows(target, "SELECT born::text FROM customers ORDER BY id")]
    assert born == ["1980-01-01", oldest, None, "1999-01-01", "infinity"]


@pytest.mark.engine
def test_safe_harbor_uses_no_rule_that_can_be_reversed(fresh: Callable[[], str]) -> None:
    """No exact date, no value that a key decrypts, no number that counts people; and no key is taken."""
    source, target = fresh(), fresh()
    generate(source, 300)
    policy = Policy.safe_harbor(survey(source))
    kinds = {rule.kind for rules in policy.rules.values() for rule in rules.values()}
    assert not kinds & {"format_preserving", "date_shift", "json"}
    with pytest.raises(LabError, match="forget_key"):
        obscure(source, target, policy, key=KEY)
    obscure(source, target, policy)
    born = "SELECT count(*) FROM customers WHERE born <> date_trunc('year', born)"
    assert rows(target, born) == [(0,)]
    old = "SELECT count(*) FROM customers WHERE born < date_trunc('year', now()) - interval '90 years'"
    assert rows(source, old) > [(0,)] == rows(target, old)
    ids = "SELECT id FROM customers ORDER BY id LIMIT 5"
    assert rows(source, ids) != rows(target, ids)
    unborn = "SELECT count(*) FROM customers WHERE born IS NULL"
    assert rows(source, unborn) == rows(target, unborn)


# ---- subset ----


@pytest.mark.engine
def test_a_subset_takes_what_its_rows_refer_to_and_no_more(source: str, fresh: Callable[[], str]) -> None:
    """References of several columns and over two tables; one to oneself that leads nowhere is NULL."""
    target = fresh()
    assert subset(source, target, {"customers": "id % 2 = 0 AND name <> 'x'"}) == {
        "customers": 2,
        "orders": 2,
        "clinic.prescriptions": 3,
    }
    assert rows(target, "SELECT id, referred_by FROM customers ORDER BY id") == [(2, None), (4, None)]
    assert rows(target, "SELECT customer FROM clinic.prescriptions ORDER BY id") == [(2,), (4,), (None,)]


@pytest.mark.engine
def test_a_policy_can_cut_down_what_it_obscures(source: str, fresh: Callable[[], str]) -> None:
    """[subset] beside the rules."""
    target = fresh()
    policy = Policy.load(POLICY + "\n[subset]\ncustomers = \"email LIKE 'lori%'\"\n")
    assert obscure(source, target, policy).rows == {"customers": 1, "orders": 1, "clinic.prescriptions": 2}


@pytest.mark.engine
def test_a_subset_of_a_cycle_is_refused_by_name(fresh: Callable[[], str]) -> None:
    """The message names the tables of the cycle; a cycle of tables that are taken whole is copied."""
    source, target = fresh(), fresh()
    with psycopg.connect(source) as connection:
        connection.execute(
            "CREATE TABLE a (id int PRIMARY KEY, b int);"
            "CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)"
        )
        connection.execute("ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED")
        connection.execute("INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1)")
    with pytest.raises(LabError, match=r"a → b → a|b → a → b"):
        subset(source, target, {"a": "id = 1"})
    assert subset(source, target, {}) == {"a": 1, "b": 1}


@pytest.mark.engine
@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"customers": "idd = 1"}, 'column "idd" does not exist'),
        ({"customers": "id ="}, "a condition in SQL over the columns of customers"),
        ({"custom": "true"}, "tables of the database: .*customers"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_before_anything_is_written(
    source: str, fresh: Callable[[], str], where: dict[str, str], words: str
) -> None:
    """The message holds PostgreSQL's own words; the target is still there, and empty."""
    target = fresh()
    with pytest.raises(LabError, match=words):
        subset(source, target, where)
    assert rows(target, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


@pytest.mark.engine
def test_a_condition_may_name_its_table(source: str, fresh: Callable[[], str]) -> None:
    """Also where the table is reached by a reference only."""
    target = fresh()
    assert subset(source, target, {"customers": "customers.id = 2"})["orders"] == 1


# ---- policies that cannot be ----


@pytest.mark.engine
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("ssn = {format_preserving", "sn = {format_preserving"), "customers.sn.*write ssn instead of sn"),
        (("[orders]", "[order]"), "write orders instead of order"),
        (('["clinic.prescriptions"]', "[clinic.prescriptions]"), r'write \["clinic.prescriptions"\]'),
        (("name = {fake", 'email = "keep"\nname = {fake'), "one rule a column"),
        (('email = {fake = "email"}\nssn', 'email = {fake = "name"}\nssn'), "which is unique"),
        (("= {generalize = 100}", '= "redact"'), "redact takes text, and the column is numeric"),
        (('{date_shift = 30, by = "email"}', '{date_shift = 30, by = "mail"}'), "write email instead of"),
        (('zip = {generalize = "postcode"}', 'zip = {fake = "email"}'), "the rule needs 25 characters"),
        (('= {fake = "name", by = "email"}', '= "null"'), "null is not possible, because the column is NOT"),
        (('note = "redact"\n', ""), r"none for orders.note.*\[orders\]\nnote = \"redact\""),
        (('number = "keep"', 'number = "keep"\ncustomer = "null"'), "orders.customer has the rule of"),
        (('drug = "keep"', 'drug = "hide"'), 'one rule, "keep"'),
        (('id = "keep"', 'id = "keep"\nlower_name = "keep"'), "customers.lower_name, which is computed"),
        (("###-##-####", "###-##-###"), "customers.ssn in the form ###-##-###.*999-99-9999"),
    ],
)  # fmt: skip
def test_a_policy_that_does_not_fit_is_refused_with_a_next_step(
    source: str, fresh: Callable[[], str], change: tuple[str, str], words: str
) -> None:
    """The message names the column; no value is told; the target holds nothing."""
    target = fresh()
    assert change[0] in POLICY
    with pytest.raises(LabError) as refused:
        obscure(source, target, Policy.load(POLICY.replace(*change)))
    assert re.search(words, str(refused.value), re.DOTALL)
    assert "123-45" not in str(refused.value)


@pytest.mark.engine
def test_a_target_that_is_not_empty_is_refused_and_left_alone(source: str) -> None:
    """Also when it is the source itself."""
    before = rows(source, "SELECT count(*) FROM customers")
    with pytest.raises(LabError, match="an empty database"):
        obscure(source, source, Policy.load(POLICY))
    assert rows(source, "SELECT count(*) FROM customers") == before


# ---- what happens meanwhile ----


@pytest.mark.engine
def test_what_others_write_meanwhile_is_not_in_the_copy(source: str, fresh: Callable[[], str]) -> None:
    """All tables come from the state at the beginning, so that references hold."""
    target = fresh()

    def meddle(_: str) -> None:
        with psycopg.connect(source) as connection:
            mail = secrets.token_hex(8)
            new = connection.execute(
                "INSERT INTO customers (name, email) VALUES ('New', %s) RETURNING id", [mail]
            )
            connection.execute("INSERT INTO orders VALUES (%s, 1, NULL, now(), NULL)", [new.fetchone()[0]])  # type: ignore[index]  # RETURNING gives a row

    assert obscure(source, target, Policy.load(POLICY), progress=meddle).rows["orders"] == 5
    assert len(rows(source, "SELECT FROM orders")) > 5


@pytest.mark.engine
@pytest.mark.parametrize("lost", ["source", "target"])
def test_a_lost_connection_leaves_the_target_empty_and_the_source_as_it_was(
    source: str, fresh: Callable[[], str], lost: str
) -> None:
    """The message says both; what made the copy fail can be removed, and the same target given again."""
    target = fresh()
    broken, other = (source, target) if lost == "source" else (target, source)

    def cut(step: str) -> None:
        if step.startswith("customers"):
            with psycopg.connect(other, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [broken.rpartition("/")[2]],
                )

    before = rows(source, "SELECT string_agg(c::text, '|' ORDER BY id) FROM customers c")
    with pytest.raises(LabError, match=r"is empty, and the source as it was"):
        obscure(source, target, Policy.load(POLICY), progress=cut)
    assert rows(source, "SELECT string_agg(c::text, '|' ORDER BY id) FROM customers c") == before
    assert obscure(source, target, Policy.load(POLICY)).rows["customers"] == 5


@pytest.mark.engine
def test_nobody_changes_the_schema_meanwhile(source: str, fresh: Callable[[], str]) -> None:
    """A migration waits; what is copied is what was read of the schema."""
    target = fresh()
    refused: list[str] = []

    def migrate(_: str) -> None:
        with psycopg.connect(source, options="-c lock_timeout=50") as connection:
            try:
                connection.execute("ALTER TABLE orders ADD COLUMN secret text DEFAULT 'Lori Meyer'")
            except psycopg.errors.LockNotAvailable as problem:
                refused.append(str(problem))

    obscure(source, target, Policy.load(POLICY), progress=migrate)
    assert len(refused) > 3


@pytest.mark.engine
@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE vip (level integer) INHERITS (orders)",
        """CREATE EXTENSION postgres_fdw; CREATE SERVER real FOREIGN DATA WRAPPER postgres_fdw;
        CREATE FOREIGN TABLE far (id integer) SERVER real""",
    ],
)
def test_tables_that_do_not_hold_their_own_rows_are_refused_by_name(
    source: str, fresh: Callable[[], str], table: str
) -> None:
    """A foreign table would lead the copy to the real data, a parent would give its children's rows twice."""
    target = fresh()
    with psycopg.connect(source) as connection:
        connection.execute(table.encode())
    with pytest.raises(LabError, match=r"parents of others: (orders|far)"):
        subset(source, target, {})


@pytest.mark.engine
def test_a_database_that_is_not_there_is_named_without_its_password() -> None:
    """Host, port and name, and what to look at."""
    with pytest.raises(LabError, match=r"127\.0\.0\.1:1/none") as refused:
        obscure(
            "postgresql://me:secret@127.0.0.1:1/none", "postgresql://x@127.0.0.1:1/y", Policy.load(POLICY)
        )
    assert "secret" not in str(refused.value)

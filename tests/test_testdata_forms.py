from collections.abc import Callable

import polars as pl
import psycopg
import pytest
from hidden_people import WAYS, Person, nobody, people, shown_in

from labkit.testdata import Policy, audit, obscure
from labkit.testdata._forms import CROWD, Forms
from labkit.testdata._names import first_and_last
from labkit.testdata._redact import Redactor
from labkit.testdata._schema_text import LOOKS, looks_personal, may_name
from labkit.testdata._texts import FREQUENT, _Found, found_in

pytest_plugins = ["postgres"]

FEW = people(48)
"""Each family name has three of them."""


def forms_of(everybody: list[Person], *, parts: bool = False) -> Forms:
    """Return the forms of people whose names stand in two columns."""
    forms = Forms(parts=parts)
    first, family = (pl.Series([getattr(who, part) for who in everybody]) for part in ("first", "family"))
    forms.add_names(first, family, "people.first + family")
    for column in ("email", "phone", "ssn"):
        forms.add_values(pl.Series([getattr(who, column) for who in everybody]), f"people.{column}")
    return forms


def rows_found(texts: list[str], forms: Forms) -> set[int]:
    """Return the numbers of the texts in which somebody was found."""
    return set(found_in(pl.Series(texts), forms)[0]["row"].to_list())


@pytest.fixture(scope="module")
def known() -> Forms:
    """Return the forms of a few people, as the audit knows them."""
    return forms_of(FEW)


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    """Return what removes these people."""
    return Redactor(forms_of(FEW, parts=True))


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_hide_is_found_and_removed(way: str, known: Forms, redactor: Redactor) -> None:
    """Of each way the audit finds nearly everybody, and `redact` leaves nobody that it would find."""
    texts = [WAYS[way](who) for who in FEW]
    assert len(rows_found(texts, known)) >= 0.93 * len(texts)
    redacted = redactor.redact(pl.Series(texts)).to_list()
    assert rows_found(redacted, known) == set()
    left = [shown_in(*each) for each in zip(redacted, texts, FEW, strict=True)]
    assert sum(left) <= 0.2 * len(texts)


def test_ordinary_words_are_nobody(known: Forms, redactor: Redactor) -> None:
    """A young baker in May is nobody, also where people are called Young, Baker, Rose and Grün."""
    texts = list(nobody())
    assert rows_found(texts, known) == set()
    words = [text for text in texts if not any(map(str.isdigit, text))]
    assert redactor.redact(pl.Series(words)).to_list() == words


def named(*names: str) -> Forms:
    """Return the forms of people by their whole names."""
    forms = Forms()
    forms.add_names(*first_and_last(pl.Series(names)), "people.name")
    return forms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mr Young rang", True),
        ("family Young", True),
        ("Dr. Young", False),
        ("see Dr. Zoe Young", True),
        ("Z. Young", True),
        ("Young, Z.", True),
        ("Zoe Young", True),
        ("Young people", False),
        ("a young z", False),
        ("Z YOUNG", False),
        ('{"given": "Zoe", "family": "Young"}', True),
        ("Zoe came late, and so did all the Young ones", False),
    ],
)
def test_an_ordinary_word_is_a_name_beside_a_title_an_initial_or_a_first_name(text: str, found: bool) -> None:  # noqa: FBT001 - a row of the table
    """Alone it says nothing."""
    assert rows_found([text], named("Zoe Young")) == ({0} if found else set())


@pytest.mark.parametrize(
    ("whole", "first", "last"),
    [
        ("Dr. Ann Lee MD", "Ann", "Lee"),
        ("van der Berg, Jan", "Jan", "van der Berg"),
        ("Jan van der Berg", "Jan", "van der Berg"),
        ("Ann Mary Lee Jr.", "Ann Mary", "Lee"),
        ("Frau Grün", "", "Grün"),
        ("Cher", "", "Cher"),
    ],
)
def test_whole_names_are_taken_apart(whole: str, first: str, last: str) -> None:
    """Titles are no names, and what stands before a comma is the family's."""
    assert [part[0] for part in first_and_last(pl.Series([whole]))] == [first, last]


def test_a_name_of_a_crowd_names_nobody_alone() -> None:
    """A family name that a dozen people bear is no alarm by itself; the whole name of each still is."""
    crowd = named(*(f"{first}a Quackenbush" for first in "bcdfghjklmnpqrst"[:CROWD]))
    assert rows_found(["ask Quackenbush", "B. Quackenbush", "ba quackenbush"], crowd) == {1, 2}
    assert rows_found(["ask Quackenbush", "Dr. Quackenbush"], named("Ba Quackenbush")) == {0}


def test_a_name_in_very_many_texts_is_an_ordinary_word_there() -> None:
    """What most texts say alone is a word; whole names still count."""
    texts = ["Otterbein ist leer"] * (FREQUENT + 1) + ["Ina Otterbein"]
    column = _Found(named("Ina Otterbein"))
    column.add(pl.Series(map(str, range(len(texts)))), pl.Series(texts))
    assert column.result().leaking == 1


@pytest.mark.parametrize(
    "odd",
    [
        "\\ud83d\\ude00 \\ud83d",
        "%zz %80%ff &#xD800; &bogus;",
        "0x" + "ff" * 40,
        "A" * 500,
        "½ ﬁ \u0301 \u200b",
        "\\x" * 9,
    ],
)
def test_whatever_a_text_holds_is_read(odd: str, known: Forms, redactor: Redactor) -> None:
    """Half letters, wrong escapes and long digits are neither people nor faults, and stay as they are."""
    assert rows_found([odd, "", " "], known) == set()
    assert redactor.redact(pl.Series([odd, None])).to_list() == [odd, None]


def test_among_made_up_values_only_numbers_and_addresses_count(known: Forms) -> None:
    """A made-up name may be somebody's by chance; a made-up address is nobody's."""
    texts = [f'{{"name": "{who.name}"}}' for who in FEW[:3]] + [f'{{"mail": "{FEW[0].email}"}}']
    column = _Found(known, names=False)
    column.add(pl.Series(list("abcd")), pl.Series(texts))
    assert (column.result().leaking, column.result().where) == (1, ("d",))


def test_numbers_beside_numbers_are_found() -> None:
    """A telephone number counts wherever it stands in a row of numbers, and another number does not."""
    texts = ["12345 415 207 3013 9", "4152073013", "order 415 207 3014", "1 4 1 5 2 0 7 3 0 1 3"]
    assert rows_found(texts, forms_of(FEW[1:2])) == {0, 1, 3}


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("CHECK (email <> 'zeb@mail-real.org')", "an e-mail address"),
        ("'+1 415 555 3007'::text", "a telephone number"),
        ("see 102-45-6002", "a social security number"),
        ("'noreply@shop.org'", None),
        ("'ann@example.com'", None),
        ("CHECK (n < 10000000 AND day > '2024-01-01')", None),
    ],
)
def test_the_schema_may_hold_what_stands_in_no_column(text: str, looks: str | None) -> None:
    """What looks like one person's address or number counts; a mailbox of a role and a limit do not."""
    assert looks is None or looks in LOOKS
    assert looks_personal(pl.Series([text])).get(0) == looks


@pytest.mark.parametrize(
    ("what", "text", "may"),
    [
        ("comment", "Zebulon Quackenbush complained", True),
        ("comment", "ask Zebulon Quackenbush", True),
        ("comment", "please ask Zebulon Quackenbush", True),
        ("label", "ask Nobody", False),
        ("definition", "SELECT 'ask Zebulon Quackenbush'", True),
        ("definition", "SELECT zebulon quackenbush", False),
    ],
)
def test_a_name_is_suspected_wherever_it_stands_in_a_text(what: str, text: str, may: bool) -> None:  # noqa: FBT001 - a row of the table
    """An even or an odd number of words may stand before it."""
    assert bool(may_name([(what, "customers", text)])) is may


SCHEMA = """
CREATE TYPE mood AS ENUM ('fine', 'Zebulon Quackenbush complained');
CREATE DOMAIN mail AS text DEFAULT 'zeb.q@mail-real.org' CHECK (VALUE <> 'zeb.q@mail-real.org');
CREATE TABLE customers (
    id int PRIMARY KEY, first_name text, last_name text, email text NOT NULL, state mood,
    memo text DEFAULT 'call Z. Quackenbush', raw bytea, score bigint, born date,
    CHECK (memo <> 'Quackenbush, Zebulon')
);
CREATE TABLE "about zeb.q@mail-real.org" (id int PRIMARY KEY, "of_Quackenbush" text);
CREATE INDEX partial ON customers (id) WHERE memo = 'ZebulonQuackenbush';
CREATE VIEW vip AS SELECT id FROM customers WHERE email = 'zeb.q@mail-real.org';
CREATE FUNCTION boss() RETURNS text LANGUAGE sql AS $$ SELECT 'zebulon quackenbush'::text $$;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE INSERT ON customers FOR EACH ROW WHEN (NEW.email = 'zeb.q@mail-real.org')
    EXECUTE FUNCTION noted();
CREATE RULE quiet AS ON DELETE TO vip DO INSTEAD SELECT 'Zebulon Quackenbush';
CREATE POLICY own ON customers USING (email <> 'zeb.q@mail-real.org');
CREATE SEQUENCE "quackenbush-zebulon";
COMMENT ON TABLE customers IS 'ask Zebulon Quackenbush';
COMMENT ON COLUMN customers.memo IS 'zeb.q at mail-real.org';
CREATE SCHEMA zebulon_quackenbush;
INSERT INTO customers VALUES
    (1, 'Zebulon', 'Quackenbush', 'zeb.q@mail-real.org', 'fine', 'x', 'Zebulon Quackenbush', 5, '1970-01-01');
"""
RULES = """
[customers]
id = "keep"
first_name = {fake = "first_name", by = "email"}
last_name = {fake = "last_name", by = "email"}
email = {fake = "email"}
state = "keep"
memo = "keep"
raw = "keep"
score = "keep"
born = "keep"
['"about zeb.q@mail-real.org"']
id = "keep"
of_Quackenbush = "keep"
"""
PLACES = {
    "comment of public.customers", "comment of public.customers.memo", "constraint of customers",
    "constraint of mail",
    "default of customers.memo", "default of mail", "definition of boss", "definition of vip",
    "index of customers", "label of mood", "policy of customers", "rule of vip", "trigger of customers",
    "name of a column of an object that is called after somebody",
    "name of an object that is called after somebody",
}  # fmt: skip


@pytest.mark.engine
def test_the_schemas_own_text_and_bytes_are_searched(fresh: Callable[[], str]) -> None:
    """Each object that says who is in production is told without the name; so is what was not searched."""
    source, target, policy = fresh(), fresh(), Policy.load(RULES)
    with psycopg.connect(source) as connection:
        connection.execute(SCHEMA)
    obscure(source, target, policy)
    report = audit(source, target, policy)
    found = {place for place in report.schema if place not in PLACES}
    assert report.schema.keys() >= PLACES, (PLACES - report.schema.keys(), found)
    assert "uackenbush" not in str(report.to_json()).replace("of_Quackenbush", "")
    assert report.free_text["customers.raw"].leaking == 1
    assert report.not_searched == {"customers.id": "integer", "customers.born": "date"} | {
        '"about zeb.q@mail-real.org".id': "integer"
    }
    assert any("the schema has a real value of customers.email in the " in each for each in report.problems)


@pytest.mark.engine
def test_a_fault_inside_an_audit_is_shown(fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection waits for rows that nobody reads any more."""
    source, target = fresh(), fresh()
    with psycopg.connect(source) as connection:
        connection.execute(
            "CREATE TABLE sales AS SELECT i AS id, 'north' AS region FROM generate_series(1, 9) AS i"
        )
    policy = Policy.load('[sales]\nid = "keep"\nregion = "keep"\n')
    obscure(source, target, policy)
    assert audit(source, target, policy).problems == []

    def broken(*_: object, **__: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("labkit.testdata._texts.found_in", broken)
    with pytest.raises(ValueError, match="a fault"):
        audit(source, target, policy)

"""Kinds of made-up values: Faker's methods, locales and providers, without a database but for the end."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
import pytest
from faker.providers import BaseProvider, DynamicProvider
from faker.providers.person.it_IT import Provider as Italians
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import LabError
from labkit.testdata import Policy, Rule, audit, obscure
from labkit.testdata._change import Changer
from labkit.testdata._fakes import Fakes
from labkit.testdata._forms import Forms
from labkit.testdata._locale import Locale
from labkit.testdata._mac import Bits
from labkit.testdata._persona import Personas
from labkit.testdata._redact import Redactor
from labkit.testdata._schema import Column, Schema, Table
from labkit.testdata.kinds import KINDS

pytest_plugins = ["postgres"]

KEY = b"k" * 32
MANY = np.random.default_rng(1).integers(0, 1 << 60, 2000, dtype=np.uint64)
PEOPLE = st.lists(st.integers(0, (1 << 60) - 1), min_size=1, max_size=20).map(
    lambda bits: np.array(bits, dtype=np.uint64)
)
LOCALES = {
    "de_DE": (r"[A-Za-zÀ-ž]", "{first} {last}"),
    "fr_FR": (r"[A-Za-zÀ-ž]", "{first} {last}"),
    "ja_JP": (r"[\u3040-\u9fff々]", "{last} {first}"),
    "ar_SA": (r"[\u0600-\u06ff]", "{first} {last}"),
    "hu_HU": (r"[A-Za-zÀ-ž]", "{last} {first}"),
    "zh_CN": (r"[\u4e00-\u9fff]", "{last}{first}"),
    "ru_RU": (r"[\u0400-\u04ff]", "{first} {last}"),
}
"""Locale → a letter of its names, and how a name is written there."""


def made(kind: str, bits: Bits, **rule: object) -> list[str]:
    """Return the values of a kind for people, by a policy without a locale of its own."""
    return Fakes().make(Rule("fake", kind, **rule), bits, None).to_list()  # type: ignore[arg-type]  # fields of Rule


class Cards(BaseProvider):
    """A provider of somebody's own."""

    def library_card(self) -> str:
        """Return a number."""
        return self.numerify("LIB-%%%%%%")

    def email(self) -> str:
        """Return an address, of which there are nine."""
        return f"card{self.random_digit_not_null()}@example.com"


# ---- locales ----


@pytest.mark.parametrize("locale", LOCALES)
@given(bits=PEOPLE)
@settings(deadline=None, max_examples=20)
def test_a_person_has_one_name_in_every_column(locale: str, bits: Bits) -> None:
    """A full name is first and family name in the locale's order and script; addresses are in ASCII."""
    letter, order = LOCALES[locale]
    columns = [
        made(kind, bits, locale={locale: 1.0}) for kind in ("first_name", "last_name", "name", "email")
    ]
    for first, last, name, email in zip(*columns, strict=True):
        assert name == order.format(first=first, last=last)
        assert re.match(letter, first)
        assert re.match(letter, last)
        assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9]+\.[0-9a-f]{12}@example\.com", email)


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR", "ar_SA"])
def test_an_address_has_the_street_city_and_postcode_of_its_person(locale: str) -> None:
    """Whichever of its parts stand in other columns."""
    kinds = ("address", "street_address", "city", "postcode")
    for address, *parts in zip(*(made(kind, MANY, locale={locale: 1.0}) for kind in kinds), strict=True):
        assert all(part in address for part in parts)


@pytest.mark.parametrize(
    ("locale", "form"), [("de_DE", r"\d{5}"), ("ja_JP", r"\d{3}-\d{4}"), ("pl_PL", r"\d\d-\d{3}")]
)
def test_a_postcode_has_the_form_of_the_locale(locale: str, form: str) -> None:
    """As Faker writes it."""
    assert all(re.fullmatch(form, code) for code in made("postcode", MANY, locale={locale: 1.0}))


def test_telephone_numbers_of_a_locale_do_not_run_out() -> None:
    """They have the locale's forms, and more different numbers than Faker was asked for."""
    people = np.random.default_rng(2).integers(0, 1 << 60, 60_000, dtype=np.uint64)
    phones = made("phone_number", people, locale={"fr_FR": 1.0})
    assert all(re.fullmatch(r"(\+33 ?(\(0\))?|0)\d? ?\d( ?\d\d){4}", phone) for phone in phones)
    assert len(set(phones)) > 50_000


def test_family_names_follow_the_gender_of_the_first_name() -> None:
    """Where a language has it so: the family name of a Czech woman ends in a long vowel."""
    firsts, lasts = (made(kind, MANY, locale={"cs_CZ": 1.0}) for kind in ("first_name", "last_name"))
    of_women = [last for first, last in zip(firsts, lasts, strict=True) if first in {"Jana", "Eva", "Marie"}]
    assert of_women
    assert all(last.endswith(("á", "ů", "í")) for last in of_women)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_two_spellings_of_an_address_have_one_name_in_any_locale(kind: str) -> None:
    """The bits from which names are drawn decide gender and locale too."""
    personas = Personas(KEY)
    spellings = pl.Series([f"{letter}nn{number}@x.test" for number in range(50) for letter in "aA"])
    bits = personas.bits(spellings)
    exact = personas.spelled(spellings, bits)
    locale = {"cs_CZ": 1.0, "ja_JP": 1.0}
    values = Fakes(locale).make(Rule("fake", kind), exact if kind == "email" else bits, None, bits).to_list()
    same = [value.rpartition(".")[0][:-20] if kind == "email" else value for value in values]
    assert same[::2] == same[1::2]


def test_weights_give_each_locale_its_share_and_each_person_one_locale() -> None:
    """Three in four are German, in every column: names, towns, and what Faker makes value by value."""
    locale = {"de_DE": 3.0, "ja_JP": 1.0}
    japanese = [
        [
            not value.isascii() and bool(re.search(r"[\u3040-\u9fff]", value))
            for value in made(kind, MANY, locale=locale)
        ]
        for kind in ("last_name", "city", "country")
    ]
    assert japanese[0] == japanese[1] == japanese[2]
    alone = [made("name", MANY, locale={name: 1.0}) for name in locale]
    mixed = made("name", MANY, locale=locale)
    assert all(name in pair for name, *pair in zip(mixed, *alone, strict=True))
    assert 0.2 < sum(japanese[0]) / len(MANY) < 0.3


@pytest.mark.parametrize("kind", [*sorted(KINDS), "iban"])
def test_a_block_may_have_nobody_of_a_locale(kind: str) -> None:
    """One person has one of two locales."""
    for person in MANY[:8]:
        assert len(made(kind, np.array([person]), locale={"de_DE": 1.0, "ja_JP": 1.0})) == 1


def test_a_column_s_locale_comes_before_that_of_the_policy() -> None:
    """And a list is a choice with equal weights."""
    policy = Policy.load(
        'locale = ["de", "fr-FR"]\n[t]\na = {fake = "city"}\nb = {fake = "city", locale = "ja_JP"}\n'
    )
    ours, japanese = policy.rules["t"]["a"], policy.rules["t"]["b"]
    cities = set(policy.fakes.make(ours, MANY, None))
    assert cities & set(made("city", MANY, locale={"de_DE": 1.0}))
    assert cities & set(made("city", MANY, locale={"fr_FR": 1.0}))
    assert policy.fakes.make(japanese, MANY, None).to_list() == made("city", MANY, locale={"ja_JP": 1.0})


@pytest.mark.parametrize("name", ["locale", "providers"])
def test_a_table_may_be_called_as_a_setting_is(name: str) -> None:
    """A table has rules, a setting has names and numbers."""
    assert Policy.load(f'[{name}]\nid = "keep"\nmail = {{fake = "email"}}\n').rules[name]["id"] == Rule(
        "keep"
    )


# ---- Faker's methods ----


@pytest.mark.parametrize("kind", ["iban", "ssn", "license_plate", "credit_card_number", "uuid4"])
def test_a_method_of_faker_gives_a_person_one_value_and_others_other_ones(kind: str) -> None:
    """In any order, any column and any run; and one kind does not follow from another."""
    bits = MANY[:200]
    values = made(kind, bits)
    assert made(kind, np.concatenate([bits[:9:-1], bits])) == values[:9:-1] + values
    assert made(kind, bits[100:]) == values[100:]
    assert len(set(values)) > 190


def test_two_kinds_of_a_person_do_not_follow_from_each_other() -> None:
    """Not even those that Faker draws in the same way."""
    assert made("pyint", MANY[:50]) != made("random_int", MANY[:50])


def test_arguments_reach_faker() -> None:
    """As its own users write them."""
    policy = Policy.load(
        '[t]\na = {fake = "pystr_format", string_format = "A-###", by = "b"}\nb = {fake = "email"}\n'
    )
    rule = policy.rules["t"]["a"]
    assert all(re.fullmatch(r"A-\d{3}", value) for value in policy.fakes.make(rule, MANY[:50], None))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ('[t]\na = {fake = "licence_plate"}', "write license_plate"),
        ('[t]\na = {fake = "first name"}', "write first_name"),
        ('[t]\na = {fake = "phone"}', "phone_number"),
        ('[t]\na = {fake = "_to_ascii"}', "t.a: fake = one of"),
        ('[t]\na = {fake = "seed_instance"}', "t.a: fake = one of"),
        ('[t]\na = {fake = "prefecture", locale = ["ja_JP", "de_DE"]}', "another method of Faker's in de_DE"),
        ('[t]\na = {fake = "phone_number", locale = "en_PH"}', "a locale in which Faker has phone_number"),
        ('[t]\na = {fake = "simple_profile"}', "simple_profile gives a dict"),
        ('[t]\na = {fake = "words"}', "words gives a list"),
        ('[t]\na = {fake = "pyint", least = 3}', "unexpected keyword argument 'least'"),
        ('[t]\na = {fake = "name", max_chars = 3}', "t.a: name without arguments"),
        ('[t]\na = {fake = "name", locale = "dee_DE"}', "write de_"),
        ('locale = "xx"\n[t]\na = "keep"', "the policy: locale = one of Faker's locales"),
        ('locale = {de_DE = 0}\n[t]\na = "keep"', 'locale = "de_DE", ["de_DE", "fr_FR"]'),
        ('locale = []\n[t]\na = "keep"', 'locale = "de_DE", ["de_DE", "fr_FR"]'),
        ('[t]\na = {date_shift = 3, locale = "de_DE"}', "t.a: one rule, "),
        ('providers = "a:B"\n[t]\na = "keep"', 'providers = ["my_package.my_module:MyProvider"]'),
        ('providers = ["not_there:B"]\n[t]\na = "keep"', "No module named 'not_there'"),
        ('providers = ["json:Encoder"]\n[t]\na = "keep"', "has no attribute 'Encoder'"),
        ('providers = ["json:JSONEncoder"]\n[t]\na = "keep"', "a subclass of faker.providers.BaseProvider"),
    ],
)  # fmt: skip
def test_what_faker_cannot_do_is_refused_when_the_policy_is_read(policy: str, words: str) -> None:
    """The message names the place, what there is, the cause, and the nearest names."""
    with pytest.raises(LabError) as refused:
        Policy.load(policy + "\n")
    assert words in str(refused.value)


# ---- own providers ----


def test_the_methods_of_an_own_provider_are_kinds() -> None:
    """They come before labkit's of the same name, and then nothing is taken for unique or wide."""
    policy = Policy.load('[t]\na = {fake = "library_card"}\nb = {fake = "email"}\n', providers=[Cards])
    cards, mails = (policy.fakes.make(policy.rules["t"][name], MANY, None) for name in "ab")
    assert cards.str.contains(r"^LIB-[1-9]{6}$").all()
    assert mails.n_unique() == 9
    column = Column("b", "character varying(20)", nullable=True, generated=False)
    assert policy.fakes.misfit(policy.rules["t"]["b"], column) is None
    with pytest.raises(LabError, match="which is unique"):
        policy.resolve(schema(a="text", b="text"))


def test_a_provider_of_fakers_own_can_be_given_for_another_locale() -> None:
    """As it can be added to Faker."""
    policy = Policy.load('[t]\na = {fake = "last_name"}\n', providers=[Italians])
    assert set(policy.fakes.make(policy.rules["t"]["a"], MANY, None)) <= set(Italians.last_names)


def test_a_provider_that_would_not_be_seeded_is_refused() -> None:
    """An instance draws by a generator of its own, so that a person would get another value each time."""
    colours = DynamicProvider("colour", ["red", "blue"])
    with pytest.raises(LabError, match="name the class, not an instance"):
        Policy.load('[t]\na = "keep"\n', providers=[colours])  # type: ignore[list-item]  # the mistake


def test_a_provider_that_fails_for_a_person_is_explained() -> None:
    """Its own words are told, and no traceback."""

    class Broken(BaseProvider):
        def half(self) -> float:
            return 1 / self.random_int(0, 1)

    with pytest.raises(LabError, match="ZeroDivisionError") as refused:
        Fakes(providers=[Broken]).make(Rule("fake", "half"), MANY, None)
    assert refused.value.next_step == "correct the provider, or choose another kind"


# ---- columns ----


def schema(**columns: str) -> Schema:
    """Return a schema of one table, t, whose last column is unique."""
    own = {name: Column(name, kind, nullable=True, generated=False) for name, kind in columns.items()}
    return Schema({"t": Table("public", "t", own, (), ((list(columns)[-1],),))}, [], [])


@pytest.mark.parametrize(
    ("kind", "column", "words"),
    [
        ("date_of_birth", "date", None),
        ("date_time", "timestamp with time zone", None),
        ("pyint", "integer", None),
        ("postcode", "integer", None),
        ("pydecimal", "numeric(12,2)", None),
        ("pybool", "boolean", None),
        ("uuid4", "uuid", None),
        ("json", "jsonb", None),
        ("ipv6", "inet", None),
        ("pybool", "integer", "look like 'False', and the column is integer"),
        ("name", "date", "and the column is date"),
        ("iban", "numeric(40,0)", "and the column is numeric"),
        ("email", "character varying(24)", "the rule needs 25 characters"),
        ("iban", "character varying(4)", None),
    ],
)
def test_the_values_of_a_kind_fit_a_column_or_are_refused(kind: str, column: str, words: str | None) -> None:
    """Some are tried before any row is read."""
    rules = Policy.load(f'[t]\na = {{fake = "{kind}"}}\nid = "keep"\n')
    if words is None:
        assert rules.resolve(schema(a=column, id="integer"))["t"]["a"].argument == kind
        return
    with pytest.raises(LabError, match=r"a rule that fits t\.a") as refused:
        rules.resolve(schema(a=column, id="integer"))
    assert words in refused.value.seen


@pytest.mark.parametrize("kind", ["iban", "ssn", "name"])
def test_a_unique_column_takes_no_kind_that_could_repeat_itself(kind: str) -> None:
    """It is refused before anything is read, with rules that keep values different."""
    policy = Policy.load(f'[t]\nid = {{fake = "{kind}"}}\n')
    with pytest.raises(LabError, match="which can make equal values") as refused:
        policy.resolve(schema(id="text"))
    assert refused.value.next_step == "use pseudonymize, format_preserving or fake = email for t.id"


def changed(
    kind: str, own: list[str | None], people: list[str], locale: Locale | None = None
) -> list[str | None]:
    """Return what becomes of a column of text under a kind, by the people in another column."""
    rules = {"own": Rule("fake", kind, "who", locale), "who": Rule("keep")}
    columns = {name: Column(name, "text", nullable=True, generated=False) for name in rules}
    changer = Changer(Table("public", "t", columns, (), ()), rules, KEY, Redactor(Forms()), Fakes())
    block = pl.DataFrame({"own": own, "who": people}).write_csv(include_header=False)
    names = dict.fromkeys(columns, pl.String)
    return pl.read_csv(changer(block.encode()), has_header=False, schema=names)["own"].to_list()


@pytest.mark.parametrize("kind", ["name", "iban", "job"])
def test_nobody_gets_their_own_value(kind: str) -> None:
    """Where the draw is the own value, another is drawn, in that row alone."""
    people = [f"p{number}" for number in range(20)]
    drawn = changed(kind, ["x"] * 20, people)
    again = changed(kind, [*drawn[:10], *["x"] * 10], people)
    assert all(new != old for new, old in zip(again[:10], drawn[:10], strict=True))
    assert again[10:] == drawn[10:]


def test_another_draw_is_of_the_same_locale() -> None:
    """A person who would get the own name stays Japanese, or German."""
    people, locale = [f"p{number}" for number in range(60)], {"de_DE": 1.0, "ja_JP": 1.0}
    drawn = changed("last_name", ["x"] * 60, people, locale)
    again = changed("last_name", drawn, people, locale)
    german = set(made("last_name", MANY, locale={"de_DE": 1.0}))
    assert {name in german for name in drawn} == {True, False}
    assert [name in german for name in drawn] == [name in german for name in again]


def test_of_a_few_values_the_own_one_stays_possible() -> None:
    """A value that is never the own one would give it away, where there are only two."""
    people = [f"p{number}" for number in range(100)]
    drawn = changed("pybool", ["x"] * 100, people)
    assert changed("pybool", drawn, people) == drawn


# ---- a database ----

TABLE = """
CREATE TABLE people (
    id integer PRIMARY KEY, email text UNIQUE, name text, iban text, plate varchar(4), born date,
    visits integer, paid numeric(20, 2), smoker boolean, token uuid, address inet, job text, city text
);
CREATE TABLE orders (id integer PRIMARY KEY, email text, iban text, note text);
INSERT INTO people
SELECT i, 'ann' || i || '@mail.test', 'Zzyx Quorx', 'DE' || i, 'B-' || i, '1980-01-01', i, i, true,
       gen_random_uuid(), '10.0.0.1', 'Zookeeper', 'Atlantis' FROM generate_series(1, 60) AS i;
INSERT INTO orders SELECT id, email, iban, 'for Quorx in Atlantis' FROM people;
"""
RULES = """
locale = {de_DE = 2, ja_JP = 1}
[people]
id = "keep"
email = {fake = "email"}
name = {fake = "name", by = "email"}
iban = {fake = "iban", by = "email"}
plate = {fake = "license_plate", by = "email"}
born = {fake = "date_between", start_date = 1990-01-01, end_date = 1999-12-31, by = "email"}
visits = {fake = "pyint", min_value = 100, by = "email"}
paid = {fake = "pydecimal", left_digits = 6, right_digits = 2, by = "email"}
smoker = {fake = "pybool", by = "email"}
token = {fake = "uuid4", by = "email"}
address = {fake = "ipv6", by = "email"}
job = {fake = "job", by = "email"}
city = {fake = "city_name", locale = "de_DE", by = "email"}
[orders]
id = "keep"
email = {fake = "email"}
iban = {fake = "iban", by = "email"}
note = "redact"
"""


@pytest.mark.engine
def test_a_copy_with_kinds_of_faker_holds_and_passes_its_audit(fresh: Callable[[], str]) -> None:
    """Values of every type, one person in two tables; the audit says what it cannot judge."""
    source, target = fresh(), fresh()
    with psycopg.connect(source) as connection:
        connection.execute(TABLE.encode())
    policy = Policy.load(RULES)
    obscure(source, target, policy, key=KEY)
    both = "SELECT count(*), count(DISTINCT email) FROM people JOIN orders USING (email, iban)"
    fits = """SELECT bool_and(born BETWEEN '1990-01-01' AND '1999-12-31' AND visits >= 100
        AND length(plate) <= 4 AND family(address) = 6), count(DISTINCT smoker) FROM people"""
    with psycopg.connect(target) as connection:
        assert connection.execute(both).fetchone() == (60, 60)
        assert connection.execute(fits).fetchone() == (True, 2)
        notes = connection.execute("SELECT DISTINCT note FROM orders").fetchall()
    assert notes == [("for [removed] in [removed]",)]
    report = audit(source, target, policy)
    assert report.leaked_originals["people.iban"] == report.leaked_originals["people.job"] == 0
    assert "people.smoker" not in report.leaked_originals
    assert any(reason.startswith("original values of people.smoker") for reason in report.not_run)


@pytest.mark.engine
def test_values_that_their_column_cannot_hold_are_refused_before_a_row_is_read(
    fresh: Callable[[], str],
) -> None:
    """PostgreSQL itself is asked whether the type takes them."""
    source, target = fresh(), fresh()
    with psycopg.connect(source) as connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY, n smallint); INSERT INTO t VALUES (1, 1)")
    rules = '[t]\nid = "keep"\nn = {fake = "pyint", min_value = 40000, max_value = 50000}\n'
    with pytest.raises(LabError, match="the type smallint does not take"):
        obscure(source, target, Policy.load(rules))


# ---- the recipe of CONTRIBUTING ----

RECIPE = """\
import labkit, my_cards
from labkit.testdata import Policy
from labkit.testdata._fakes import SAMPLE
def shown(policy, column):
    rule = policy.rules["people"][column]
    print(policy.fakes.make(rule, SAMPLE[:1], None)[0])
print(labkit.__file__)
shown(Policy.load("policy.toml"), "card")
shown(Policy.load('[people]\\ncard = {fake = "library_card"}\\n', providers=[my_cards.Cards]), "card")
shown(Policy.load('locale = "de_DE"\\n[people]\\nnumber = {fake = "patient_number"}\\n'), "number")
"""


def test_the_recipe_for_a_kind_works_as_it_is_written(tmp_path: Path) -> None:
    """The provider beside the policy, or the file in the recipe's folder, is all that a kind takes."""
    root = Path(__file__).parents[1]
    recipe = (root / "CONTRIBUTING.md").read_text().split("## Add a kind of fake", 1)[1].split("\n## ", 1)[0]
    provider, policy, kind = re.findall(r"```(?:python|toml)\n(.*?)```", recipe, re.DOTALL)
    shutil.copytree(root / "labkit", tmp_path / "labkit", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "my_cards.py").write_text(provider)
    (tmp_path / "policy.toml").write_text(policy)
    (tmp_path / "labkit/testdata/kinds/patient_number.py").write_text(kind)
    done = subprocess.run(
        [sys.executable, "-c", RECIPE],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
    )
    where, by_name, by_class, whole = done.stdout.split() or [done.stderr] * 4
    assert where == str(tmp_path / "labkit/__init__.py")
    assert re.fullmatch(r"LIB-\d{6}", by_name)
    assert by_name == by_class
    assert re.fullmatch(r"DE-\d{8}", whole)


def test_the_policy_of_the_readme_can_be_read() -> None:
    """With a provider that there is; each kind makes a value in one of its locales."""
    readme = (Path(__file__).parents[1] / "README.md").read_text().split("## Bring your own fakes", 1)[1]
    text = readme.split("```toml\n", 1)[1].split("```", 1)[0]
    policy = Policy.load(text.replace("my_package.my_module:MyProvider", f"{__name__}:Cards"))
    values = {
        name: policy.fakes.make(rule, MANY[:1], None)[0] for name, rule in policy.rules["customers"].items()
    }
    assert re.fullmatch(r"DE\d{20}", values["account"])
    assert "2020-01-01" <= values["joined"] <= "2024-12-31"

"""Rules, proposals and privacy figures without a database."""

import hashlib
from datetime import date

import polars as pl
import pytest

from labkit.errors import LabError
from labkit.testdata import Policy, Rule
from labkit.testdata._change import PSEUDONYM_DIGITS
from labkit.testdata._compare import TARGET, Compared
from labkit.testdata._forms import Forms
from labkit.testdata._linkage_attack import LinkageAttack, attack, digests
from labkit.testdata._quasi_identifier import WHOLE, QuasiIdentifier, k_anonymity, quasi_identifiers
from labkit.testdata._read import KEY, normalized
from labkit.testdata._redact import Redactor
from labkit.testdata._rule import FITS, PLAIN, WITH_ARGUMENT, misfit, read_rule, width
from labkit.testdata._schema import Column, Schema, Table
from labkit.testdata._suggest import suggest

WRITTEN = [
    "keep",
    "null",
    "redact",
    "pseudonymize",
    {"fake": "name", "by": "email"},
    {"fake": "name", "locale": "de-DE"},
    {"fake": "iban", "locale": {"de_DE": 3, "it_IT": 0.5}, "by": "email"},
    {"fake": "date_between", "start_date": date(1990, 1, 2), "end_date": date(1999, 1, 2)},
    {"fake": "random_element", "elements": ['a "b"', "ä\n"]},
    {"format_preserving": "###-##-####"},
    {"unissued": "9##-##-####"},
    {"date_shift": 30, "by": "email"},
    {"generalize": "birth year"},
    {"generalize": 100},
    {"json": {"$.contact.email": {"fake": "email", "by": "mail"}, "$['\x7f \"']": "keep"}},
]


def column(name: str, kind: str, *, nullable: bool = True) -> Column:
    """Return a column that is not computed."""
    return Column(name, kind, nullable=nullable, generated=False)


def schema(*columns: Column) -> Schema:
    """Return a schema of one table, people, with the first column as its key."""
    names = {own.name: own for own in columns}
    key = (columns[0].name,)
    return Schema({"people": Table("public", "people", names, key, (key,))}, [], [])


@pytest.mark.parametrize("written", WRITTEN, ids=str)
def test_a_rule_that_is_read_is_written_as_it_was(written: object) -> None:
    """`toml` of a rule loads as the same rule in a policy."""
    rule = read_rule("people.a", written)
    assert Policy.load(f"[people]\na = {rule.toml()}\n").rules == {"people": {"a": rule}}


def test_every_rule_has_a_type_that_it_fits() -> None:
    """The rules that can be written are those of which it is said what they fit."""
    assert set(FITS) == {*PLAIN, *WITH_ARGUMENT}
    assert {read_rule("people.a", written).kind for written in WRITTEN} == set(FITS)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('"scrub"', 'one rule, "keep", "null", "redact", "pseudonymize"'),
        ("{round = 100}", "one rule, "),
        ('{fake = "names"}', "fake = one of "),
        ('{format_preserving = "ABC"}', "format_preserving = a pattern with 2 to 18 #"),
        ('{unissued = "9"}', "unissued = a pattern with #"),
        ("{date_shift = true}", "date_shift = a number of days"),
        ("{date_shift = 0}", "date_shift = a number of days"),
        ('{generalize = "day"}', "generalize = one of year, month, birth year, postcode, or a number"),
        ("{generalize = 1}", "or a number above 1"),
        ('{fake = "name", by = 3}', "one rule, "),
        ("{keep = [1]}", "one rule, "),
    ],
)
def test_what_is_not_a_rule_is_refused_with_the_rules_that_there_are(written: str, words: str) -> None:
    """The error names the column, what may stand there, what stands there, and what to correct."""
    with pytest.raises(LabError) as refused:
        Policy.load(f"[people]\na = {written}\n")
    assert refused.value.expected.startswith("people.a: ")
    assert words in refused.value.expected
    near = "write name or hostname or user_name instead of names"
    assert refused.value.next_step == (near if "names" in written else "correct people.a in the policy")


@pytest.mark.parametrize(
    ("rule", "kind", "words"),
    [
        (Rule("redact"), "integer", "redact takes text"),
        (Rule("pseudonymize"), "character varying(8)", "the rule needs 16 characters"),
        (Rule("generalize", "year"), "text", "does not fit a column of type text"),
        (Rule("generalize", "postcode"), "date", "does not fit a column of type date"),
        (Rule("generalize", 10), "date", "does not fit a column of type date"),
        (Rule("date_shift", 3), "text", "date_shift takes date"),
        (Rule("generalize", 10), "integer", None),
        (Rule("generalize", "month"), "timestamp with time zone", None),
        (Rule("pseudonymize"), "uuid", None),
    ],
)
def test_a_rule_fits_some_types_and_widths(rule: Rule, kind: str, words: str | None) -> None:
    """A misfit is explained in half a sentence; None means that the rule fits."""
    why = misfit(rule, column("a", kind))
    assert (words or "") in (why or "")
    assert (why is None) == (words is None)


def test_a_key_may_only_have_a_rule_that_keeps_values_different() -> None:
    """The next step names the rules that do."""
    policy = Policy.load('[people]\nid = {fake = "name"}\n')
    with pytest.raises(LabError) as refused:
        policy.resolve(schema(column("id", "text", nullable=False)))
    assert "which is unique" in refused.value.expected
    assert refused.value.next_step == "use pseudonymize, format_preserving or fake = email for people.id"


def test_a_column_without_a_rule_is_refused_with_a_proposal() -> None:
    """The next step is TOML that can be pasted, with the reason for each rule."""
    policy = Policy.load('[people]\nid = "keep"\n')
    with pytest.raises(LabError) as refused:
        policy.resolve(schema(column("id", "integer"), column("doctor_name", "text")))
    proposal = refused.value.next_step.partition("\n")[2]
    why = "column name suggests a person's name (confidence: medium)"
    assert proposal == f'[people]\ndoctor_name = {{fake = "name"}}  # {why}'
    assert Policy.load(proposal + "\n").rules == {"people": {"doctor_name": Rule("fake", "name")}}


@pytest.mark.parametrize(
    ("name", "kind", "rule", "reason"),
    [
        ("contact_email", "text", '{fake = "email"}', "column name suggests an e-mail address"),
        ("first_name", "text", '{fake = "first_name"}', "column name suggests a first name"),
        (
            "ssn",
            "text",
            '{format_preserving = "###-##-####"}',
            "column name suggests a social security number",
        ),
        ("zip", "character(5)", '{generalize = "postcode"}', "column name suggests a postcode"),
        ("born", "date", '{generalize = "year"}', "column name suggests a date of a person's life"),
        ("issued", "date", '"keep"', "a date; column name does not suggest a person's life"),
        ("notes", "text", '"redact"', "column name suggests free text"),
        ("token", "uuid", '"pseudonymize"', "an identifier"),
        ("colour", "text", '"keep"', "column name suggests a sort of thing"),
        ("x", "text", '"pseudonymize"', "a text; neither name nor values tell what it is"),
        ("x", "tsvector", '"null"', "values of tsvector can hold anything"),
    ],
)
def test_a_proposal_gives_its_reason_in_plain_words(name: str, kind: str, rule: str, reason: str) -> None:
    """The reason says what the column's name or type suggests."""
    proposed = suggest(column(name, kind))
    assert (proposed.rule and proposed.rule.toml(), proposed.reason) == (rule, reason)


@pytest.mark.parametrize(
    ("kind", "most"), [("text", None), ("character varying(20)", 20), ("character", 1), ("character(5)", 5)]
)
def test_a_width_is_that_of_the_type(kind: str, most: int | None) -> None:
    """None means that a type has no limit."""
    assert width(kind) == most


def test_pseudonyms_of_numbers_fit_into_their_type() -> None:
    """The largest number of so many digits is below the type's limit."""
    bits = {"smallint": 16, "integer": 32, "bigint": 64}
    assert all(10 ** PSEUDONYM_DIGITS[kind] <= 2 ** (size - 1) for kind, size in bits.items())


def test_text_is_compared_without_case_spaces_and_punctuation() -> None:
    """Of a telephone number the last ten digits count, without country and extension."""
    texts = pl.Series(["Lori  Meyer.", "+1 (201) 555-7788 x12", "a@B.test", " - ", None])
    assert normalized(texts).to_list() == ["lorimeyer", "2015557788", "a@btest", None, None]


def test_somebody_called_removed_is_redacted_once() -> None:
    """The mark for a removed word is not taken for a name."""
    people = Forms(parts=True)
    people.add_names(pl.Series(["Removed"]), pl.Series(["Ångström"]), "people.name")
    redacted = Redactor(people).redact(pl.Series(["to ANGSTRÖM, a@b.test", None]))
    assert redacted.to_list() == ["to [removed], [removed]", None]


def pairs_of(**columns: list[tuple[str | None, str | None]]) -> Compared:
    """Return a comparison of rows whose values before and after are given."""
    keys = [str(place) for place in range(len(next(iter(columns.values()))))]
    before = {name: [was for was, _ in values] for name, values in columns.items()}
    after = {name: [now for _, now in values] for name, values in columns.items()}
    source, target = (pl.DataFrame({KEY: keys, **side}) for side in (before, after))
    return Compared(source, target, source.join(target, on=KEY, suffix=TARGET))


def test_what_is_still_true_of_a_date_is_a_quasi_identifier() -> None:
    """Year, month, day, or a window of a few days: the most exact of what holds."""
    days = ["1980-02-29", "1991-07-01", "2003-12-31"]
    table = Table("public", "people", {"born": column("born", "date")}, (), ())

    def remaining(now: list[str]) -> list[QuasiIdentifier]:
        pairs = pairs_of(born=list(zip(days, now, strict=True))).pairs
        assert pairs is not None
        return quasi_identifiers(pairs, table, ["born"])

    assert remaining(days) == [QuasiIdentifier("born", WHOLE)]
    assert remaining([f"{day[:4]}-01-01" for day in days])[0].words(is_date=True) == "the year"
    assert remaining(["1980-03-02", "1991-06-30", "2003-12-30"])[0].words(is_date=True) == "within 2 days"
    assert remaining(["2020-01-01"] * 3) == []


def test_an_attack_finds_who_is_alone_with_their_values() -> None:
    """Two who look alike protect each other; a claim needs one person and one row."""
    compared = pairs_of(zip=[("10001", "10001"), ("10001", "10001"), ("94110", "94110")])
    identifiers = [QuasiIdentifier("zip", WHOLE)]
    assert attack(compared, identifiers) == LinkageAttack(people=3, claimed=1, right=1)
    assert k_anonymity(compared.target, identifiers) == 1
    assert attack(compared, []) == LinkageAttack(people=3, claimed=0, right=0)


def test_a_bare_hash_is_recognised_and_linked() -> None:
    """The attacker hashes the own list with the same function."""
    mails = [f"p{place}@x.test" for place in range(5)]
    compared = pairs_of(email=[(mail, hashlib.sha256(mail.encode()).hexdigest()) for mail in mails])
    assert compared.pairs is not None
    (hashed,) = digests(compared.pairs, ["email"])
    assert hashed.words(is_date=False) == "by its sha256 digest"
    assert attack(compared, [hashed]) == LinkageAttack(people=5, claimed=5, right=5)


@pytest.mark.parametrize("rules", ['id = "keep"', 'id = {fake = "email"}', 'id = "keep"\nmail = {fake = 1}'])
def test_a_table_of_another_schema_needs_quotes(rules: str) -> None:
    """TOML takes [clinic.visits] for a table inside of a table; the next step says what to write."""
    with pytest.raises(LabError) as refused:
        Policy.load(f"[clinic.visits]\n{rules}\n")
    assert refused.value.next_step == 'write ["clinic.visits"], with quotes'

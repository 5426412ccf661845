"""JSON and arrays: paths, what changes inside of a value, and what has no rule."""

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import LabError
from labkit.testdata import Policy, Rule
from labkit.testdata._array import as_element, elements
from labkit.testdata._change import Changer
from labkit.testdata._document import refused, suggest_inside, without_rule
from labkit.testdata._fakes import Fakes
from labkit.testdata._forms import Forms
from labkit.testdata._json import Paths, path_of, replaced, steps_of, values
from labkit.testdata._redact import Redactor
from labkit.testdata._rule import misfit
from labkit.testdata._schema import Column, Table

KEY = b"k" * 32
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


def changed(rule: Rule, kind: str, *values_: str | None, **others: list[str | None]) -> list[str | None]:
    """Return what becomes of a column of a type; others are texts that are kept."""
    columns = {"own": Column("own", kind, nullable=True, generated=False)}
    columns |= {name: Column(name, "text", nullable=True, generated=False) for name in others}
    rules = {"own": rule, **dict.fromkeys(others, Rule("keep"))}
    known = Forms(parts=True)
    known.add_values(pl.Series(["Zebulon"]), "t.name", words_count=True)
    changer = Changer(Table("public", "t", columns, (), ()), rules, KEY, Redactor(known), Fakes())
    schema = dict.fromkeys(columns, pl.String)
    block = pl.DataFrame({"own": list(values_), **others}, schema=schema)
    out = changer(block.write_csv(include_header=False, quote_style="non_numeric").encode())
    return pl.read_csv(out, has_header=False, schema=schema)["own"].to_list()


def rule_of(paths: str) -> Rule:
    """Return the rule for JSON that a policy's table of paths is."""
    return Policy.load(f"[t]\n[t.own.json]\n{paths}\n").rules["t"]["own"]


@given(DOCUMENTS, st.sampled_from([None, 2]))
@settings(deadline=None, max_examples=200)
def test_every_value_of_a_document_is_found_where_it_stands(document: object, indent: int | None) -> None:
    """The piece of text at each place is the value that the path leads to."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    found = list(values(text))
    assert json.loads(text[found[-1].start : found[-1].end]) == document
    assert found[-1].steps == ()
    leaves = text.count("[") + text.count("{")  # at least as many values as there are signs of containers
    assert len(found) >= min(leaves, 1)
    for value in found:
        json.loads(text[value.start : value.end])


@given(st.lists(TEXTS | st.none(), max_size=5).map(tuple))
@settings(deadline=None, max_examples=100)
def test_a_path_is_read_as_it_was_written(steps: tuple[str | None, ...]) -> None:
    """Odd names stand in quotes."""
    assert steps_of(path_of(steps)) == steps


@pytest.mark.parametrize("path", ["", "a.b", "$a", "$.", "$..a", "$[0]", "$['a", "$.a b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    """The error says what a path looks like."""
    assert steps_of(path) is None
    with pytest.raises(LabError, match=r"a path such as \$\.contact\.email"):
        rule_of(f'{json.dumps(path)} = "keep"')


def test_each_value_has_the_rule_of_its_path_and_the_rest_stays_to_the_byte() -> None:
    """Order, repeated keys, spaces and long numbers stay; keep and null hold for all that is at a path."""
    rule = rule_of(
        '"$.who" = {fake = "email", by = "mail"}\n"$.tags[*].name" = "redact"\n"$.all" = "keep"\n'
        '"$.gone" = "null"\n"$.n" = "pseudonymize"'
    )
    document = (
        '{"who": "a@x.test",  "all": {"k": 1, "k": 12345678901234567890.10}, '
        '"tags": [{"name": "Zebulon ran"}, {"name": ""}], '
        '"gone": {"Zebulon": [1]}, "n": 7, "new": "Zebulon", "none": null}'
    )
    (out,) = changed(rule, "json", document, mail=["a@x.test"])
    (mail,) = changed(Rule("fake", "email"), "text", "a@x.test")
    number = json.loads(str(out))["n"]
    assert len(number) == 16
    assert out == (
        f'{{"who": "{mail}",  "all": {{"k": 1, "k": 12345678901234567890.10}}, '
        '"tags": [{"name": "[removed] ran"}, {"name": ""}], '
        f'"gone": null, "n": "{number}", "new": null, "none": null}}'
    )


def test_a_document_that_is_one_value_has_a_path_too() -> None:
    """$ is the whole; NULL stays NULL."""
    assert changed(rule_of('"$" = "redact"'), "jsonb", '"Zebulon"', None) == ['"[removed]"', None]
    assert changed(rule_of('"$" = "null"'), "jsonb", '{"a": {"b": 1}}') == ["null"]


def test_a_wildcard_stands_for_every_element_or_member_and_a_name_comes_first() -> None:
    """$.m.* is for the members that have no path of their own."""
    paths = Paths({"$.m.*": "any", "$.m.a": "a", "$.m.a.b": "ab", "$.l[*]": "each"})
    assert [paths.at(steps) for steps in (("m", "x"), ("m", "a"), ("m", "a", "b"), ("m", "a", "c"))] == [
        ("any", True),
        ("a", True),
        ("ab", True),
        ("a", False),
    ]
    assert paths.at(("l", None)) == ("each", True)
    assert paths.at(("l",)) is None


def test_deep_documents_take_no_time() -> None:
    """The rule of a value is found in as many steps as its path has."""
    paths = Paths({"$.a": 1, "$[*]": 2})
    assert paths.at((None,) * 500) == (2, False)


def test_values_without_a_rule_are_counted_and_told_without_keys_that_can_be_names() -> None:
    """What is null or "" needs no rule; the next step is TOML that can be pasted."""
    rule = rule_of('"$.a" = "keep"\n"$.b" = "redact"')
    documents = ['{"a": {"x": 1}, "b": {"y": 2}, "c": null}', '{"d": ["e", "f", ""], "Zebulon Q": 1}']
    missing = without_rule(Paths(rule.paths), documents)
    assert missing == {("b", "y"): 1, ("d", None): 2, ("Zebulon Q",): 1}
    error = refused("t", "own", missing)
    assert "$.d[*] in 2 values" in error.seen
    assert "Zebulon" not in str(error)
    assert Policy.load("[t]\n" + error.next_step.partition("\n")[2]).rules["t"]["own"].kind == "json"


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ('"$.a" = {generalize = "year"}', "one of date_shift, fake"),
        ('"$.a" = {json = {"$.b" = "keep"}}', "one of date_shift, fake"),
        ('"$.a" = {fake = "nobody"}', "fake = one of"),
    ],
)
def test_what_cannot_be_done_inside_of_json_is_refused(paths: str, words: str) -> None:
    """A value inside is a text, whatever it looks like."""
    with pytest.raises(LabError) as error:
        rule_of(paths)
    assert words in error.value.expected


def test_paths_without_the_word_json_are_recognised() -> None:
    """The next step says what to write."""
    with pytest.raises(LabError) as error:
        Policy.load('[t.own]\n"$.a" = "keep"\n')
    assert error.value.next_step == "write [t.own.json]"


def test_a_proposal_is_made_for_each_path() -> None:
    """By its last name and its values; an object with keys that can be people's is null as a whole."""
    documents = [
        f'{{"kontakt": {{"telefon": "030 123456{number}"}}, "ok": true, "scores": {{"Zeb {number}": 1}}, '
        f'"odd": "q{number}"}}'
        for number in range(9)
    ]
    rules = {path: proposal.rule for path, proposal in suggest_inside(documents).items()}
    assert rules == {
        "$.scores": Rule("null"),
        "$.kontakt.telefon": Rule("fake", "phone_number"),
        "$.ok": Rule("keep"),
        "$.odd": Rule("null"),
    }


def test_pieces_of_a_text_are_replaced_and_what_lies_in_another_is_left_out() -> None:
    """The outer piece counts."""
    assert replaced("abcdef", [(2, 3, "X"), (1, 4, "Y"), (5, 6, "")]) == "aYe"


# ---- arrays ----


@given(st.lists(TEXTS, max_size=5))
@settings(deadline=None, max_examples=100)
def test_an_element_is_read_as_it_was_written(texts: list[str]) -> None:
    """Quotes, backslashes, braces and commas included."""
    array = "{" + ",".join(map(as_element, texts)) + "}"
    assert [text for *_, text in elements(array)] == texts


def test_a_rule_for_an_array_is_one_for_its_elements() -> None:
    """Bounds, depth, NULL and "" stay; equal elements become equal ones."""
    (mail,) = changed(Rule("fake", "email"), "text", "a@x.test")
    arrays = ['[2:3]={a@x.test,"NULL"}', '{{NULL,""},{a@x.test,"a@x.test"}}', "{}", None]
    first, second, *rest = changed(Rule("fake", "email"), "text[]", *arrays)
    assert str(first).startswith(f'[2:3]={{"{mail}","')
    assert second == f'{{{{NULL,""}},{{"{mail}","{mail}"}}}}'
    assert rest == ["{}", None]


@pytest.mark.parametrize(
    ("rule", "kind", "fits"),
    [
        (Rule("redact"), "text[]", True),
        (Rule("redact"), "integer[]", False),
        (Rule("generalize", 10), "integer[]", False),
        (Rule("fake", "name"), "composite[]", False),
        (Rule("keep"), "composite[]", True),
        (Rule("date_shift", 3), "date[]", True),
        (Rule("pseudonymize"), "character varying(9)[]", False),
        (rule_of('"$" = "null"'), "jsonb[]", False),
    ],
)
def test_a_rule_fits_an_array_if_it_fits_an_element(rule: Rule, kind: str, *, fits: bool) -> None:
    """But rules that PostgreSQL itself carries out know no arrays."""
    assert (misfit(rule, Column("own", kind, nullable=True, generated=False)) is None) == fits

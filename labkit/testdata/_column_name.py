"""What a column's name says about its values, in the languages of column-names.toml."""

import re
import tomllib
import unicodedata
from functools import cache
from importlib.resources import files

from labkit.testdata._rule import Rule, read_rule

Words = tuple[re.Pattern[str], Rule, str]


@cache
def plain_name(name: str) -> str:
    """Return a name as words in lower case with _ between, without accents: "geburtsTag" is geburts_tag."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")


def named(sort: str, name: str) -> tuple[Rule, str] | None:
    """Return the rule that a column's name suggests, and what it suggests; None for no idea.

    sort is that of the column's values, as in column-names.toml: "text", "number", "date", "thing", "sort".
    """
    plain = plain_name(name)
    return next(((rule, what) for words, rule, what in _words(sort) if words.search(plain)), None)


@cache
def _words(sort: str) -> list[Words]:
    text = files("labkit.testdata").joinpath("column-names.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)[sort]
    rules = [(read_rule(sort, entry.pop("rule")), entry.pop("what")) for entry in entries]
    forms = [re.compile(rf"(^|_)({'|'.join(entry.values())})[0-9]*(_|$)") for entry in entries]
    return [(form, *rule) for form, rule in zip(forms, rules, strict=True)]

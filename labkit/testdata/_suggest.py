"""Which rule a column's name and type suggest: a proposal, for a person to decide."""

import re

from labkit.testdata._rule import DATE, INTEGER, JSON, NUMBER, TEXT, UUID, Rule, family
from labkit.testdata._schema import Column

BY_NAME = (
    (r"e_?mail", Rule("fake", "email"), "an e-mail address"),
    (r"(first|given)_?name|forename", Rule("fake", "first_name"), "a first name"),
    (r"(last|family)_?name|surname", Rule("fake", "last_name"), "a family name"),
    (r"user_?name|login", Rule("fake", "user_name"), "a user name"),
    (r"(full|customer|patient|contact|doctor|prescriber)?_?name", Rule("fake", "name"), "a person's name"),
    (r"phone|mobile|fax|tel", Rule("fake", "phone_number"), "a telephone number"),
    (r"ssn|social_security", Rule("format_preserving", "###-##-####"), "a social security number"),
    (r"(street_?)?address", Rule("fake", "address"), "an address"),
    (r"street", Rule("fake", "street_address"), "a street"),
    (r"city|town", Rule("fake", "city"), "a city"),
    (r"zip|postal|postcode", Rule("generalize", "postcode"), "a postcode"),
    (r"ip|ip_addr(ess)?", Rule("fake", "ipv4"), "an internet address"),
    (r"url|web_?site|home_?page", Rule("fake", "url"), "a web address"),
    (r"note|comment|text|review|message|description|remark|diagnosis", Rule("redact"), "free text"),
    (r"password|secret|token|hash", Rule("null"), "a secret"),
)
"""Words in a column's name, the rule for them, what the name suggests. The first that fits counts, so that
"first_name" stands before "name"."""

SUGGESTS = "column name suggests"
DATES = r"born|birth|dob|died|death"
KEEP, YEAR = Rule("keep"), Rule("generalize", "year")
BY_TYPE = {
    INTEGER: (KEEP, "a number"),
    NUMBER: (KEEP, "a number"),
    DATE: (KEEP, "a date; column name does not suggest a person's life"),
    UUID: (Rule("pseudonymize"), "an identifier"),
    JSON: (Rule("null"), "JSON can hold anything: read some values"),
    TEXT: (KEEP, "a text; column name does not suggest a person: read some values"),
}


def suggest(column: Column, *, key: bool = False) -> tuple[Rule, str]:
    """Return a rule for a column and the reason; key is whether a primary or foreign key has the column."""
    kind, name = family(column.type), column.name.lower()
    if kind == TEXT:
        for words, rule, what in BY_NAME:
            if re.search(rf"(^|_)({words})s?(_|$|[0-9])", name):
                return rule, f"{SUGGESTS} {what}"
    if kind == DATE and re.search(DATES, name):
        return YEAR, f"{SUGGESTS} a date of a person's life"
    if key and kind in {TEXT, UUID}:
        return KEEP, "a key; column name does not suggest a person"
    if kind == JSON and not column.nullable:
        return KEEP, BY_TYPE[JSON][1]
    return BY_TYPE.get(kind, (KEEP, f"a column of type {column.type}"))

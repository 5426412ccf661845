"""What rule a column's name and type speak for: a proposal, for a person to decide."""

import re

from labkit.testdata._rule import DATE, INTEGER, JSON, NUMBER, TEXT, UUID, Rule, family
from labkit.testdata._schema import Column

NAMES = (
    (r"e_?mail", Rule("fake", "email"), "an e-mail address by its name"),
    (r"(first|given)_?name|forename", Rule("fake", "first name"), "a given name by its name"),
    (r"(last|family)_?name|surname", Rule("fake", "last name"), "a family name by its name"),
    (r"user_?name|login", Rule("fake", "user name"), "a user's name by its name"),
    (r"(full|customer|patient|contact|doctor|prescriber)?_?name", Rule("fake", "name"), "a name by its name"),
    (r"phone|mobile|fax|tel", Rule("fake", "phone"), "a telephone number by its name"),
    (r"ssn|social_security", Rule("digits", "###-##-####"), "a social security number by its name"),
    (r"(street_?)?address", Rule("fake", "address"), "an address by its name"),
    (r"street", Rule("fake", "street"), "a street by its name"),
    (r"city|town", Rule("fake", "city"), "a city by its name"),
    (r"zip|postal|postcode", Rule("round", "postcode"), "a postcode by its name"),
    (r"ip|ip_addr(ess)?", Rule("fake", "ip"), "an internet address by its name"),
    (r"url|web_?site|home_?page", Rule("fake", "url"), "a web address by its name"),
    (
        r"note|comment|text|review|message|description|remark|diagnosis",
        Rule("scrub"),
        "free text by its name",
    ),
    (r"password|secret|token|hash", Rule("null"), "a secret by its name"),
)
DATES = r"born|birth|dob|died|death"
KEEP, YEAR = Rule("keep"), Rule("round", "year")
OTHERS = {
    INTEGER: (KEEP, "a number"),
    NUMBER: (KEEP, "a number"),
    DATE: (KEEP, "a date, of nobody's life by its name"),
    UUID: (Rule("code"), "an identifier"),
    JSON: (Rule("null"), "JSON: look into it, it can hold anything"),
    TEXT: (KEEP, "a text without a personal name: look at its values"),
}


def suggest(column: Column, *, key: bool = False) -> tuple[Rule, str]:
    """Return a rule for a column and the reason; key tells that the column is in a primary or foreign key."""
    kind = family(column.type)
    named = [it for it in NAMES if re.search(rf"(^|_)({it[0]})s?(_|$|[0-9])", column.name.lower())]
    if kind == TEXT and named:
        return named[0][1], named[0][2]
    if kind == DATE and re.search(DATES, column.name.lower()):
        return YEAR, "a date of a person's life by its name"
    if key and kind in {TEXT, UUID}:
        return KEEP, "a key without a personal name"
    if kind == JSON and not column.nullable:
        return KEEP, OTHERS[JSON][1]
    return OTHERS.get(kind, (KEEP, f"a column of type {column.type}"))

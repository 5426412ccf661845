"""A policy that follows HIPAA's Safe Harbor: none of the eighteen identifiers stays, and no key is kept.

Source: 45 CFR 164.514(b)(2)(i), whose letters stand as the reasons. Paragraph (c) forbids a code that is
derived from an identifier, unless nobody can translate it back. That is why the key is forgotten.
"""

from dataclasses import replace

from labkit.testdata._rule import DATE, INTEGER, JSON, TEXT, UUID, Rule, family
from labkit.testdata._schema import Table
from labkit.testdata._survey import Survey, Surveyed

LETTERS = {
    "name": "A", "first_name": "A", "last_name": "A", "address": "B", "street_address": "B", "city": "B",
    "postcode": "B", "year": "C", "birth year": "C", "phone_number": "D", "email": "F", "url": "N",
    "ipv4": "O",
}  # fmt: skip
"""A rule's argument → the letter of the identifier in the regulation."""

SOCIAL_SECURITY, ANY_OTHER = "G", "R"


def safe_harbor(survey: Survey) -> str:
    """Return the policy's text: what the survey proposes, made stricter.

    A column for which no rule is strict enough, such as JSON that is NOT NULL, is left out. `obscure` then
    stops and names that column.
    """
    columns = [_stricter(column, survey.tables[column.table]) for column in survey.columns]
    return "forget_key = true\n" + replace(survey, columns=[column for column in columns if column]).policy()


def _stricter(column: Surveyed, table: Table) -> Surveyed | None:
    rule = column.rule if column.inherits else _rule(column, table)
    if rule is None:
        return None
    letter = ANY_OTHER if rule.kind == "pseudonymize" else LETTERS.get(str(rule.argument))
    letter = SOCIAL_SECURITY if rule.kind == "unissued" else letter
    reason = f"identifier ({letter})" if letter else column.reason
    return replace(column, rule=rule, reason=reason, inside={})


def _rule(column: Surveyed, table: Table) -> Rule | None:
    """Return the stricter rule for a column; None when there is none."""
    if column.rule is None:
        return None
    kind, nullable = family(table.columns[column.column].type), table.columns[column.column].nullable
    in_key = any(column.column in key for key in table.unique)
    if kind == DATE:
        return Rule("generalize", "birth year" if column.is_personal else "year")
    if column.rule.kind == "format_preserving":
        # Social security numbers do not begin with 9; two people may draw the same one, which a key forbids.
        unissued = Rule("unissued", str(column.rule.argument).replace("#", "9", 1))
        return Rule("pseudonymize") if in_key else unissued
    if kind == JSON or column.rule.kind == "redact":
        return Rule("null") if nullable else Rule("pseudonymize") if kind == TEXT else None
    if kind in {INTEGER, UUID} and (column.column,) in table.unique:
        return Rule("pseudonymize")
    return column.rule

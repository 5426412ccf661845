"""A policy in the way of HIPAA's Safe Harbor: nothing of the eighteen identifiers stays, and no key is kept.

Source: 45 CFR 164.514(b)(2)(i), whose letters stand as the reasons; (c) forbids a code that is derived from
what identifies someone, unless nobody can translate it back: so the key is forgotten.
"""

from dataclasses import replace

from labkit.testdata._rule import DATE, INTEGER, JSON, TEXT, UUID, Rule, family
from labkit.testdata._schema import Table
from labkit.testdata._survey import Survey, Surveyed

LETTERS = {
    "name": "A", "first name": "A", "last name": "A", "address": "B", "street": "B", "city": "B",
    "postcode": "B", "year": "C", "birth year": "C", "phone": "D", "email": "F", "url": "N", "ip": "O",
}  # fmt: skip
"""By the argument of a rule."""

SOCIAL_SECURITY, ANY_OTHER = "G", "R"


def safe_harbor(survey: Survey) -> str:
    """Return the policy's text: what the survey proposes, made stricter.

    What no rule is strict enough for, such as JSON that is NOT NULL, is left out: `obscure` then names it.
    """
    columns = [_stricter(it, survey.tables[it.table]) for it in survey.columns]
    return "forget_key = true\n" + replace(survey, columns=[it for it in columns if it]).policy()


def _stricter(it: Surveyed, table: Table) -> Surveyed | None:
    rule = it.rule if it.inherits else _rule(it, table)
    if rule is None:
        return None
    letter = ANY_OTHER if rule.kind == "code" else LETTERS.get(str(rule.argument))
    letter = SOCIAL_SECURITY if rule.kind == "never" else letter
    return replace(it, rule=rule, reason=f"identifier ({letter})" if letter else it.reason)


def _rule(it: Surveyed, table: Table) -> Rule | None:
    """Return the stricter rule for a column; None when there is none."""
    kind, nullable = family(it.type), table.columns[it.column].nullable
    in_key = any(it.column in key for key in table.unique)
    if kind == DATE:
        return Rule("round", "birth year" if it.is_personal else "year")
    if it.rule.kind == "digits":
        return Rule("code") if in_key else Rule("never", str(it.rule.argument).replace("#", "9", 1))
    if kind == JSON or it.rule.kind == "scrub":
        return Rule("null") if nullable else Rule("code") if kind == TEXT else None
    if kind in {INTEGER, UUID} and (it.column,) in table.unique:
        return Rule("code")
    return it.rule

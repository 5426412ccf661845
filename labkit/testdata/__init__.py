"""Test data: generate what looks like production, survey a database, obscure it, cut it down, audit it.

Databases are given by their libpq URL. What is personal never leaves by accident: a policy names a rule for
every column, and a column without one stops the work.
"""

from labkit.testdata._audit import audit
from labkit.testdata._distribution import Distribution, Statistics
from labkit.testdata._generate import Generated, generate
from labkit.testdata._obscure import Obscured, obscure, subset
from labkit.testdata._policy import Policy
from labkit.testdata._record import record
from labkit.testdata._report import Audit
from labkit.testdata._rule import Rule
from labkit.testdata._survey import Survey, Surveyed, survey

__all__ = [
    "Audit",
    "Distribution",
    "Generated",
    "Obscured",
    "Policy",
    "Rule",
    "Statistics",
    "Survey",
    "Surveyed",
    "audit",
    "generate",
    "obscure",
    "record",
    "subset",
    "survey",
]

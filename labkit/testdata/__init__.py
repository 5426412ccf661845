"""Test data: generate what looks like production, survey a database, obscure it, cut it down, audit it.

Databases are given by their libpq URL. A policy names a rule for every column, and a column without a rule
stops the work: so no personal value leaves production by accident.
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

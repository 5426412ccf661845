"""Gathers the people of a database: whose names, addresses and numbers nobody may find in a copy of it."""

import re
from collections.abc import Mapping
from contextlib import closing
from itertools import product

import polars as pl

from labkit.testdata._copy import Connection
from labkit.testdata._forms import Forms
from labkit.testdata._names import IDEOGRAPH, first_and_last
from labkit.testdata._read import frames
from labkit.testdata._schema import Schema

FIRST, FAMILY, WHOLE, WORDS, VALUE = "first", "family", "whole", "words", "value"
"""What a column has of a person: a first name, a family name, the whole name, words such as those of an
address, or a value that names the person as it is."""

Identifying = Mapping[str, Mapping[str, str]]
"""By table, the columns that name somebody, and what each has: FIRST, FAMILY, WHOLE, WORDS or VALUE."""

SEVERAL = rf"\S[\s,]+\S|{IDEOGRAPH}{{2}}"
PART = r"first|given|fore|last|family|sur|vor|nach|_"


def gather(source: Connection, schema: Schema, columns: Identifying, forms: Forms) -> None:
    """Add everybody in these columns to forms. A first and a family name in one row are one person's."""
    for table, kinds in columns.items():
        if not kinds:
            continue
        with closing(frames(source, schema.tables[table], list(kinds))) as blocks:
            for block in blocks:
                _add_names(block, table, kinds, forms)
                for column, kind in kinds.items():
                    if kind in {WORDS, VALUE}:
                        forms.add_values(block[column], f"{table}.{column}", words_count=kind == WORDS)


def _add_names(block: pl.DataFrame, table: str, kinds: Mapping[str, str], forms: Forms) -> None:
    of_kind = {kind: [column for column, its in kinds.items() if its == kind] for kind in kinds.values()}
    for column in of_kind.get(WHOLE, ()):
        names = block[column].drop_nulls().unique()
        # One word alone may be a middle name, or that of a company.
        several = names.filter(names.str.contains(SEVERAL))
        forms.add_names(*first_and_last(several), f"{table}.{column}")
    firsts, families = of_kind.get(FIRST, ()), of_kind.get(FAMILY, ())
    # Two people in a row have their own columns each: "contact_first_name" belongs to "contact_last_name".
    pairs = [pair for pair in product(firsts, families) if _whose(pair[0]) == _whose(pair[1])]
    for first, family in pairs or list(product(firsts, families)):
        forms.add_names(block[first], block[family], f"{table}.{first} + {family}")
    nobody = pl.Series([""])
    if not pairs:
        for column in families:
            names = block[column].drop_nulls().unique()
            forms.add_names(nobody.new_from_index(0, len(names)), names, f"{table}.{column}")


def _whose(column: str) -> str:
    return re.sub(PART, "", column.lower())

"""Numbers in a form, such as ###-##-####: the number that the marked digits make, and the way back.

A column is taken as one array of bytes, because every value of a form is as long as the next.
"""

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]
ZERO, TEN = ord("0"), np.uint64(10)


class Pattern:
    """A form of numbers: # stands for a digit, everything else for itself."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._bytes = np.frombuffer(form.encode(), dtype=np.uint8)
        self._marked = np.flatnonzero(self._bytes == ord("#"))

    @property
    def digits(self) -> int:
        """The number of marked digits."""
        return len(self._marked)

    def misfits(self, values: pl.Series) -> pl.Series:
        """Return those values that are neither in this form, nor "", nor None."""
        fits = re.escape(self._form).replace(r"\#", "[0-9]")
        return values.filter(~values.str.contains(f"^(?:{fits})?$"))

    def read(self, values: pl.Series) -> Numbers:
        """Return the number that each value's marked digits make; 0 for "" and None. No value is a misfit."""
        empty = values.is_null() | (values == "")
        if empty.any():
            nothing = pl.lit(self._form.replace("#", "0"))
            values = pl.select(pl.when(empty).then(nothing).otherwise(values)).to_series()
        whole = values.to_list()
        table = np.frombuffer("".join(whole).encode(), dtype=np.uint8).reshape(len(whole), len(self._bytes))
        numbers = np.zeros(len(whole), dtype=np.uint64)
        for place in self._marked:
            numbers = numbers * TEN + (table[:, place] - np.uint8(ZERO))
        return numbers

    def write(self, numbers: Numbers) -> pl.Series:
        """Return numbers of no more than the marked digits in this form."""
        table = np.tile(self._bytes, (len(numbers), 1))
        for place in self._marked[::-1]:
            rest = numbers // TEN
            table[:, place] = numbers - rest * TEN + np.uint64(ZERO)
            numbers = rest
        return pl.Series(table.view(f"S{len(self._bytes)}").ravel()).cast(pl.String)

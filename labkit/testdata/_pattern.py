"""Numbers in a form, such as ###-##-####: the number that the marked digits make, and the way back.

A column is taken as one array of bytes, because every value of a form is as long as the next.
"""

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]
MARK, ZERO, NINE = ord("#"), np.uint8(ord("0")), np.uint8(9)
TEN = np.uint64(10)


class Pattern:
    """A form of numbers: # stands for a digit, everything else for itself."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._bytes = np.frombuffer(form.encode(), dtype=np.uint8)
        self._marked = np.flatnonzero(self._bytes == MARK)

    @property
    def digits(self) -> int:
        """The number of marked digits."""
        return len(self._marked)

    def misfits(self, values: pl.Series) -> pl.Series:
        """Return the values that have another form; "" and None do not count."""
        fits = re.escape(self._form).replace(r"\#", "[0-9]")
        return values.filter(~values.str.contains(f"^(?:{fits})?$"))

    def read(self, values: pl.Series) -> Numbers | None:
        """Return the number that each value's marked digits make, 0 for "" and None.

        None means that a value has another form.
        """
        empty = values.is_null() | (values == "")
        if empty.any():
            nothing = pl.lit(self._form.replace("#", "0"))
            values = pl.select(pl.when(empty).then(nothing).otherwise(values)).to_series()
        if not (values.str.len_bytes() == len(self._bytes)).all():
            return None
        joined = np.frombuffer("".join(values.to_list()).encode(), dtype=np.uint8)
        table = joined.reshape(len(values), len(self._bytes))
        numbers, fits = np.zeros(len(values), dtype=np.uint64), True
        for place, byte in enumerate(self._bytes):
            column = table[:, place]
            if byte == MARK:
                # Bytes below "0" wrap round to more than nine, so that one comparison finds all non-digits.
                digit = column - ZERO
                fits &= bool((digit <= NINE).all())
                numbers = numbers * TEN + digit
            else:
                fits &= bool((column == byte).all())
        return numbers if fits else None

    def write(self, numbers: Numbers) -> pl.Series:
        """Return numbers of no more than the marked digits in this form."""
        table = np.tile(self._bytes, (len(numbers), 1))
        for place in self._marked[::-1]:
            rest = numbers // TEN
            table[:, place] = numbers - rest * TEN + ZERO
            numbers = rest
        return pl.Series(table.view(f"S{len(self._bytes)}").ravel()).cast(pl.String)

"""The locale of made-up values: one of Faker's, or several with weights, as Faker itself takes them."""

import difflib
from collections.abc import Mapping
from locale import normalize

import numpy as np
from faker.config import AVAILABLE_LOCALES
from numpy.typing import NDArray

from labkit.errors import LabError
from labkit.testdata._mac import Bits
from labkit.testdata.kinds import part

Locale = Mapping[str, float]
"""Faker's name of a locale → its weight."""

CHOICE, SHARES = 14, 1 << 16
"""The place of a persona's bits that decides its locale, and into how many shares the weights are cut."""


def read_locale(place: str, written: object) -> Locale:
    """Return a locale that is written as "de_DE", as ["de_DE", "fr_FR"], or as {de_DE = 3, it_IT = 1}.

    place says where it is written, for the error: "customers.name", or "the policy".

    :raises LabError: when it is written in another way, or Faker has no such locale.
    """
    weights: Mapping[object, object] = {}
    if isinstance(written, str):
        weights = {written: 1.0}
    elif isinstance(written, list):
        weights = dict.fromkeys(map(str, written), 1.0)
    elif isinstance(written, Mapping):
        weights = written
    if not weights or not all(type(weight) in {int, float} and weight > 0 for weight in weights.values()):  # type: ignore[operator]  # the types were asked for
        expected = f'{place}: locale = "de_DE", ["de_DE", "fr_FR"] or {{de_DE = 3, it_IT = 1}}'
        raise LabError(expected, repr(written), "correct the locale in the policy")
    return {_full_name(place, str(name)): float(str(weight)) for name, weight in weights.items()}


def _full_name(place: str, name: str) -> str:
    # As Faker reads it: "de-DE" and "de" are de_DE.
    full = normalize(name.replace("-", "_")).split(".")[0]
    if full in AVAILABLE_LOCALES:
        return full
    near = difflib.get_close_matches(name, sorted(AVAILABLE_LOCALES), n=3)
    next_step = (
        f"write {' or '.join(near)} instead of {name}" if near else 'write one of them, such as "de_DE"'
    )
    raise LabError(f"{place}: locale = one of Faker's locales", repr(name), next_step)


def chosen(bits: Bits, locale: Locale) -> NDArray[np.intp]:
    """Return for each persona the number of its locale: the same under each kind."""
    shares = np.cumsum(list(locale.values()))
    return np.searchsorted(shares / shares[-1], part(bits, CHOICE, SHARES) / SHARES, side="right")

"""How much of a column's distribution is lost: 0 is nothing, 1 as much as if all its values were one.

Numbers and dates are compared by the 1-Wasserstein distance, the mean way that values moved; all others by
the total variation distance, the share of rows whose value became another one. Both are divided by the
distance to the best single value, so that a column of zeros loses at least 1 whatever its unit is. Source of
the distances: C. Villani, "Optimal Transport: Old and New", 2009, chapter 6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labkit.testdata._rule import DATE, INTEGER, NUMBER

POSTCODE = "postcode"
INNER = 8
"""Points that stand for the values between two bounds of a histogram."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """A column's values as PostgreSQL's statistics describe them; it is held in memory alone, never reported.

    nulls: share of NULL. common: the most common values and their shares. bounds: those of a histogram of the
    other values, in which each part has the same share.
    """

    nulls: float
    common: Mapping[str, float]
    bounds: Sequence[str]


def loss(before: Shape, after: Shape, kind: str) -> float | None:
    """Return how much is lost; None when there is nothing to lose, or the values cannot be compared.

    kind is the family of the column's type, or POSTCODE.
    """
    if before.nulls == 1 or not (before.common or before.bounds):
        return None
    emptied = max(0.0, after.nulls - before.nulls) / (1 - before.nulls)
    if emptied == 1:
        return 1.0
    moved = (
        _moved(before, after, kind) if kind in {INTEGER, NUMBER, DATE, POSTCODE} else _replaced(before, after)
    )
    return None if moved is None else max(emptied, moved)


def _moved(before: Shape, after: Shape, kind: str) -> float | None:
    """Return the Wasserstein distance between two distributions, divided by that to the median."""
    (was, share), (now, other) = _points(before, kind), _points(after, kind)
    if not len(was) or not len(now):
        return None
    order = np.argsort(was)
    middle = was[order][np.searchsorted(np.cumsum(share[order]), 0.5)]
    spread = float(np.sum(np.abs(was - middle) * share))
    distance = _wasserstein(was, share, now, other)
    return distance / spread if spread else float(distance > 0)


def _wasserstein(was: Floats, share: Floats, now: Floats, other: Floats) -> float:
    values, weights = np.concatenate([was, now]), np.concatenate([share, -other])
    order = np.argsort(values, kind="stable")
    return float(np.sum(np.abs(np.cumsum(weights[order])[:-1]) * np.diff(values[order])))


def _points(shape: Shape, kind: str) -> tuple[Floats, Floats]:
    """Return values as numbers, and the share of each; the shares sum to 1."""
    common = {
        value: share for text, share in shape.common.items() if (value := _number(text, kind)) is not None
    }
    bounds = np.array([value for text in shape.bounds if (value := _number(text, kind)) is not None])
    values, shares = np.array(list(common)), np.array(list(common.values()))
    if len(bounds) > 1:
        within = (np.arange(INNER) + 0.5) / INNER
        inner = (bounds[:-1, None] + np.diff(bounds)[:, None] * within).ravel()
        left = max(0.0, 1 - shape.nulls - float(shares.sum()))
        values = np.concatenate([values, inner])
        shares = np.concatenate([shares, np.full(len(inner), left / len(inner))])
    return values.astype(np.float64), shares / shares.sum() if shares.sum() else shares


def _number(text: str, kind: str) -> float | None:
    """Return a value as a number, a date as days and a postcode by its first digits; None when it is none."""
    try:
        if kind == DATE:
            moment = datetime.fromisoformat(text)
            return moment.toordinal() + (moment.hour * 60 + moment.minute) / 1440
        number = float(f"0.{int(text):0{len(text)}d}" if kind == POSTCODE else text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _replaced(before: Shape, after: Shape) -> float:
    """Return the total variation distance of the common values, divided by that to the most common one."""
    values = {*before.common, *after.common}
    shares = [(before.common.get(value, 0.0), after.common.get(value, 0.0)) for value in values]
    rest = [1 - shape.nulls - sum(shape.common.values()) for shape in (before, after)]
    distance = sum(abs(was - now) for was, now in [*shares, (rest[0], rest[1])]) / 2
    most = 1 - before.nulls - max(before.common.values(), default=0.0)
    return distance / most if most > 0 else float(distance > 0)


def shape_of(nulls: float, common: Any, shares: Any, bounds: Any) -> Shape:  # noqa: ANN401 - columns of pg_stats
    """Return the shape that a row of pg_stats describes; its columns are None where there is nothing."""
    return Shape(nulls, dict(zip(common or (), shares or (), strict=True)), bounds or ())

"""Prices, version 1: the discount is in the lines."""

import pytest
from pricing import line_price_cents, total_cents


def test_a_line_is_discounted() -> None:
    assert line_price_cents(390, 2, 10) == 702


def test_a_total_adds_lines_that_are_discounted_already() -> None:
    assert total_cents([702, 95], 10) == 797


@pytest.mark.parametrize(("unit", "paid"), [(1, 1), (5, 5), (15, 14), (295, 266)])
def test_half_a_cent_is_rounded_up(unit: int, paid: int) -> None:
    """Regression: floats made 265 cents of 295 less 10 %."""
    assert line_price_cents(unit, 1, 10) == paid


def test_no_discount_and_all_of_it() -> None:
    assert (line_price_cents(390, 1, 0), line_price_cents(390, 1, 100)) == (390, 0)

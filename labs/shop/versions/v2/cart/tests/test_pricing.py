"""Prices, version 2: the discount is in the total."""

import pytest
from pricing import line_price_cents, total_cents


def test_a_line_has_its_full_price() -> None:
    assert line_price_cents(390, 2, 10) == 780


def test_a_total_is_discounted_once_as_a_whole() -> None:
    assert total_cents([780, 105], 10) == 797


@pytest.mark.parametrize(("price", "paid"), [(1, 1), (5, 5), (15, 14), (295, 266)])
def test_half_a_cent_is_rounded_up(price: int, paid: int) -> None:
    """Regression: floats made 265 cents of 295 less 10 %."""
    assert total_cents([price], 10) == paid


def test_no_discount_and_all_of_it() -> None:
    assert (total_cents([390], 0), total_cents([390], 100)) == (390, 0)

"""Prices, version 1: each item is discounted when it is put into the cart. Amounts are whole cents."""


def line_price_cents(unit_cents: int, quantity: int, discount_percent: int) -> int:
    """Return what a line costs, discounted; half a cent is rounded up."""
    return (unit_cents * quantity * (100 - discount_percent) + 50) // 100


def total_cents(line_prices: list[int], discount_percent: int) -> int:
    """Return what the purchase costs: the lines carry their discount already."""
    del discount_percent
    return sum(line_prices)

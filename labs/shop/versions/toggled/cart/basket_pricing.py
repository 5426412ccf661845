"""Prices of the whole purchase: it is discounted when its total is made. Amounts are whole cents."""


def line_price_cents(unit_cents: int, quantity: int, discount_percent: int) -> int:
    """Return what a line costs, at the full price: the purchase will be discounted."""
    del discount_percent
    return unit_cents * quantity


def total_cents(line_prices: list[int], discount_percent: int) -> int:
    """Return what the purchase costs, discounted once as a whole; half a cent is rounded up."""
    return (sum(line_prices) * (100 - discount_percent) + 50) // 100

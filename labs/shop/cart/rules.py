"""What a cart is on its way between client and service, and which prices it is under."""

from typing import Any

import pricing

TOGGLES: tuple[str, ...] = ()
"""The toggles that this code asks for."""

Cart = dict[str, Any]


def received(cart: Cart) -> Cart:
    """Return the cart as this version works with it; {} is a new one."""
    return {"lines": cart.get("lines", [])}


def line(cart: Cart, product: dict[str, Any], quantity: int, percent: int) -> dict[str, Any]:
    """Return the line of a product that is put into the cart."""
    del cart
    price = pricing.line_price_cents(product["price_cents"], quantity, percent)
    return {"sku": product["sku"], "name": product["name"], "quantity": quantity, "price_cents": price}


def total_cents(cart: Cart, percent: int) -> int:
    """Return what the cart costs."""
    return pricing.total_cents([it["price_cents"] for it in cart["lines"]], percent)

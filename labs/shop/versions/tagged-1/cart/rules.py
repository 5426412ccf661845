"""What a cart is on its way between client and service: a message with a version, which is 1.

A line also tells the price of one, so that a later version can translate it.
"""

from typing import Any

import pricing
from starlette.exceptions import HTTPException

from labkit.skew import UnknownVersion, tag, translate

TOGGLES: tuple[str, ...] = ()
"""The toggles that this code asks for."""

VERSION = 1
Cart = dict[str, Any]


def received(cart: Cart) -> Cart:
    """Return the cart as this version works with it; {} is a new one. A version to come is refused."""
    try:
        return translate(tag({"lines": []} | cart), [], VERSION)
    except UnknownVersion as unknown:
        raise HTTPException(415, str(unknown)) from unknown


def line(cart: Cart, product: dict[str, Any], quantity: int, percent: int) -> dict[str, Any]:
    """Return the line of a product that is put into the cart."""
    del cart
    unit = product["price_cents"]
    price = pricing.line_price_cents(unit, quantity, percent)
    told = {"sku": product["sku"], "name": product["name"], "quantity": quantity, "price_cents": price}
    return told | {"unit_cents": unit}


def total_cents(cart: Cart, percent: int) -> int:
    """Return what the cart costs."""
    return pricing.total_cents([it["price_cents"] for it in cart["lines"]], percent)

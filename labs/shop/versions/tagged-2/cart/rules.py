"""What a cart is on its way between client and service: a message with a version, which is 2.

A cart of version 1 is translated when it arrives.
"""

from typing import Any

import pricing
from starlette.exceptions import HTTPException

from labkit.skew import Layer, TranslationFailed, UnknownVersion, tag, translate

TOGGLES: tuple[str, ...] = ()
"""The toggles that this code asks for."""

VERSION = 2
Cart = dict[str, Any]


def full_prices(cart: Cart) -> Cart:
    """Return a cart of version 1 as version 2 has it: its lines at the full price."""
    return cart | {"lines": [it | {"price_cents": it["unit_cents"] * it["quantity"]} for it in cart["lines"]]}


LAYERS = [Layer(2, up=full_prices)]


def received(cart: Cart) -> Cart:
    """Return the cart as this version works with it; {} is a new one. A version to come is refused."""
    if not cart.get("lines"):
        return tag({"lines": []}, VERSION)
    try:
        return translate(cart, LAYERS, VERSION)
    except (UnknownVersion, TranslationFailed) as refusal:
        raise HTTPException(415, str(refusal)) from refusal


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

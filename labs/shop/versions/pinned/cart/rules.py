"""What a cart is on its way between client and service, and which prices it is under.

The toggle decides once, when a cart is new; from then on the decision travels in the cart.
"""

from types import ModuleType
from typing import Any

import basket_pricing
import pricing

from labkit.service import toggle

TOGGLES = ("basket_discount",)
"""The toggles that this code asks for."""

Cart = dict[str, Any]


def received(cart: Cart) -> Cart:
    """Return the cart as this version works with it; {} is a new one.

    One that carries no decision comes from code without the toggle: its items are discounted.
    """
    lines = cart.get("lines", [])
    decided = cart.get("basket_discount") is True if lines else toggle("basket_discount")
    return {"lines": lines, "basket_discount": decided}


def line(cart: Cart, product: dict[str, Any], quantity: int, percent: int) -> dict[str, Any]:
    """Return the line of a product that is put into the cart."""
    price = prices(cart).line_price_cents(product["price_cents"], quantity, percent)
    return {"sku": product["sku"], "name": product["name"], "quantity": quantity, "price_cents": price}


def total_cents(cart: Cart, percent: int) -> int:
    """Return what the cart costs."""
    return int(prices(cart).total_cents([it["price_cents"] for it in cart["lines"]], percent))


def prices(cart: Cart) -> ModuleType:
    """Return the prices that the cart is under."""
    return basket_pricing if cart["basket_discount"] else pricing

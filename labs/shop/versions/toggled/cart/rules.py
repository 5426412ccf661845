"""What a cart is on its way between client and service, and which prices it is under: a toggle decides."""

from types import ModuleType
from typing import Any

import basket_pricing
import pricing

from labkit.service import toggle

TOGGLES = ("basket_discount",)
"""The toggles that this code asks for."""

Cart = dict[str, Any]


def received(cart: Cart) -> Cart:
    """Return the cart as this version works with it; {} is a new one."""
    return {"lines": cart.get("lines", [])}


def line(cart: Cart, product: dict[str, Any], quantity: int, percent: int) -> dict[str, Any]:
    """Return the line of a product that is put into the cart."""
    del cart
    price = prices().line_price_cents(product["price_cents"], quantity, percent)
    return {"sku": product["sku"], "name": product["name"], "quantity": quantity, "price_cents": price}


def total_cents(cart: Cart, percent: int) -> int:
    """Return what the cart costs."""
    return int(prices().total_cents([it["price_cents"] for it in cart["lines"]], percent))


def prices() -> ModuleType:
    """Return the prices of this request: the old code and the new stand side by side."""
    return basket_pricing if toggle("basket_discount") else pricing

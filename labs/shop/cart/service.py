"""The cart. It keeps nothing: the cart travels with the client, so any instance can answer any request."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import rules
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.service import Unavailable, application, client, json_object

if TYPE_CHECKING:
    import httpx  # labkit.service loads it when it is first needed

DISCOUNT_PERCENT = int(os.environ.get("DISCOUNT_PERCENT", "10"))
CURRENCY = os.environ.get("CURRENCY", "EUR")
PAYMENT_TIMEOUT_S = float(os.environ.get("PAYMENT_TIMEOUT", "2"))

MOST_LINES = 100
MOST_OF_ONE = 99

catalog = client("catalog")
payments = client("payments", timeout_s=PAYMENT_TIMEOUT_S)


async def add_item(request: Request) -> Response:
    """Put a product into the cart that came along, and return the cart."""
    body = await json_object(request)
    cart = cart_of(body.get("cart"))
    quantity = whole(body.get("quantity", 1), 1, MOST_OF_ONE, "quantity")
    if len(cart["lines"]) == MOST_LINES:
        raise HTTPException(422, f"a cart has at most {MOST_LINES} lines")
    product = await product_of(body.get("sku"))
    line = rules.line(cart, product, quantity, DISCOUNT_PERCENT)
    return JSONResponse(cart | {"lines": [*cart["lines"], line]})


async def totals(request: Request) -> Response:
    """Compute what the cart costs; no other service is asked."""
    return JSONResponse(totals_of(cart_of((await json_object(request)).get("cart"))))


async def checkout(request: Request) -> Response:
    """Turn the cart into a paid order: its goods leave the stock, and come back when they are not paid."""
    body = await json_object(request)
    cart, customer = cart_of(body.get("cart")), body.get("customer")
    if not cart["lines"] or not isinstance(customer, str) or not customer.strip():
        raise HTTPException(422, "a checkout needs a cart with at least one line and a customer")
    order, total = uuid4().hex, totals_of(cart)
    await reserve(order, customer, cart["lines"])
    bill = {"order": order, "customer": customer, "amount_cents": total["total_cents"], "currency": CURRENCY}
    payment = await pay(bill)
    return JSONResponse({"order": order, "payment": payment, **total}, 201)


async def product_of(sku: object) -> dict[str, Any]:
    """Ask the catalog for a product."""
    if not isinstance(sku, str) or not sku.isalnum():
        raise HTTPException(422, "sku: letters and digits are expected")
    answer = await catalog.request("GET", f"/products/{sku}")
    refuse_unless(answer, 200)
    product: dict[str, Any] = answer.json()
    return product


async def reserve(order: str, customer: str, lines: list[dict[str, Any]]) -> None:
    """Take an order's goods from the catalog's stock."""
    wanted = [{"sku": line["sku"], "quantity": line["quantity"]} for line in lines]
    body = {"order": order, "customer": customer, "lines": wanted}
    refuse_unless(await catalog.request("POST", "/orders", json=body), 201)


async def pay(bill: dict[str, Any]) -> str:
    """Have a bill paid and return the payment's id; an order that is not paid is cancelled."""
    try:
        answer = await payments.request("POST", "/payments", json=bill)
    except Unavailable:
        await catalog.request("DELETE", f"/orders/{bill['order']}")
        raise
    if answer.status_code != 201:
        await catalog.request("DELETE", f"/orders/{bill['order']}")
        raise HTTPException(402, "the payment was refused")
    return str(answer.json()["payment"])


def refuse_unless(answer: "httpx.Response", status: int) -> None:
    """Pass on what the catalog refuses; when it is broken, say that it is not available."""
    if answer.status_code == status:
        return
    if answer.status_code >= 500:
        message = f"the catalog answers {answer.status_code}"
        raise Unavailable(message)
    raise HTTPException(answer.status_code, answer.json()["error"])


def totals_of(cart: rules.Cart) -> dict[str, Any]:
    """Return what a cart costs, and the currency."""
    return {"total_cents": rules.total_cents(cart, DISCOUNT_PERCENT), "currency": CURRENCY}


def cart_of(cart: object) -> rules.Cart:
    """Return a cart that came along, checked, because it comes from outside; no cart is a new one."""
    given = cart if isinstance(cart, dict) else {} if cart is None else {"lines": None}
    lines = given.get("lines", [])
    if not isinstance(lines, list) or len(lines) > MOST_LINES:
        raise HTTPException(422, f'cart: {{"lines": […]}} with at most {MOST_LINES} lines is expected')
    for line in lines:
        check(line)
    return rules.received(given)


def check(line: object) -> None:
    """Refuse a line that has not everything a line needs."""
    if not isinstance(line, dict) or not isinstance(line.get("sku"), str):
        raise HTTPException(422, "line: sku, quantity and price_cents are expected")
    whole(line.get("quantity"), 1, MOST_OF_ONE, "quantity")
    whole(line.get("price_cents"), 0, 10**9, "price_cents")


def whole(value: object, least: int, most: int, name: str) -> int:
    """Return a whole number within its limits."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise HTTPException(422, f"{name}: a whole number from {least} to {most} is expected")
    return value


app = application(
    [
        Route("/items", add_item, methods=["POST"]),
        Route("/totals", totals, methods=["POST"]),
        Route("/checkout", checkout, methods=["POST"]),
    ],
    openapi=Path(__file__).with_name("openapi.json"),
    clients=[catalog, payments],
    toggles=rules.TOGGLES,
)

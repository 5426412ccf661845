"""The storefront: the shop's page, and the interface that the page and other clients use."""

import logging
import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from labkit.service import Client, Unavailable, application, client, json_object

LOG = logging.getLogger("storefront")
CURRENCY = os.environ.get("CURRENCY", "EUR")
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
RATES_TIMEOUT_S = 1.0

cart = client("cart")
catalog = client("catalog")
rates = client("rates", timeout_s=RATES_TIMEOUT_S)


async def page(_: Request) -> Response:
    """Answer with the shop's page; it fetches everything else itself."""
    return HTMLResponse(PAGE)


async def list_products(request: Request) -> Response:
    """Answer with all products, priced in another currency when one is asked for and its rate known."""
    products = (await catalog.get("/products"))["products"]
    wanted = request.query_params.get("currency", CURRENCY)
    rate = await rate_of(wanted)
    if rate is None:
        wanted, rate = CURRENCY, 1.0
    shown = [product | {"price_cents": round(product["price_cents"] * rate)} for product in products]
    return JSONResponse({"currency": wanted, "products": shown})


async def rate_of(currency: str) -> float | None:
    """Return what one unit of the shop's currency is in another; None when no rates can be had."""
    if currency == CURRENCY:
        return 1.0
    try:
        known = (await rates.get(f"/rates/{CURRENCY}"))["rates"]
    except Unavailable as fault:
        LOG.warning("prices stay in %s: %s", CURRENCY, fault)
        return None
    if currency not in known:
        raise HTTPException(422, f"currency: one of {', '.join(known)} is expected")
    return float(known[currency])


async def add_to_cart(request: Request) -> Response:
    """Hand the cart and the wanted product to the cart service."""
    return await hand_on(request, cart, "/items")


async def cart_totals(request: Request) -> Response:
    """Ask the cart service what the cart costs."""
    return await hand_on(request, cart, "/totals")


async def place_order(request: Request) -> Response:
    """Have the cart service turn the cart into an order."""
    return await hand_on(request, cart, "/checkout")


async def hand_on(request: Request, to: Client, path: str) -> Response:
    """Hand a JSON body on and give back what is answered."""
    answer = await to.request("POST", path, json=await json_object(request))
    return JSONResponse(answer.json(), answer.status_code)


app = application(
    [
        Route("/", page),
        Route("/products", list_products),
        Route("/cart/items", add_to_cart, methods=["POST"]),
        Route("/cart/totals", cart_totals, methods=["POST"]),
        Route("/orders", place_order, methods=["POST"]),
    ],
    openapi=Path(__file__).with_name("openapi.json"),
    clients=[cart, catalog, rates],
)

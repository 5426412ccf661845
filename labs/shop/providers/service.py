"""Stands for the real external services in production: one image, $LABKIT_SERVICE says which."""

import os
from typing import Any
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.service import application, json_object

LIMIT_CENTS = 100_000
MOST_PAYMENTS = 1000
RATES = {"EUR": 1.0, "USD": 1.0837, "CHF": 0.9412, "GBP": 0.8391, "SEK": 11.342}

payments: dict[str, dict[str, Any]] = {}


async def take_payment(request: Request) -> Response:
    """Take a payment; an order is paid once however often it is asked for, too much is refused."""
    bill = await json_object(request)
    amount, order = bill.get("amount_cents"), bill.get("order")
    if not isinstance(amount, int) or not isinstance(order, str):
        raise HTTPException(422, "order and amount_cents are expected")
    if amount > LIMIT_CENTS:
        raise HTTPException(402, f"more than {LIMIT_CENTS} cents at once are refused")
    if order not in payments and len(payments) == MOST_PAYMENTS:
        payments.pop(next(iter(payments)))
    taken = payments.setdefault(order, {"payment": uuid4().hex, "state": "accepted", "amount_cents": amount})
    return JSONResponse({"payment": taken["payment"], "state": taken["state"]}, 201)


async def list_payments(_: Request) -> Response:
    """Answer with the payments that were taken, the oldest first."""
    return JSONResponse({"payments": list(payments.values())})


async def exchange_rates(request: Request) -> Response:
    """Answer with what one unit of a currency is in others."""
    base = request.path_params["base"]
    if base not in RATES:
        raise HTTPException(404, f"there are no rates for {base}")
    rates = {currency: round(rate / RATES[base], 4) for currency, rate in RATES.items()}
    return JSONResponse({"base": base, "rates": rates})


ROUTES = {
    "payments": [Route("/payments", take_payment, methods=["POST"]), Route("/payments", list_payments)],
    "rates": [Route("/rates/{base}", exchange_rates)],
}

app = application(ROUTES[os.environ.get("LABKIT_SERVICE", "payments")])

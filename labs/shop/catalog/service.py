"""The catalog: products, their stock and the orders that take from it, kept in PostgreSQL."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orders
from database import Database
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.service import application, json_object

database = Database(os.environ.get("DATABASE_URL", "postgresql://database/catalog"))


async def list_products(_: Request) -> Response:
    """Answer with all products."""
    return JSONResponse({"products": await database.run(orders.products)})


async def get_product(request: Request) -> Response:
    """Answer with one product."""
    sku = request.path_params["sku"]
    found = await database.run(partial(orders.product, sku=sku))
    if found is None:
        raise HTTPException(404, f"there is no product {sku}")
    return JSONResponse(found)


async def place_order(request: Request) -> Response:
    """Take an order's goods from stock; repeating the request changes nothing."""
    order, customer, wanted = read_order(await json_object(request))
    try:
        await database.run(partial(orders.place, order=order, customer=customer, wanted=wanted))
    except orders.NotInStock as missing:
        raise HTTPException(409, f"there is not enough of {missing} in stock") from missing
    return JSONResponse({"order": order, "state": "placed"}, 201)


async def get_order(request: Request) -> Response:
    """Answer with one order."""
    found = await database.run(partial(orders.order, identity=request.path_params["order"]))
    if found is None:
        raise HTTPException(404, "there is no such order")
    return JSONResponse(found)


async def cancel_order(request: Request) -> Response:
    """Put an order's goods back into stock; cancelling twice puts them back once."""
    await database.run(partial(orders.cancel, order=request.path_params["order"]))
    return Response(status_code=204)


def read_order(body: dict[str, Any]) -> tuple[str, str, dict[str, int]]:
    """Return id, customer and the quantity of each SKU; lines of the same product are added up."""
    order, customer, lines = body.get("order"), body.get("customer"), body.get("lines")
    if (
        not isinstance(order, str)
        or not order
        or not isinstance(customer, str)
        or not isinstance(lines, list)
    ):
        raise HTTPException(422, "order, customer and lines are expected")
    wanted: dict[str, int] = {}
    for line in lines:
        if not isinstance(line, dict) or not isinstance(line.get("sku"), str):
            raise HTTPException(422, "each line needs a sku and a quantity")
        quantity = line.get("quantity")
        if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
            raise HTTPException(422, "quantity: a whole number over 0 is expected")
        wanted[line["sku"]] = wanted.get(line["sku"], 0) + quantity
    if not wanted:
        raise HTTPException(422, "an order needs at least one line")
    return order, customer, wanted


class TablesAnswer:
    """The readiness check: the tables can be read.

    Once they could, it stays passed: a database that is away is away for every instance, and taking them all
    out of the balancer would help no customer.
    """

    __name__ = "tables answer"

    def __init__(self) -> None:
        self._passed = False

    async def __call__(self) -> None:
        """Raise until the tables could be read once."""
        if not self._passed:
            await database.run(orders.products)
            self._passed = True


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Close the connections at the end."""
    yield
    await database.close()


app = application(
    [
        Route("/products", list_products),
        Route("/products/{sku}", get_product),
        Route("/orders", place_order, methods=["POST"]),
        Route("/orders/{order}", get_order),
        Route("/orders/{order}", cancel_order, methods=["DELETE"]),
    ],
    openapi=Path(__file__).with_name("openapi.json"),
    checks=[TablesAnswer()],
    lifespan=lifespan,
)

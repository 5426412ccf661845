"""The catalog's unit tests: what needs no database. The rest is tested in integration."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orders
import psycopg
import pytest
import service

PLASTERS = {"sku": "A100", "name": "Adhesive plasters", "price_cents": 390, "stock": 5}
ORDER = {"order": "o1", "customer": "Ada", "lines": [{"sku": "A100", "quantity": 2}]}
OWN = {"/healthz", "/readyz", "/version", "/openapi.json"}


class Rows:
    """Stands for the database: each piece of work gets the next result, or the next exception."""

    def __init__(self, results: list[Any]) -> None:
        self.results: Iterator[object] = iter(results)

    async def run(self, work: object) -> object:
        del work
        found = next(self.results)
        if isinstance(found, Exception):
            raise found
        return found


def ask(
    monkeypatch: pytest.MonkeyPatch, results: list[Any], method: str, path: str, body: object = None
) -> httpx.Response:
    monkeypatch.setattr(service, "database", Rows(results))

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://catalog") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(send())


# The good day


def test_products_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, [[PLASTERS]], "GET", "/products").json() == {"products": [PLASTERS]}


def test_one_product_is_found_by_its_sku(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, [PLASTERS], "GET", "/products/A100").json() == PLASTERS


def test_an_order_is_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ask(monkeypatch, [None], "POST", "/orders", ORDER)
    assert (answer.status_code, answer.json()) == (201, {"order": "o1", "state": "placed"})


def test_an_order_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, [True], "DELETE", "/orders/o1").status_code == 204


def test_the_service_is_ready_once_its_tables_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    check = service.TablesAnswer()
    monkeypatch.setattr(service, "database", Rows([psycopg.OperationalError("away"), []]))
    with pytest.raises(psycopg.OperationalError):
        asyncio.run(check())
    asyncio.run(check())
    asyncio.run(check())  # a third question would find no more results: it is not asked


# The bad day


def test_an_unknown_product_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, [None], "GET", "/products/Z999").status_code == 404


def test_an_unknown_order_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, [None], "GET", "/orders/o9").status_code == 404


def test_an_order_over_the_stock_is_refused_with_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ask(monkeypatch, [orders.NotInStock("A100")], "POST", "/orders", ORDER)
    assert (answer.status_code, "A100" in answer.json()["error"]) == (409, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": ""},
        {"customer": None},
        {"lines": []},
        {"lines": ["A100"]},
        {"lines": [{"sku": "A100", "quantity": 0}]},
        {"lines": [{"sku": "A100", "quantity": True}]},
    ],
)
def test_what_is_no_order_is_refused(wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, [], "POST", "/orders", ORDER | wrong).status_code == 422


# What went wrong before


def test_lines_of_the_same_product_are_added_up() -> None:
    """Regression: the second line of a product broke the order."""
    lines = [{"sku": "A100", "quantity": 2}, {"sku": "A100", "quantity": 3}]
    assert service.read_order(ORDER | {"lines": lines})[2] == {"A100": 5}


# The contract


def test_contract_and_routes_are_the_same() -> None:
    contract = json.loads(Path(service.__file__).with_name("openapi.json").read_text())
    promised = {(method.upper(), path) for path, item in contract["paths"].items() for method in item}
    served = {(method, route.path) for route in service.app.routes for method in route.methods - {"HEAD"}}  # type: ignore[attr-defined]
    assert {pair for pair in served if pair[1] not in OWN} == promised

"""The cart's unit tests: the good day, the bad day, and what went wrong before."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import service

from labkit.service import Unavailable

PLASTERS = {"sku": "A100", "name": "Adhesive plasters", "price_cents": 390}
LINE = {"sku": "A100", "name": "Adhesive plasters", "quantity": 2, "price_cents": 702, "unit_cents": 390}
"""As a later version writes it; no version needs to know every field."""

OWN = {"/healthz", "/readyz", "/version", "/openapi.json"}


class Answers:
    """Stands for another service: gives the answers it was told and remembers what it was asked."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def request(self, method: str, path: str, json: object = None) -> SimpleNamespace:
        del json
        self.asked.append(f"{method} {path}")
        found = self.answers.get(f"{method} {path}") or self.answers.get(method)
        if found is None:
            raise Unavailable("it does not answer")
        return SimpleNamespace(status_code=found[0], json=lambda: found[1])


@pytest.fixture(autouse=True)
def ten_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "DISCOUNT_PERCENT", 10)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Answers:
    found = Answers(
        {
            "GET /products/A100": (200, PLASTERS),
            "GET": (404, {"error": "there is no such product"}),
            "POST /orders": (201, {}),
            "DELETE": (204, None),
        }
    )
    monkeypatch.setattr(service, "catalog", found)
    return found


@pytest.fixture
def payments(monkeypatch: pytest.MonkeyPatch) -> Answers:
    found = Answers({"POST /payments": (201, {"payment": "p1", "state": "accepted"})})
    monkeypatch.setattr(service, "payments", found)
    return found


def post(path: str, body: object) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cart") as client:
            return await client.post(path, json=body)

    return asyncio.run(send())


# The good day


def test_an_item_is_added_with_name_quantity_and_price(catalog: Answers) -> None:
    cart = post("/items", {"cart": {"lines": []}, "sku": "A100", "quantity": 2}).json()
    assert [(line["sku"], line["quantity"]) for line in cart["lines"]] == [("A100", 2)]
    assert catalog.asked == ["GET /products/A100"]


@pytest.mark.usefixtures("catalog")
def test_a_paid_order_has_its_number_payment_and_total(payments: Answers) -> None:
    cart = post("/items", {"sku": "A100", "quantity": 2}).json()
    answer = post("/checkout", {"cart": cart, "customer": "Ada"})
    assert answer.status_code == 201
    assert answer.json() == {
        "order": answer.json()["order"],
        "payment": "p1",
        "total_cents": 702,
        "currency": service.CURRENCY,
    }
    assert payments.asked == ["POST /payments"]


def test_totals_ask_no_other_service(catalog: Answers, payments: Answers) -> None:
    assert post("/totals", {"cart": {"lines": [LINE, LINE]}}).json()["currency"] == service.CURRENCY
    assert not catalog.asked
    assert not payments.asked


def test_a_cart_without_lines_costs_nothing() -> None:
    assert post("/totals", {}).json()["total_cents"] == 0


# The bad day


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({"sku": "A100", "quantity": 0}, 422),
        ({"sku": "A100", "quantity": "two"}, 422),
        ({"sku": "../orders"}, 422),
        ({"sku": "Z999"}, 404),
        ({"sku": "A100", "cart": "none"}, 422),
        ({"sku": "A100", "cart": {"lines": [LINE] * 100}}, 422),
        ({"sku": "A100", "cart": {"lines": [LINE | {"price_cents": -1}]}}, 422),
        ({"sku": "A100", "cart": {"lines": ["A100"]}}, 422),
    ],
)
@pytest.mark.usefixtures("catalog")
def test_what_is_no_item_or_no_cart_is_refused_with_a_reason(body: object, status: int) -> None:
    answer = post("/items", body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


@pytest.mark.parametrize(
    "body", [{"customer": "Ada"}, {"cart": {"lines": [LINE]}}, {"cart": {"lines": [LINE]}, "customer": " "}]
)
def test_a_checkout_needs_lines_and_a_customer(body: object, catalog: Answers) -> None:
    assert post("/checkout", body).status_code == 422
    assert not catalog.asked


def test_what_the_catalog_refuses_is_passed_on_and_nothing_is_paid(
    catalog: Answers, payments: Answers
) -> None:
    catalog.answers["POST /orders"] = (409, {"error": "there is not enough of A100 in stock"})
    answer = post("/checkout", {"cart": {"lines": [LINE]}, "customer": "Ada"})
    assert (answer.status_code, answer.json()["error"]) == (409, "there is not enough of A100 in stock")
    assert not payments.asked


def test_a_broken_catalog_is_not_available(catalog: Answers) -> None:
    catalog.answers["GET /products/A100"] = (500, {})
    assert post("/items", {"sku": "A100"}).status_code == 503


@pytest.mark.parametrize(("answers", "status"), [({"POST": (402, {})}, 402), ({}, 503)])
def test_goods_that_are_not_paid_go_back_into_stock(
    answers: dict[str, Any], status: int, catalog: Answers, payments: Answers
) -> None:
    payments.answers = answers
    assert post("/checkout", {"cart": {"lines": [LINE]}, "customer": "Ada"}).status_code == status
    placed, cancelled = catalog.asked
    assert (placed, cancelled.rpartition("/")[0]) == ("POST /orders", "DELETE /orders")


# The contract


def test_contract_and_routes_are_the_same() -> None:
    contract = json.loads(Path(service.__file__).with_name("openapi.json").read_text())
    promised = {(method.upper(), path) for path, item in contract["paths"].items() for method in item}
    served = {(method, route.path) for route in service.app.routes for method in route.methods - {"HEAD"}}  # type: ignore[attr-defined]
    assert {pair for pair in served if pair[1] not in OWN} == promised

"""The storefront's unit tests: the good day, the bad day, and what went wrong before."""

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import service

from labkit.service import Unavailable

PLASTERS = {"sku": "A100", "name": "Adhesive plasters", "price_cents": 390}
OWN = {"/healthz", "/readyz", "/version", "/openapi.json"}


class Answers:
    """Stands for another service: gives the answers it was told and remembers what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, object]] = []

    async def request(self, method: str, path: str, json: object = None) -> SimpleNamespace:
        self.asked.append((f"{method} {path}", json))
        status, body = self.answers[path]
        return SimpleNamespace(status_code=status, json=lambda: body)

    async def get(self, path: str) -> object:
        if path not in self.answers:
            raise Unavailable("it does not answer")
        return self.answers[path]


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    found = SimpleNamespace(
        cart=Answers(
            {
                "/items": (200, {"lines": []}),
                "/totals": (200, {"total_cents": 0}),
                "/checkout": (402, {"error": "no"}),
            }
        ),
        catalog=Answers({"/products": {"products": [PLASTERS]}}),
        rates=Answers({f"/rates/{service.CURRENCY}": {"rates": {"XTS": 1.1}}}),
    )
    for name, answers in vars(found).items():
        monkeypatch.setattr(service, name, answers)
    return found


def ask(method: str, path: str, body: object = None) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://storefront") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(send())


# The good day


def test_the_page_is_html_and_fetches_nothing_from_elsewhere() -> None:
    answer = ask("GET", "/")
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)


def test_products_are_shown_in_the_shops_currency() -> None:
    assert ask("GET", "/products").json() == {"currency": service.CURRENCY, "products": [PLASTERS]}


def test_products_are_shown_in_another_currency() -> None:
    shown = ask("GET", "/products?currency=XTS").json()
    assert (shown["currency"], shown["products"][0]["price_cents"]) == ("XTS", 429)


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/cart/items", "POST /items"), ("/cart/totals", "POST /totals"), ("/orders", "POST /checkout")],
)
def test_the_cart_service_is_asked_and_its_answer_given_back(
    path: str, asked: str, others: SimpleNamespace
) -> None:
    answer = ask("POST", path, {"cart": {"lines": []}})
    assert others.cart.asked == [(asked, {"cart": {"lines": []}})]
    assert (answer.status_code, answer.json()) == others.cart.answers[asked.split()[1]]


# The bad day


def test_prices_stay_in_the_shops_currency_when_no_rates_can_be_had(others: SimpleNamespace) -> None:
    others.rates.answers.clear()
    shown = ask("GET", "/products?currency=XTS").json()
    assert (shown["currency"], shown["products"]) == (service.CURRENCY, [PLASTERS])


def test_a_currency_without_a_rate_is_refused_with_those_there_are() -> None:
    answer = ask("GET", "/products?currency=ABC")
    assert (answer.status_code, "XTS" in answer.json()["error"]) == (422, True)


def test_without_the_catalog_the_answer_says_so(others: SimpleNamespace) -> None:
    others.catalog.answers.clear()
    answer = ask("GET", "/products")
    assert (answer.status_code, answer.json()) == (503, {"error": "it does not answer"})


# What went wrong before


def test_a_body_that_is_no_object_is_refused_here() -> None:
    """Regression: it was handed on, and the cart's complaint named a field that nobody had sent."""
    assert ask("POST", "/cart/items", ["A100"]).status_code == 400


# The contract


def test_contract_and_routes_are_the_same() -> None:
    contract = json.loads(Path(service.__file__).with_name("openapi.json").read_text())
    promised = {(method.upper(), path) for path, item in contract["paths"].items() for method in item}
    served = {(method, route.path) for route in service.app.routes for method in route.methods - {"HEAD"}}  # type: ignore[attr-defined]
    assert {pair for pair in served if pair[1] not in OWN} == promised

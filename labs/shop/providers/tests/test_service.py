"""The providers' unit tests."""

import asyncio

import httpx
import pytest
import service

from labkit.service import application

BILL = {"order": "o1", "amount_cents": 702, "currency": "EUR", "customer": "Ada"}


@pytest.fixture(autouse=True)
def no_payments() -> None:
    service.payments.clear()


def ask(provider: str, method: str, path: str, body: object = None) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=application(service.ROUTES[provider]))
        async with httpx.AsyncClient(transport=transport, base_url="http://provider") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(send())


def test_a_bill_is_paid_once_however_often_it_is_sent() -> None:
    first, second = (ask("payments", "POST", "/payments", BILL) for _ in range(2))
    assert (first.status_code, first.json()["state"]) == (201, "accepted")
    assert first.json() == second.json()
    assert len(ask("payments", "GET", "/payments").json()["payments"]) == 1


def test_too_much_at_once_is_refused() -> None:
    assert ask("payments", "POST", "/payments", BILL | {"amount_cents": 100_001}).status_code == 402


def test_what_is_no_bill_is_refused() -> None:
    assert ask("payments", "POST", "/payments", {"order": "o1"}).status_code == 422


def test_rates_are_told_for_a_base() -> None:
    rates = ask("rates", "GET", "/rates/USD").json()["rates"]
    assert (rates["USD"], rates["EUR"]) == (1.0, 0.9228)


def test_an_unknown_base_is_not_found() -> None:
    assert ask("rates", "GET", "/rates/XXX").status_code == 404

"""Which prices a request is under: the toggle says it, at each request."""

import pytest
import rules

PRODUCT = {"sku": "A100", "name": "Adhesive plasters", "price_cents": 390}


@pytest.mark.parametrize(("on", "price"), [(False, 702), (True, 780)])
def test_the_toggle_decides_about_prices(monkeypatch: pytest.MonkeyPatch, *, on: bool, price: int) -> None:
    monkeypatch.setattr(rules, "toggle", lambda name: on and name == "basket_discount")
    cart = rules.received({})
    cart["lines"].append(rules.line(cart, PRODUCT, 2, 10))
    assert cart["lines"][0]["price_cents"] == price
    assert rules.total_cents(cart, 10) == 702

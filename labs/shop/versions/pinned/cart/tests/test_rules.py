"""Which prices a cart is under: the toggle says it once, and the cart carries it."""

import pytest
import rules

PRODUCT = {"sku": "A100", "name": "Adhesive plasters", "price_cents": 390}


@pytest.mark.parametrize("first", [False, True])
def test_a_cart_keeps_the_decision_it_began_with(monkeypatch: pytest.MonkeyPatch, *, first: bool) -> None:
    monkeypatch.setattr(rules, "toggle", lambda _: first)
    cart = rules.received({})
    cart["lines"].append(rules.line(cart, PRODUCT, 2, 10))
    monkeypatch.setattr(rules, "toggle", lambda _: not first)
    assert rules.total_cents(rules.received(cart), 10) == 702


def test_a_cart_of_older_code_has_discounted_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "toggle", lambda _: True)
    assert rules.total_cents(rules.received({"lines": [{"price_cents": 702}]}), 10) == 702

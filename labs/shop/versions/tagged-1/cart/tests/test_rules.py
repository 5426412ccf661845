"""A cart is a message with a version: 1 is known here, what is to come is refused."""

import pytest
import rules
from starlette.exceptions import HTTPException

PRODUCT = {"sku": "A100", "name": "Adhesive plasters", "price_cents": 390}


def test_a_cart_carries_its_version_and_the_price_of_one() -> None:
    cart = rules.received({})
    cart["lines"].append(rules.line(cart, PRODUCT, 2, 10))
    assert (cart["version"], cart["lines"][0]["unit_cents"], rules.total_cents(cart, 10)) == (1, 390, 702)


def test_a_cart_without_a_version_is_of_the_first() -> None:
    assert rules.received({"lines": []})["version"] == 1


def test_a_version_to_come_is_refused() -> None:
    with pytest.raises(HTTPException) as refusal:
        rules.received({"version": 2, "lines": []})
    assert refusal.value.status_code == 415

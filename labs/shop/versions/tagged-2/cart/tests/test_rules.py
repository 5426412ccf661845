"""A cart is a message with a version: 2 is written, 1 is translated, what is to come is refused."""

import pytest
import rules
from starlette.exceptions import HTTPException

PRODUCT = {"sku": "A100", "name": "Adhesive plasters", "price_cents": 390}
OLD_LINE = {"sku": "A100", "quantity": 2, "price_cents": 702, "unit_cents": 390}


def test_a_new_cart_is_of_this_version() -> None:
    cart = rules.received({})
    cart["lines"].append(rules.line(cart, PRODUCT, 2, 10))
    assert (cart["version"], rules.total_cents(cart, 10)) == (2, 702)


def test_a_cart_of_version_1_is_translated() -> None:
    cart = rules.received({"version": 1, "lines": [OLD_LINE], "coupon": "kept"})
    assert (cart["version"], cart["lines"][0]["price_cents"], cart["coupon"]) == (2, 780, "kept")
    assert rules.total_cents(cart, 10) == 702


@pytest.mark.parametrize(
    "cart",
    [{"version": 3, "lines": [OLD_LINE]}, {"lines": [{"sku": "A100", "quantity": 1, "price_cents": 351}]}],
)
def test_what_is_to_come_or_cannot_be_translated_is_refused(cart: rules.Cart) -> None:
    with pytest.raises(HTTPException) as refusal:
        rules.received(cart)
    assert refusal.value.status_code == 415

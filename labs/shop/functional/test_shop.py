"""The whole system, by its outer interface: the good day, the bad day, and what went wrong before.

Orders leave data behind: stock goes down. Each test counts on the first state of the test database, which the
pipeline puts back before each one. The second run of this file without that is red.
"""

import os

import httpx

STOREFRONT = os.environ.get("STOREFRONT_URL", "http://storefront:8001")
CART = os.environ.get("CART_URL", "http://cart:8002")
CATALOG = os.environ.get("CATALOG_URL", "http://catalog:8003")

VITAMIN_STOCK = 5  # in the seeded products


def send(url: str, body: object = None, method: str = "POST") -> httpx.Response:
    """Send one request without keeping a connection."""
    return httpx.request(method, url, json=body, timeout=10)


def get(url: str) -> httpx.Response:
    """Ask for something."""
    return httpx.get(url, timeout=10)


def cart_of(*items: tuple[str, int]) -> object:
    """Put items into a cart, one after another."""
    cart: object = {"lines": []}
    for sku, quantity in items:
        answer = send(f"{STOREFRONT}/cart/items", {"cart": cart, "sku": sku, "quantity": quantity})
        assert answer.status_code == 200, answer.text
        cart = answer.json()
    return cart


def stock(sku: str) -> int:
    """Ask the catalog what is left of a product."""
    return int(get(f"{CATALOG}/products/{sku}").json()["stock"])


# The good day


def test_a_customer_finds_the_page_and_the_products() -> None:
    assert "pharmacy" in get(STOREFRONT).text
    skus = [product["sku"] for product in get(f"{STOREFRONT}/products").json()["products"]]
    assert {"A100", "V100"} <= set(skus)


def test_a_purchase_is_paid_with_its_discount_and_leaves_the_stock() -> None:
    cart = cart_of(("V100", 2), ("A100", 1))
    full = 2 * 985 + 390
    total = send(f"{STOREFRONT}/cart/totals", {"cart": cart}).json()["total_cents"]
    assert 0 < total < full
    order = send(f"{STOREFRONT}/orders", {"cart": cart, "customer": "Ada"})
    assert (order.status_code, order.json()["total_cents"]) == (201, total)
    assert stock("V100") == VITAMIN_STOCK - 2


def test_prices_are_shown_in_another_currency() -> None:
    shown = get(f"{STOREFRONT}/products?currency=USD").json()
    assert shown["currency"] == "USD"


# The bad day


def test_more_than_is_in_stock_is_refused_and_nothing_is_taken() -> None:
    cart = cart_of(("A100", 1), ("V100", VITAMIN_STOCK + 1))
    before = stock("A100")
    refused = send(f"{STOREFRONT}/orders", {"cart": cart, "customer": "Ada"})
    assert (refused.status_code, "V100" in refused.json()["error"]) == (409, True)
    assert (stock("A100"), stock("V100")) == (before, VITAMIN_STOCK)


def test_what_cannot_be_bought_is_refused_with_a_reason() -> None:
    for body, status in (({"sku": "Z999"}, 404), ({"sku": "A100", "quantity": 0}, 422), ([], 400)):
        answer = send(f"{STOREFRONT}/cart/items", body)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])


# What went wrong before


def test_an_order_cancelled_twice_puts_its_goods_back_once() -> None:
    """Regression: each repetition of a cancellation added to the stock."""
    cart = cart_of(("V100", 1))
    order = send(f"{STOREFRONT}/orders", {"cart": cart, "customer": "Ada"}).json()["order"]
    for _ in range(2):
        assert send(f"{CATALOG}/orders/{order}", method="DELETE").status_code == 204
    assert stock("V100") == VITAMIN_STOCK


def test_an_order_sent_twice_takes_its_goods_once() -> None:
    """Regression: a repeated request, as after a lost answer, took the goods again."""
    wanted = {"order": "twice", "customer": "Ada", "lines": [{"sku": "V100", "quantity": 1}]}
    for _ in range(2):
        assert send(f"{CATALOG}/orders", wanted).status_code == 201
    assert stock("V100") == VITAMIN_STOCK - 1


def test_every_service_tells_its_version_in_every_answer() -> None:
    """Regression: an error answer lacked the version, so errors could not be told apart by version."""
    for url in (f"{STOREFRONT}/nothing", f"{CART}/nothing", f"{CATALOG}/nothing"):
        answer = get(url)
        assert (answer.status_code, bool(answer.headers.get("x-labkit-version"))) == (404, True)

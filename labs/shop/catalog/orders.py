"""What the catalog knows: products with their stock, and the orders that took from it."""

from typing import Any

from database import Connection


class NotInStock(Exception):
    """There is not enough of a product; the text is its SKU."""


async def products(connection: Connection) -> list[dict[str, Any]]:
    """Return all products by name."""
    return await (
        await connection.execute(
            "SELECT sku, name, description, price_cents, stock, prescription_only FROM products ORDER BY name"
        )
    ).fetchall()


async def product(connection: Connection, sku: str) -> dict[str, Any] | None:
    """Return one product, None when there is none of this SKU."""
    found = await connection.execute(
        "SELECT sku, name, description, price_cents, stock, prescription_only FROM products WHERE sku = %s",
        [sku],
    )
    return await found.fetchone()


async def place(connection: Connection, order: str, customer: str, wanted: dict[str, int]) -> None:
    """Take the wanted quantities from stock, all or nothing; an order that is there already takes nothing."""
    made = await connection.execute(
        "INSERT INTO orders (id, customer) VALUES (%s, %s) ON CONFLICT DO NOTHING", [order, customer]
    )
    if made.rowcount == 0:
        return
    for sku, quantity in sorted(
        wanted.items()
    ):  # always in the same order, so that two orders never deadlock
        taken = await connection.execute(
            "UPDATE products SET stock = stock - %s WHERE sku = %s AND stock >= %s", [quantity, sku, quantity]
        )
        if taken.rowcount == 0:
            raise NotInStock(sku)
        await connection.execute(
            "INSERT INTO order_lines (order_id, sku, quantity) VALUES (%s, %s, %s)", [order, sku, quantity]
        )


async def cancel(connection: Connection, order: str) -> bool:
    """Put an order's goods back into stock; False when there is no such order or it is cancelled already."""
    ended = await connection.execute(
        "UPDATE orders SET state = 'cancelled' WHERE id = %s AND state = 'placed'", [order]
    )
    await connection.execute(
        "UPDATE products SET stock = stock + quantity FROM order_lines"
        " WHERE order_lines.sku = products.sku AND order_id = %s AND %s",
        [order, ended.rowcount == 1],
    )
    return ended.rowcount == 1


async def order(connection: Connection, identity: str) -> dict[str, Any] | None:
    """Return an order with its lines, None when there is none of this id."""
    found = await connection.execute("SELECT id, customer, state FROM orders WHERE id = %s", [identity])
    row = await found.fetchone()
    lines = await connection.execute(
        "SELECT sku, quantity FROM order_lines WHERE order_id = %s ORDER BY sku", [identity]
    )
    return row and row | {"lines": await lines.fetchall()}

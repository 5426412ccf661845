-- The tables of the catalog. Money is whole cents.
CREATE TABLE products (
    sku text PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents >= 0),
    stock integer NOT NULL CHECK (stock >= 0),
    prescription_only boolean NOT NULL DEFAULT false
);

CREATE TABLE orders (
    id text PRIMARY KEY,
    customer text NOT NULL,
    state text NOT NULL DEFAULT 'placed' CHECK (state IN ('placed', 'cancelled')),
    placed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE order_lines (
    order_id text NOT NULL REFERENCES orders (id),
    sku text NOT NULL REFERENCES products (sku),
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, sku)
);

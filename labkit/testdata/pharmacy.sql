-- What a pharmacy knows of its customers: as awkward as real databases are.
CREATE SCHEMA clinic;

CREATE TABLE customers (
    id bigint NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    phone varchar(20),
    ssn text NOT NULL,
    address text NOT NULL,
    city text NOT NULL,
    zip char(5) NOT NULL,
    born date NOT NULL,
    since date NOT NULL,
    balance numeric(12, 2) NOT NULL,
    referred_by bigint,
    preferences jsonb
);

CREATE TABLE orders (
    id bigint NOT NULL,
    customer bigint NOT NULL,
    contact_email text NOT NULL,
    placed timestamptz NOT NULL,
    total numeric(10, 2) NOT NULL,
    note text
);

CREATE TABLE order_lines (
    order_id bigint NOT NULL,
    line integer NOT NULL,
    product text NOT NULL,
    quantity integer NOT NULL,
    price numeric(8, 2) NOT NULL
);

CREATE TABLE reviews (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    line integer NOT NULL,
    stars integer NOT NULL,
    comment text
);

CREATE TABLE clinic.prescriptions (
    id bigint NOT NULL,
    customer bigint NOT NULL,
    diagnosis text NOT NULL,
    drug text NOT NULL,
    doctor text NOT NULL,
    issued date NOT NULL,
    note text
);

CREATE VIEW best_customers AS
    SELECT name, email, sum(total) AS spent FROM customers JOIN orders ON orders.customer = customers.id
     GROUP BY customers.name, customers.email;

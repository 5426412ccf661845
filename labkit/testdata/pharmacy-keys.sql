-- Keys and indexes, made after the rows.
ALTER TABLE customers ADD PRIMARY KEY (id), ADD UNIQUE (email), ADD UNIQUE (ssn);
ALTER TABLE orders ADD PRIMARY KEY (id);
ALTER TABLE order_lines ADD PRIMARY KEY (order_id, line);
ALTER TABLE reviews ADD PRIMARY KEY (id);
ALTER TABLE clinic.prescriptions ADD PRIMARY KEY (id);
ALTER TABLE customers ADD FOREIGN KEY (referred_by) REFERENCES customers;
ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers;
ALTER TABLE order_lines ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE reviews ADD FOREIGN KEY (order_id, line) REFERENCES order_lines;
ALTER TABLE clinic.prescriptions ADD FOREIGN KEY (customer) REFERENCES customers;
CREATE INDEX ON orders (customer);
CREATE INDEX ON clinic.prescriptions (customer);

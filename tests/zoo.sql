-- One object of each kind that a PostgreSQL database can have, with a few rows about invented people.
CREATE SCHEMA ext;
CREATE SCHEMA "Sales Office";
CREATE SCHEMA "dotted.schema";
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION ltree SCHEMA ext;
CREATE EXTENSION btree_gist SCHEMA ext;
CREATE EXTENSION isn SCHEMA ext;
CREATE EXTENSION cube SCHEMA ext;

-- types
CREATE TYPE mood AS ENUM ('fine', 'so "so"');
CREATE TYPE person AS (first_name text, last_name text);
CREATE TYPE household AS (head person, members person[]);
CREATE TYPE spell AS RANGE (subtype = timestamp);
CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN work_mail AS mail NOT NULL;
CREATE DOMAIN short_name AS varchar(30);
CREATE DOMAIN mails AS mail[];

CREATE TABLE everything (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email ext.citext NOT NULL UNIQUE, backup_email mail, work_email work_mail, aliases mails, nick_name short_name,
    phones text[], grid integer[][], labels varchar(40)[] NOT NULL DEFAULT '{}',
    full_name person, home household, temper mood, tempers mood[],
    ip_address inet, network cidr, card macaddr, attributes ext.hstore, path ext.ltree, words tsvector, question tsquery,
    stay daterange, stays int4multirange, spell spell, amount money, price numeric(12, 3), ratio real, exact double precision,
    flag boolean, bits bit(4), more_bits bit varying, born date, died timestamptz, at_time time, zoned timetz, lasted interval,
    token uuid, doc jsonb NOT NULL DEFAULT '{}', raw_doc json, page xml, photo bytea, place point, area polygon,
    book ext.isbn13, position ext.cube, object oid, relation regclass, lsn pg_lsn, letter "char", single character, five character(5),
    initials text GENERATED ALWAYS AS (upper(left(nick_name, 2))) STORED
);
INSERT INTO everything (email, backup_email, work_email, aliases, nick_name, phones, grid, full_name, home, temper, tempers,
    ip_address, network, card, attributes, path, words, question, stay, stays, spell, amount, price, ratio, exact, flag, bits,
    more_bits, born, died, at_time, zoned, lasted, token, doc, raw_doc, page, photo, place, area, book, position, object,
    relation, lsn, letter, single, five)
SELECT 'Zebulon' || i || '@real.test', 'home' || i || '@real.test', 'work' || i || '@real.test',
       ARRAY['a"lias' || i || '@real.test', NULL, 'b\' || i || '@real.test'], 'zeb' || i,
       ('[2:3]={+1 202 555 ' || 1000 + i || ',"NULL"}')::text[], ARRAY[[1, i], [3, 4]],
       ROW('Zebulon', 'Quackenbush')::person,
       ROW(ROW('Zebulon', 'Quackenbush'), ARRAY[ROW('Ysolde', 'Mondragon')::person])::household,
       'so "so"', ARRAY['fine'::mood], ('10.9.8.' || i)::inet, ('10.' || i || '.0.0/16')::cidr, '08:00:2b:01:02:03',
       ext.hstore('ssn', '900-11-1' || 100 + i), ('top.people.zeb' || i)::ext.ltree, to_tsvector('simple', 'zebulon' || i), 'zebulon & quack',
       daterange('2024-01-01', '2024-01-02'), '{[1,3),[5,7)}', tsrange('2024-01-01', '2024-01-02')::text::spell, 1234.5, 0.125, 0.1,
       1e-300, true, B'1010', B'1', date '1960-01-01' + i * 300, NULL, '12:34:56.789', '12:34:56+02', '1 mon 2 days 03:00',
       gen_random_uuid(),
       jsonb_build_object('contact', jsonb_build_object('email', 'zebulon' || i || '@real.test', 'phone', '+1 202 555 ' || 1000 + i),
                          'tags', jsonb_build_array('Zebulon', 'b'), 'newsletter', true, 'visits', i),
       '{"dup": 1, "dup": 2,   "big": 12345678901234567890.10}', '<p>Zebulon</p>', '\x00ff'::bytea, '(1,2)',
       '((0,0),(1,1),(1,0))', '978-0-393-04002-9', '(1,2)', 1, 'pg_class', '0/16B3748', 'x', 'y', 'ab'
  FROM generate_series(1, 12) AS i;
INSERT INTO everything (email, work_email) VALUES ('nobody@real.test', 'nobody@real.test');

-- texts of any bytes
CREATE TABLE odd_texts (id integer PRIMARY KEY, content text, other text);
INSERT INTO odd_texts VALUES
    (1, E'\uFEFFbyte order mark', E'\uFEFF'), (2, E'a\x01\x1f\x7f', 'x'), (3, E'next\u0085line\u2028separator\u2029', ''), (4, '\.', '\N'),
    (5, '', NULL), (6, E'\r\n\r', '"'), (7, E'\U0001F600 \u202E \u200B', ','), (8, NULL, E'\t');

-- names
CREATE TABLE "Order Items" ("Id" integer PRIMARY KEY, "Customer Name" text, "select" text, "prénom" text, "e-mail" text,
    "a.b" text, "say ""hi""" text, "net$" numeric, "100%" text, "{brace}" text, "new
line" text);
INSERT INTO "Order Items" SELECT i, 'Zeb Quill' || i, 's', 'p' || i, 'z' || i || '@real.test', 'x', 'y', i, '%', '{', 'n'
  FROM generate_series(1, 5) AS i;
CREATE TABLE "order" ("user" text, "group" text);
CREATE TABLE subset (id integer PRIMARY KEY, email text);
CREATE TABLE locale (id integer PRIMARY KEY, de_de text);
CREATE TABLE providers (id integer PRIMARY KEY REFERENCES subset);
CREATE TABLE forget_key (id integer PRIMARY KEY);
INSERT INTO subset VALUES (1, 'zebulon@real.test');
INSERT INTO providers VALUES (1);
CREATE TABLE "a.b" (id integer PRIMARY KEY, email text);
CREATE SCHEMA a;
CREATE TABLE a.b (id integer PRIMARY KEY REFERENCES "a.b", email text);
CREATE TABLE "dotted.schema".t (id integer PRIMARY KEY);
CREATE TABLE "Sales Office"."say ""hi""" (id integer PRIMARY KEY, email text);
INSERT INTO "a.b" VALUES (1, 'zebulon@real.test');
INSERT INTO a.b VALUES (1, 'zebulon@real.test');
CREATE MATERIALIZED VIEW "Sales Office"."mat.view" AS SELECT count(*) AS n FROM "a.b";

-- keys
CREATE TABLE users (id bigint PRIMARY KEY, login varchar(100) NOT NULL UNIQUE, email text NOT NULL, deleted_at timestamptz,
    code char(10) UNIQUE);
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE UNIQUE INDEX users_live ON users (email) WHERE deleted_at IS NULL;
CREATE TABLE visits (id bigint PRIMARY KEY, user_id integer NOT NULL REFERENCES users (id),
    login varchar(60) REFERENCES users (login) DEFERRABLE INITIALLY DEFERRED, code char(20) REFERENCES users (code),
    next_visit bigint REFERENCES visits);
CREATE TABLE rooms (room integer, taken tsrange, email text, EXCLUDE USING gist (room WITH =, taken WITH &&));
INSERT INTO users SELECT i, 'someone' || i, 'zebulon' || i || '@real.test', NULL, 'c' || i FROM generate_series(1, 20) AS i;
INSERT INTO visits SELECT i, 1 + i % 20, 'someone' || 1 + i % 20, 'c' || 1 + i % 20, nullif(i - 1, 0) FROM generate_series(1, 40) AS i;
INSERT INTO rooms VALUES (1, '[2024-01-01,2024-01-02)', 'zebulon@real.test'), (1, '[2024-02-01,2024-02-02)', 'zeb@real.test');
CREATE TABLE teams (id integer PRIMARY KEY, head integer);
CREATE TABLE staff (id integer PRIMARY KEY, team integer REFERENCES teams);
ALTER TABLE teams ADD FOREIGN KEY (head) REFERENCES staff DEFERRABLE INITIALLY DEFERRED;
INSERT INTO teams VALUES (1, NULL);
INSERT INTO staff VALUES (1, 1);
CREATE TABLE bare (note text);
INSERT INTO bare VALUES ('Zebulon Quackenbush called'), (NULL);
CREATE TABLE empty_one (id integer);
CREATE TABLE no_columns ();
CREATE TABLE computed (id integer GENERATED ALWAYS AS (1) STORED);

-- partitions
CREATE TABLE events (id integer, day date, email text, customer bigint, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (id);
CREATE TABLE events_2025_1 PARTITION OF events_2025 FOR VALUES IN (1);
CREATE TABLE events_rest PARTITION OF events DEFAULT;
ALTER TABLE events_2024 ADD FOREIGN KEY (customer) REFERENCES users;
CREATE UNIQUE INDEX events_2024_email ON events_2024 (email);
CREATE TABLE follow_ups (id integer PRIMARY KEY, event_id integer, event_day date,
    FOREIGN KEY (event_id, event_day) REFERENCES events_2024 (id, day));
CREATE TABLE hashed (id integer PRIMARY KEY, email text) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO events VALUES (1, '2024-03-01', 'zebulon@real.test', 3), (1, '2025-03-01', 'y@real.test', 999), (2, '2030-01-01', 'q@real.test', NULL);
INSERT INTO follow_ups VALUES (1, 1, '2024-03-01');
INSERT INTO hashed SELECT i, 'h' || i || '@real.test' FROM generate_series(1, 6) AS i;

-- views, functions, triggers, rules, policies and the rest
CREATE TABLE audit_log (entry text);
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.audit_log VALUES (NEW.email); RETURN NEW; END$$;
CREATE TRIGGER logged AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION log_it();
CREATE MATERIALIZED VIEW a_last AS SELECT 1 AS n WITH NO DATA;
CREATE MATERIALIZED VIEW z_first AS SELECT count(*) AS n FROM users;
CREATE VIEW m_between AS SELECT n + 1 AS n FROM z_first;
CREATE MATERIALIZED VIEW b_over AS SELECT n + 1 AS n FROM m_between;
CREATE UNIQUE INDEX ON b_over (n);
CREATE VIEW logins AS SELECT login FROM users WITH CHECK OPTION;
CREATE RULE no_delete AS ON DELETE TO bare DO INSTEAD NOTHING;
CREATE FUNCTION is_part_number(t text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $f$
  SELECT t ~ '(?x)^
\d+
$'
$f$;
COMMENT ON TABLE bare IS 'first line
\restrict abc
\unrestrict abc
\d means digit';
CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer);
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE CAST (text AS mood) WITH INOUT;
CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE collated (login text COLLATE folded PRIMARY KEY, email text);
INSERT INTO collated VALUES ('Zeb', 'zebulon@real.test');
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
CREATE STATISTICS users_both ON login, email FROM users;
CREATE SEQUENCE numbers START 5 INCREMENT 5;
SELECT nextval('numbers');
CREATE UNLOGGED TABLE cache (k text PRIMARY KEY, v text);
INSERT INTO cache VALUES ('k', 'v');
CREATE TABLE typed OF person;
INSERT INTO typed VALUES ('Zebulon', 'Quackenbush');
ALTER TABLE rooms ENABLE ROW LEVEL SECURITY;
ALTER TABLE rooms FORCE ROW LEVEL SECURITY;
CREATE POLICY nobody ON rooms USING (false);
CREATE PUBLICATION everyone FOR ALL TABLES;
CREATE FUNCTION event_note() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION event_note();
SELECT lo_from_bytea(0, 'Zebulon Quackenbush');

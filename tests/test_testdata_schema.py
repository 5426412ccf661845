from collections.abc import Callable

import psycopg
import pytest

from labkit.testdata._catalog import read_schema
from labkit.testdata._schema import Column, ForeignKey, View

pytest_plugins = ["postgres"]
pytestmark = pytest.mark.engine

TABLES = """
CREATE SCHEMA clinic;
CREATE TABLE people (id int PRIMARY KEY, mail varchar(80) UNIQUE, boss int REFERENCES people,
                     full_name text NOT NULL, small text GENERATED ALWAYS AS (lower(full_name)) STORED);
CREATE TABLE orders (person int REFERENCES people, number int, notes jsonb, PRIMARY KEY (person, number));
CREATE TABLE clinic.lines (person int, number int, line int, FOREIGN KEY (person, number) REFERENCES orders);
CREATE UNIQUE INDEX ON people (lower(mail));
CREATE VIEW names AS SELECT full_name FROM people;
CREATE MATERIALIZED VIEW kept AS SELECT full_name FROM people;
"""


def test_a_schema_is_read_from_the_catalogue(fresh: Callable[[], str]) -> None:
    """Columns with types, keys of several columns, references to itself, schemas, both kinds of view."""
    with psycopg.connect(fresh()) as connection:
        connection.execute(TABLES)
        schema = read_schema(connection)
    assert list(schema.tables) == ["clinic.lines", "orders", "people"]
    people = schema.tables["people"]
    assert people.columns["mail"] == Column("mail", "character varying(80)", nullable=True, generated=False)
    assert people.columns["small"].generated
    assert people.unique == (("id",), ("mail",))
    assert schema.tables["orders"].primary_key == ("person", "number")
    assert schema.tables["clinic.lines"].primary_key == ()
    key = ForeignKey(
        "lines_person_number_fkey", "clinic.lines", ("person", "number"), "orders", ("person", "number")
    )
    assert schema.parents("clinic.lines") == [key]
    assert schema.views == [View("kept", materialized=True), View("names", materialized=False)]
    assert (schema.order, schema.cycles) == (["people", "orders", "clinic.lines"], [])


def test_cycles_are_named_and_the_order_goes_round_them(fresh: Callable[[], str]) -> None:
    """A cycle is told by its tables; every table stands in the order once."""
    with psycopg.connect(fresh()) as connection:
        for name in "abc":
            connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, other int)")
        for name, other in ("ab", "bc", "ca"):
            connection.execute(f"ALTER TABLE {name} ADD FOREIGN KEY (other) REFERENCES {other}")
        schema = read_schema(connection)
    assert sorted(schema.order) == ["a", "b", "c"]
    assert sorted(sorted(cycle) for cycle in schema.cycles) == [["a", "b", "c"]]

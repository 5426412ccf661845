"""The picture of a survey: what it marks, where it draws, and what its text alternative says."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

import psycopg
import pytest

from labkit import widgets
from labkit.testdata import Survey, generate, survey
from labkit.widgets._survey import draw, mark, tables

pytest_plugins = ["postgres"]
pytestmark = pytest.mark.engine


@pytest.fixture
def pharmacy(fresh: Callable[[], str]) -> Survey:
    """Survey a generated database."""
    url = fresh()
    generate(url, 200)
    return survey(url)


def picture(surveyed: Survey) -> ET.Element:
    """Return the picture of a survey; one that is not XML fails here."""
    return ET.fromstring(draw(surveyed))  # noqa: S314 - our own picture


def words(surveyed: Survey) -> list[str]:
    """Return the words of the picture of a survey."""
    return [element.text or "" for element in picture(surveyed).iter("text")]


def test_personal_columns_have_a_sign_and_stand_in_the_picture_and_in_the_name(pharmacy: Survey) -> None:
    """A fake is personal, a text is to be decided on, a reference inherits, the rest is counted."""
    marks = {f"{column.table}.{column.column}": mark(column) for column in pharmacy.columns}
    assert marks["customers.email"] == "personal"
    assert marks["clinic.prescriptions.doctor"] == "personal"
    unclear = ("orders.note", "customers.preferences")
    assert {marks[name] for name in unclear} == {"decide"}
    assert marks["orders.customer"] == "reference"
    assert marks["orders.total"] == ""
    shown = words(pharmacy)
    assert {"customers", "clinic.prescriptions", "email", "fake email", "→", "customers.id"} <= set(shown)
    assert "format_preserving" in shown  # with its pattern it would not fit; the table has both
    assert shown.count("●") == list(marks.values()).count("personal")
    assert "total" not in shown
    assert "customers.email" in (picture(pharmacy).get("aria-label") or "")


def test_tables_are_the_picture_in_full(pharmacy: Survey) -> None:
    """Every column with its reason, every reference and every view; the code writes the first policy."""
    columns, references, views = tables(pharmacy)
    names = [f"{column.table}.{column.column}" for column in pharmacy.columns]
    assert [row[0] for row in columns.rows] == names
    assert ("reviews (order_id, line)", "order_lines (order_id, line)") in references.rows
    assert views.rows == [("best_customers",)]
    view = widgets.survey(pharmacy)
    assert "customers.email" in repr(view)
    assert "survey.policy()" in view.code


def test_no_box_lies_on_another_and_each_table_stands_right_of_what_it_refers_to(pharmacy: Survey) -> None:
    """An arrow goes from right to left, to the head of a table."""
    boxes = [
        tuple(float(element.get(name) or 0) for name in ("x", "y", "width", "height"))
        for element in picture(pharmacy).iter("rect")
    ]
    overlaps = [
        (one, other)
        for at, one in enumerate(boxes)
        for other in boxes[:at]
        if all(
            one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
            for axis in (0, 1)
        )
    ]
    assert not overlaps
    arrows = [(element.get("d") or "").split() for element in picture(pharmacy).iter("path")]
    assert len(arrows) == len([key for key in pharmacy.foreign_keys if key.table != key.to])
    for start, end, *_ in arrows:
        assert float(start[1:].split(",")[0]) > float(end[1:].split(",")[0])


def test_a_cycle_of_references_is_named_and_drawn(fresh: Callable[[], str]) -> None:
    """Two tables that refer to each other have an arrow each way."""
    url = fresh()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE teams (id int PRIMARY KEY, head int)")
        connection.execute("CREATE TABLE staff (id int PRIMARY KEY, team int REFERENCES teams)")
        connection.execute("ALTER TABLE teams ADD FOREIGN KEY (head) REFERENCES staff")
    surveyed = survey(url)
    assert "cycle" in words(surveyed)[0]
    assert len(list(picture(surveyed).iter("path"))) == 2


def test_a_database_without_tables_makes_a_sentence(fresh: Callable[[], str]) -> None:
    """Nothing there is said, not shown as an empty picture."""
    assert words(survey(fresh()))[0] == "0 tables, 0 columns: 0 personal, 0 to decide on"

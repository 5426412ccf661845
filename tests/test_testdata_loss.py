import pytest

from labkit.errors import LabError
from labkit.testdata import Policy
from labkit.testdata._demands import USUAL, Demands
from labkit.testdata._loss import POSTCODE, Shape, loss

EVEN = Shape(0.0, {}, [str(number) for number in range(101)])
"""The whole numbers from 0 to 100."""


def moved(by: float, *, step: float = 1) -> Shape:
    """Return EVEN with its values moved, and cut down to multiples of a step."""
    values = [float(bound) // step * step + by for bound in EVEN.bounds]
    shares = {str(value): values.count(value) / len(values) for value in values if values.count(value) > 1}
    return Shape(0.0, shares, [str(value) for value in values if values.count(value) == 1])


@pytest.mark.parametrize(
    ("after", "least", "most"),
    [
        (EVEN, 0.0, 0.0),
        (moved(1), 0.03, 0.05),
        (moved(0, step=10), 0.1, 0.25),
        (moved(0, step=50), 0.7, 1.1),
        (Shape(0.0, {"0": 1.0}, []), 1.9, 2.1),
        (Shape(0.0, {"50": 1.0}, []), 0.99, 1.01),
        (Shape(1.0, {}, []), 1.0, 1.0),
        (Shape(0.5, {}, EVEN.bounds), 0.5, 0.5),
    ],
)
def test_numbers_lose_by_how_far_they_move(after: Shape, least: float, most: float) -> None:
    """The median for every value is 1 by definition, zero for every value is more, nothing changed is 0."""
    lost = loss(EVEN, after, "integer")
    assert lost is not None
    assert least <= lost <= most


def test_the_unit_does_not_matter() -> None:
    """A column in cents loses what the same one in millions does."""
    large = Shape(0.0, {}, [str(int(bound) * 10**6) for bound in EVEN.bounds])
    zeros = Shape(0.0, {"0": 1.0}, [])
    assert loss(large, zeros, "number") == pytest.approx(loss(EVEN, zeros, "number"))


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        ({"new": 0.5, "sent": 0.3, "paid": 0.2}, 0.0),
        ({"new": 0.4, "sent": 0.4, "paid": 0.2}, 0.2),
        ({"new": 1.0}, 1.0),
        ({"x": 1.0}, 2.0),
    ],
)
def test_words_lose_by_how_many_are_others(after: dict[str, float], lost: float) -> None:
    """The most common word for every row is 1; a word that nobody had is worse."""
    before = Shape(0.0, {"new": 0.5, "sent": 0.3, "paid": 0.2}, [])
    assert loss(before, Shape(0.0, after, []), "text") == pytest.approx(lost)


def test_dates_and_postcodes_are_numbers_too() -> None:
    """A year for a date, and three digits for a postcode, lose little; the epoch for every date loses all."""
    born = Shape(0.0, {}, [f"{year}-07-01" for year in range(1940, 2000)])
    years = Shape(0.0, {}, [f"{year}-01-01" for year in range(1940, 2000)])
    assert 0.01 < (loss(born, years, "date") or 0) < 0.1
    assert (loss(born, Shape(0.0, {"1900-01-01": 1.0}, []), "date") or 0) > 1
    codes = Shape(0.0, {}, [f"{code:05d}" for code in range(1000, 99_000, 500)])
    assert loss(codes, Shape(0.0, {}, [code[:3] for code in codes.bounds]), POSTCODE) == 0


def test_what_has_no_value_has_nothing_to_lose() -> None:
    """A column of NULLs, and one without statistics, are not measured."""
    assert loss(Shape(1.0, {}, []), EVEN, "integer") is None
    assert loss(Shape(0.0, {}, []), EVEN, "integer") is None


def test_a_policy_says_what_it_demands() -> None:
    """k, l and a tolerance stand at the top of the policy; without them only the usual tolerance holds."""
    text = 'k = 12\nl = 3\ntolerance = {usual = 0.2, "orders.total" = 2}\n[t]\na = "keep"\n'
    demands = Policy.load(text).demands
    assert demands == Demands(k=12, l=3, tolerance=0.2, tolerances={"orders.total": 2.0})
    assert (demands.allowed("orders.total"), demands.allowed("orders.note")) == (2.0, 0.2)
    assert Policy.load('[t]\na = "keep"\n').demands == Demands(tolerance=USUAL)
    assert Policy.load('tolerance = 1\n[t]\na = "keep"\n').demands.tolerance == 1


def test_a_tolerance_is_for_a_column() -> None:
    """One for a column that is not there says which is meant."""
    demands = Demands(tolerances={"orders.totl": 1.0})
    with pytest.raises(LabError, match=r"write orders\.total"):
        demands.check(["orders.id", "orders.total"])


def test_a_table_may_be_called_as_a_demand() -> None:
    """A table has rules, where a demand is a number."""
    policy = Policy.load('[k]\nid = "keep"\n[tolerance]\nid = "keep"\n')
    assert policy.rules.keys() == {"k", "tolerance"}
    assert policy.demands == Demands()


@pytest.mark.parametrize("wrong", ["k = 0", 'l = "two"', "k = 1.5", "tolerance = -1", 'tolerance = "low"'])
def test_a_demand_that_is_none_is_refused(wrong: str) -> None:
    """The error names the demand and says what to correct."""
    with pytest.raises(LabError, match="correct " + wrong.partition(" ")[0]):
        Policy.load(f'{wrong}\n[t]\na = "keep"\n')

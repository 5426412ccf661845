import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from labkit.errors import LabError
from labkit.testdata import Policy, generate, obscure, survey
from labkit.testdata._pharmacy import Pharmacy

pytest_plugins = ["postgres"]
pytestmark = pytest.mark.engine

MANY = 8000


@pytest.fixture
def source(fresh: Callable[[], str]) -> str:
    """Make a generated database and return its URL."""
    url = fresh()
    generate(url, MANY, seed=3)
    return url


def one(url: str, query: str) -> tuple[object, ...]:
    """Return the first row that a query answers."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return tuple(row)


def count(url: str, rows: str) -> int:
    """Return how many rows a table has; a condition may follow its name."""
    return int(str(one(url, f"SELECT count(*) FROM {rows}")[0]))  # noqa: S608 - the tests' own words


def test_the_same_seed_gives_the_same_data_and_another_seed_others() -> None:
    """Block by block; a larger database begins with nothing of a smaller one but its people's numbers."""
    first, same, other = (Pharmacy(seed, 2000).block(0) for seed in (1, 1, 2))
    assert all(first[table].equals(same[table]) for table in first)
    assert not any(first[table].equals(other[table]) for table in first)


def test_the_same_seed_fills_two_databases_with_the_same_rows(fresh: Callable[[], str]) -> None:
    """Row by row, in the order in which they were written."""
    texts = []
    for url in (fresh(), fresh()):
        generate(url, 100, seed=5)
        texts.append(one(url, "SELECT string_agg(t::text, '|') FROM (TABLE orders) AS t"))
        texts.append(one(url, "SELECT string_agg(t::text, '|') FROM (TABLE customers) AS t"))
    assert texts[:2] == texts[2:]


def test_a_generated_database_is_as_awkward_as_a_real_one(source: str) -> None:
    """References hold, keys are unique, and there is what breaks careless tools."""
    tables = ("customers", "orders", "order_lines", "reviews", "clinic.prescriptions")
    counts = [count(source, table) for table in tables]
    assert counts[:2] == [MANY, 2 * MANY]
    assert all(counts)
    awkward = {
        "no phone": "phone IS NULL",
        "a line break": r"address LIKE E'%\n%'",
        "an apostrophe": "name LIKE '%''%'",
        "letters beyond ASCII": "name ~ '[^[:ascii:]]'",
        "a reference to oneself": "referred_by IS NOT NULL",
        "JSON": "preferences IS NOT NULL",
        "a great age": "born < '1935-01-01'",
    }
    assert not [
        what for what, condition in awkward.items() if not count(source, f"customers WHERE {condition}")
    ]
    assert count(source, "orders WHERE strpos(note, chr(92)) > 0")  # a backslash
    assert not count(source, "orders JOIN customers ON customers.id = customer WHERE email <> contact_email")
    most = "SELECT count(*) AS n FROM orders GROUP BY customer ORDER BY n DESC LIMIT 80"
    few = f"SELECT sum(n) FROM ({most}) AS most"  # noqa: S608 - the tests' own words
    assert one(source, few)[0] > 2 * MANY * 0.05  # type: ignore[operator] # one customer in a hundred


def test_marked_values_stand_in_the_data_and_in_free_text(fresh: Callable[[], str]) -> None:
    """Each marked value is one customer's; free text names the customer too."""
    url = fresh()
    made = generate(url, 100)
    assert made.marked_values == [
        "Quilla Marked-7",
        "quilla7@marked.test",
        "Quilla Marked-77",
        "quilla77@marked.test",
    ]
    assert count(url, "customers WHERE email LIKE '%marked.test'") == 2
    assert count(url, "orders WHERE note LIKE '%Quilla Marked-77 %'") == 1


def test_what_fails_leaves_an_empty_database(fresh: Callable[[], str]) -> None:
    """The server ends the connection in the middle: the error says so, and nothing is there."""
    url = fresh()

    def end(step: str) -> None:
        if "keys" in step:
            one(
                url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'labkit'",
            )

    with pytest.raises(LabError, match="nothing was written"):
        generate(url, 50, progress=end)
    assert not survey(url).order


def test_what_is_there_already_is_never_touched(source: str) -> None:
    """A database with tables is refused; so is a number of customers below one."""
    with pytest.raises(LabError, match="an empty database"):
        generate(source, 5)
    with pytest.raises(LabError, match="1 customer or more"):
        generate(source, 0)
    assert count(source, "customers") == MANY


def test_a_survey_finds_what_is_personal_by_name_or_by_value(source: str) -> None:
    """Values speak where a name does not; columns that refer to others inherit; tables come in order."""
    with psycopg.connect(source) as connection:
        connection.execute("CREATE TABLE plain (a text, b text, c text, d text)")
        connection.execute(
            "INSERT INTO plain SELECT email, ssn, phone, 'a text of more than three words' FROM customers"
        )
    surveyed = survey(source)
    rules = {
        f"{column.table}.{column.column}": column.rule.toml() for column in surveyed.columns if column.rule
    }
    assert rules["customers.name"] == '{fake = "name", by = "email"}'
    assert rules["customers.email"] == '{fake = "email"}'
    assert rules["customers.born"] == '{generalize = "year"}'
    assert rules["customers.preferences"].startswith("{json = {")
    assert [rules[f"plain.{name}"].split('"')[1] for name in "abcd"] == [
        "email",
        "###-##-####",
        "phone_number",
        "redact",
    ]
    assert {column.column: column.inherits for column in surveyed.columns if column.inherits} == {
        "customer": "customers.id",
        "referred_by": "customers.id",
        "order_id": "order_lines.order_id",
        "line": "order_lines.line",
    }
    order = surveyed.order
    assert order.index("customers") < order.index("orders") < order.index("order_lines")
    assert (surveyed.cycles, surveyed.views) == ([], ["best_customers"])


def test_a_proposal_makes_one_person_of_a_row_that_has_an_email_address(fresh: Callable[[], str]) -> None:
    """A second name is another person's, a key stays unique, and without an address nothing is tied."""
    url = fresh()
    with psycopg.connect(url) as connection:
        visits = "name text, doctor_name text, phone text UNIQUE, city text"
        connection.execute(f"CREATE TABLE visits (email text NOT NULL, {visits})".encode())
        connection.execute(f"CREATE TABLE walks (email text, {visits})".encode())
    rules = {(column.table, column.column): column.rule for column in survey(url).columns}
    tied = {
        name for (table, name), rule in rules.items() if rule and rule.by == "email" and table == "visits"
    }
    assert tied == {"name", "city"}
    assert not [name for (table, name), rule in rules.items() if rule and rule.by and table == "walks"]


def test_the_first_policy_of_a_survey_obscures_what_was_generated(
    source: str, fresh: Callable[[], str]
) -> None:
    """It is complete, fits each column, leaves no marked value; a person's name, address and orders agree."""
    target = fresh()
    obscure(source, target, Policy.load(survey(source).policy()))
    tables = ("customers", "orders", "reviews", "clinic.prescriptions")
    every = "SELECT string_agg(t::text, '|') FROM {} AS t"
    text = str([one(target, every.format(table)) for table in tables])
    assert "Marked" not in text
    assert ".test" not in text
    named = "customers WHERE strpos(email, lower(split_part(name, ' ', 1))) > 0"
    other = MANY - count(target, named)  # a made-up name that is the own one is drawn again
    assert other <= MANY / 1000
    assert not count(target, "orders JOIN customers ON customers.id = customer WHERE email <> contact_email")


def test_the_command_line_generates_surveys_and_obscures(fresh: Callable[[], str], tmp_path: Path) -> None:
    """A policy goes from one command to the next by a file; one with a hole ends with exit code 1."""
    source, target, policy = fresh(), fresh(), tmp_path / "policy.toml"

    def labkit(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labkit", "data", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert '"customers": 50' in labkit("generate", source, "--customers", "50", "--json").stdout
    policy.write_text(labkit("survey", source).stdout)
    holed = tmp_path / "holed.toml"
    holed.write_text(
        "".join(line for line in policy.read_text().splitlines(keepends=True) if "email =" not in line)
    )
    refused = labkit("obscure", source, target, "--policy", str(holed))
    assert (refused.returncode, "customers.email" in refused.stderr) == (1, True)
    done = labkit("obscure", source, target, "--policy", str(policy), "--json")
    assert (done.returncode, '"key_fingerprint"' in done.stdout) == (0, True)
    assert count(target, "customers") == 50

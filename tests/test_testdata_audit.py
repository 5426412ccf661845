import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from labkit import Workspace, widgets
from labkit.artifacts import Kind
from labkit.errors import LabError
from labkit.testdata import Audit, Distribution, Policy, Statistics, audit, obscure, record, subset
from labkit.testdata._compare import most_by_chance

pytest_plugins = ["postgres"]
pytestmark = pytest.mark.engine

PEOPLE = 2000
KEY = b"k" * 32

# Everything is drawn by PostgreSQL from the row's number, so that each run meets the same people.
SOURCE = """
CREATE TABLE customers (
    id integer PRIMARY KEY, name text NOT NULL, email text UNIQUE, phone text, ssn text, born date,
    sex text, zip text, referred_by integer REFERENCES customers, extra jsonb
);
CREATE TABLE orders (
    customer integer REFERENCES customers, number integer, note text, state text,
    PRIMARY KEY (customer, number)
);
CREATE TABLE prescriptions (
    id integer PRIMARY KEY, customer integer REFERENCES customers, drug text NOT NULL
);
CREATE TABLE products (id integer PRIMARY KEY, name text);
INSERT INTO customers SELECT i,
    (ARRAY['Ada','Žofie','Grace','Alan','Edsger','Barbara','José','Linus'])[1 + i % 8] || ' ' ||
        (ARRAY['Love','Nov','Hopp','Tur','Dijk','Lisk','Garc','Torv'])[1 + i / 8 % 8] ||
        substr(md5(i::text), 1, 4),
    'person' || i || '@mail.test',
    format('(%s) %s-%s', 200 + i % 700, 200 + i * 7 % 800, 1000 + i * 13 % 9000),
    format('%s-%s-%s', 100 + i % 700, 10 + i * 3 % 90, 1000 + i * 17 % 9000),
    date '1940-01-01' + (i * 7919 % 25000), CASE WHEN i % 2 = 0 THEN 'f' ELSE 'm' END,
    lpad((10000 + i * 104729 % 89999)::text, 5, '0'), NULLIF(i / 10, 0), NULL
  FROM generate_series(1, 2000) AS i;
INSERT INTO orders SELECT id, 1, CASE id % 20
        WHEN 0 THEN 'Called ' || upper(name) || E',\\nleave at door'
        WHEN 1 THEN 'ring ' || replace(phone, ')', ').')
        WHEN 2 THEN 'write to ' || email || '.' WHEN 3 THEN ''
        ELSE 'nothing to say' END, 'sent' FROM customers;
INSERT INTO prescriptions SELECT i, i, 'drug ' || i % 5 FROM generate_series(1, 2000) AS i;
INSERT INTO products VALUES (1, 'Adhesive plasters'), (2, 'Cough syrup');
"""

POLICY = """
[customers]
id = "keep"
name = {fake = "name", by = "email"}
email = {fake = "email"}
phone = {format_preserving = "(###) ###-####"}
ssn = {format_preserving = "###-##-####"}
born = {generalize = "year"}
sex = "keep"
zip = "null"
extra = "null"
[orders]
number = "keep"
note = "redact"
state = "keep"
[prescriptions]
id = "keep"
drug = "keep"
[products]
id = "keep"
name = "keep"
"""

SMALLEST_GROUP = """
SELECT min(people), min(drugs) FROM (
    SELECT count(*) AS people, count(DISTINCT drug) AS drugs
      FROM customers JOIN prescriptions ON customer = customers.id GROUP BY born, sex
) AS groups
"""


@pytest.fixture
def source(fresh: Callable[[], str]) -> str:
    """Return a database of invented people."""
    url = fresh()
    run(url, SOURCE)
    return url


def run(url: str, statements: str) -> None:
    """Run statements in a database."""
    with psycopg.connect(url) as connection:
        connection.execute(statements)


def clone(source: str, target: str, statements: str) -> None:
    """Copy a database as it is and change the copy by hand."""
    server, _, name = target.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}")
        template = source.rpartition("/")[2]
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    run(target, statements)


def naive(source: str, target: str, statements: str) -> Audit:
    """Audit what was obscured by hand, by the columns' names alone."""
    clone(source, target, statements)
    return audit(source, target)


def by_policy(source: str, target: str, *changes: tuple[str, str]) -> Audit:
    """Obscure by the policy with some of its lines changed, and audit by that."""
    text = POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    policy = Policy.load(text)
    obscure(source, target, policy, key=KEY)
    return audit(source, target, policy)


def test_an_obscured_database_passes(source: str, fresh: Callable[[], str]) -> None:
    """Nothing is kept, nothing found in texts, references hold; the report says so in JSON."""
    report = by_policy(source, fresh())
    assert (report.problems, report.passed, report.foreign_keys_ok) == ([], True, True)
    changed = {"name", "email", "phone", "ssn", "zip", "extra"}
    assert report.leaked_originals == {f"customers.{column}": 0 for column in changed}
    assert report.free_text["orders.note"].leaking == 0
    assert report.free_text["orders.note"].rows == PEOPLE * 19 // 20
    assert report.quasi_identifiers == {"customers.born": "the year", "customers.sex": "as it is"}
    assert report.rows["customers"] == PEOPLE
    assert report.not_run == []
    fields = json.loads(json.dumps(report.to_json()))
    assert fields["passed"]
    assert fields["policy_digest"] == Policy.load(POLICY).digest
    names = {"leaked_originals", "chance_matches", "quasi_identifiers", "linkage_attack", "reidentified"}
    assert names <= fields.keys()


def test_k_and_l_are_those_of_the_groups(source: str, fresh: Callable[[], str]) -> None:
    """K is the smallest group of one year and sex, l the fewest drugs in one, as SQL counts them."""
    report = by_policy(source, target := fresh())
    with psycopg.connect(target) as connection:
        assert connection.execute(SMALLEST_GROUP).fetchone() == (report.k, report.l)


def test_where_nothing_is_known_all_look_alike(source: str, fresh: Callable[[], str]) -> None:
    """Without a true column left, the one group is everybody, and nobody is found."""
    report = by_policy(
        source, fresh(), ('born = {generalize = "year"}\nsex = "keep"', 'born = "null"\nsex = "null"')
    )
    assert (report.quasi_identifiers, report.k, report.l, report.reidentified) == ({}, PEOPLE, 5, 0.0)


def test_what_a_policy_keeps_is_found(source: str, fresh: Callable[[], str]) -> None:
    """A policy cannot exempt a direct identifier: what it keeps is counted, and the column named."""
    report = by_policy(source, fresh(), ('ssn = {format_preserving = "###-##-####"}', 'ssn = "keep"'))
    assert report.leaked_originals["customers.ssn"] == PEOPLE
    assert report.chance_matches["customers.ssn"].seen == 0
    assert report.problems[0].startswith("customers.ssn keeps 2000 original values: give it a rule such as")
    assert report.reidentified == 1.0


def test_a_product_is_nobody(source: str, fresh: Callable[[], str]) -> None:
    """A column called name is not a person's name in a table without any other direct identifier."""
    assert "products.name" not in by_policy(source, fresh()).leaked_originals


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("UPDATE customers SET email = upper(email)", "customers.email"),
        ("UPDATE customers SET phone = '+1-' || translate(phone, '() ', '') || ' x12'", "customers.phone"),
        ("UPDATE customers SET name = ' ' || name || '.'", "customers.name"),
    ],
)
def test_the_same_in_other_words_is_the_same(
    source: str, fresh: Callable[[], str], change: str, column: str
) -> None:
    """Neither case nor spaces, punctuation, a country's number or an extension make a value another one."""
    assert naive(source, fresh(), change).leaked_originals[column] == PEOPLE


def test_texts_are_searched_for_names_numbers_and_addresses(source: str, fresh: Callable[[], str]) -> None:
    """A name in capitals, a number in other groups, an address before a full stop: each row is counted."""
    rest = "UPDATE customers SET name = 'X Y', email = md5(random()::text), phone = NULL, ssn = NULL"
    report = naive(source, fresh(), rest)
    three = "customers.email, customers.name, customers.phone"
    notes = report.free_text["orders.note"]
    problem = f"orders.note has real values of {three}"
    assert any(sentence.startswith(problem) for sentence in report.problems)
    assert notes.leaking == PEOPLE * 3 // 20
    each = PEOPLE // 20
    assert {place: notes.of[place] for place in notes.named} == {
        "customers.name": each,
        "customers.phone": each,
        "customers.email": each,
    }
    assert notes.of["the text of orders.note"] == 2 * each
    assert len(notes.where) == 3


def test_json_and_a_number_that_stands_in_no_column_are_found(source: str, fresh: Callable[[], str]) -> None:
    """A value inside of JSON is found, and so is a number that was only ever in the text itself."""
    run(source, "UPDATE orders SET note = 'ring 0151-2345678' WHERE customer = 5")
    copied = "UPDATE customers SET extra = json_build_object('c', json_build_array(name, 7)) WHERE id = 8"
    gone = "UPDATE customers SET name = 'X Y', email = NULL, phone = NULL, ssn = NULL"
    report = naive(source, fresh(), f"{copied}; {gone}")
    assert report.free_text["customers.extra"].of == {"customers.name": 1}
    assert report.free_text["customers.extra"].where == ("8",)
    assert "5" not in report.free_text["orders.note"].where
    assert report.free_text["orders.note"].of["the text of orders.note"] == 2 * (PEOPLE // 20) + 1


def test_a_name_in_two_columns_is_found_in_one(source: str, fresh: Callable[[], str]) -> None:
    """A first and a family name make one name, whichever way round a text has it."""
    split = """ALTER TABLE customers ADD first_name text, ADD last_name text;
        UPDATE customers SET first_name = split_part(name, ' ', 1), last_name = split_part(name, ' ', 2);
        ALTER TABLE customers DROP name;
        UPDATE orders SET note = last_name || ', ' || first_name FROM customers AS c WHERE c.id = customer"""
    run(source, split)
    gone = "UPDATE customers SET first_name = 'X', last_name = 'Y', email = NULL, phone = NULL, ssn = NULL"
    notes = naive(source, fresh(), gone).free_text["orders.note"]
    assert notes.of == {"customers.first_name + last_name": PEOPLE}


def test_shuffled_values_are_more_than_chance(source: str, fresh: Callable[[], str]) -> None:
    """Values that went to other people are no longer anybody's own, and are reported as real values."""
    shuffled = (
        "UPDATE customers SET ssn = (SELECT ssn FROM customers AS o WHERE o.id = 1 + customers.id % 2000)"
    )
    policy = Policy.load(POLICY)
    gone = "UPDATE customers SET name = 'X Y', email = NULL, phone = NULL, zip = NULL"
    clone(source, target := fresh(), f"{shuffled}; {gone}")
    report = audit(source, target, policy)
    assert report.leaked_originals["customers.ssn"] == 0
    assert not report.chance_matches["customers.ssn"].within
    assert report.chance_matches["customers.ssn"].expected == pytest.approx(PEOPLE**2 / 1e9, rel=0.01)
    problem = "customers.ssn has 2000 real values of other people"
    assert any(sentence.startswith(problem) for sentence in report.problems)


@pytest.mark.parametrize(("mean", "most"), [(0.0, 0), (1e-3, 2), (1.0, 9), (100.0, 154), (1000.0, 1159)])
def test_chance_has_its_limit(mean: float, most: int) -> None:
    """Five standard deviations, by the distribution of Poisson where counts are small."""
    assert most_by_chance(mean) == most


@pytest.mark.parametrize(
    ("change", "how", "least"),
    [
        (('born = {generalize = "year"}', 'born = "keep"'), "as it is", 0.9),
        (('zip = "null"', 'zip = {generalize = "postcode"}'), "the year", 0.9),
        (('born = {generalize = "year"}', 'born = {date_shift = 3, by = "email"}'), "within 3 days", 0.3),
    ],
)
def test_people_are_found_by_what_describes_them(
    source: str, fresh: Callable[[], str], change: tuple[str, str], how: str, least: float
) -> None:
    """Dates of birth, even moved a little, or years with postcodes find people whose names are gone."""
    report = by_policy(source, fresh(), change)
    assert report.quasi_identifiers["customers.born"] == how
    assert report.reidentified is not None
    assert report.reidentified > least
    assert any("are re-identified by customers.born" in problem for problem in report.problems)


@pytest.mark.parametrize("function", ["md5(email)", "encode(sha256(email::bytea), 'hex')"])
def test_a_bare_hash_hides_nobody(source: str, fresh: Callable[[], str], function: str) -> None:
    """Whoever has a list of e-mail addresses hashes them too."""
    gone = "UPDATE customers SET name = 'X Y', phone = NULL, ssn = NULL, born = NULL, zip = NULL, email = "
    report = naive(source, fresh(), gone + function)
    assert report.quasi_identifiers["customers.email"].startswith("by its ")
    assert report.leaked_originals["customers.email"] == 0
    assert report.reidentified == 1.0


def test_of_a_subset_only_those_in_it_are_found(source: str, fresh: Callable[[], str]) -> None:
    """The list from outside has everybody in it; the share is of the people in the test database."""
    policy = Policy.load(
        f'[subset]\ncustomers = "id % 20 = 0"\n{POLICY}'.replace('{generalize = "year"}', '"keep"')
    )
    obscure(source, target := fresh(), policy)
    report = audit(source, target, policy)
    assert report.rows["customers"] == PEOPLE // 20
    assert report.reidentified is not None
    assert report.reidentified > 0.9


def test_without_the_linkage_attack_nobody_is_looked_up(source: str, fresh: Callable[[], str]) -> None:
    """linkage_attack=False leaves the share out and keeps all the rest."""
    policy = Policy.load(POLICY)
    obscure(source, target := fresh(), policy)
    report = audit(source, target, policy, linkage_attack=False)
    assert report.linkage_attack is None
    assert report.reidentified is None
    assert report.k is not None


def test_a_key_that_changed_is_said_not_to_be_checked(source: str, fresh: Callable[[], str]) -> None:
    """Where the primary key changed, the number of original values is None, not 0."""
    report = by_policy(source, fresh(), ('[customers]\nid = "keep"', '[customers]\nid = "pseudonymize"'))
    assert report.leaked_originals["customers.ssn"] is None
    assert any("original values of customers" in why for why in report.not_run)
    assert (report.k, report.reidentified) == (None, None)


def test_lost_references_are_found_without_their_constraint(source: str, fresh: Callable[[], str]) -> None:
    """A target without a foreign key is looked through for references that lead nowhere."""
    drop = "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey"
    lose = "UPDATE orders SET customer = 99999 WHERE customer = 7"
    assert naive(source, fresh(), drop).foreign_keys["orders.orders_customer_fkey"]
    report = naive(source, fresh(), f"{drop}; {lose}")
    assert not report.foreign_keys_ok
    lost = "orders.orders_customer_fkey has references that lead nowhere"
    assert any(sentence.startswith(lost) for sentence in report.problems)


def test_distributions_stand_side_by_side(source: str, fresh: Callable[[], str]) -> None:
    """What PostgreSQL's statistics say is there for both; what differs much is named."""
    report = by_policy(source, fresh())
    assert report.distributions["orders.state"].changes == ()
    assert report.distributions["customers.zip"].changes == ("NULL", "different values", "width")
    assert report.distributions["customers.email"].before.distinct == PEOPLE


@pytest.mark.parametrize(("rows", "changes"), [(80, ()), (8000, ("most common value",))])
def test_a_small_subset_may_differ_by_chance(rows: int, changes: tuple[str, ...]) -> None:
    """A share that differs by a tenth is a change in thousands of rows, not in eighty."""
    before = Statistics(nulls=0.0, width=4, distinct=3, rows=9000, common=0.5)
    after = Statistics(nulls=0.0, width=4, distinct=3, rows=rows, common=0.6)
    assert Distribution(before, after).changes == changes


def test_a_policy_may_demand_more(source: str, fresh: Callable[[], str]) -> None:
    """K and l that are not reached are problems, and so is a column that loses more than its tolerance."""
    top = 'k = 6\nl = 6\ntolerance = {"customers.born" = 0.01}\n[customers]'
    problems = by_policy(source, fresh(), ("[customers]", top)).problems
    begins = (
        "k is 5, and the policy demands 6: ",
        "l is 5, and the policy demands 6: ",
        "customers.born lost 0.0",
    )
    assert [one.startswith(begin) for one, begin in zip(problems, begins, strict=True)] == [True] * 3


def test_a_database_of_one_value_is_useless(source: str, fresh: Callable[[], str]) -> None:
    """One birthday and one postcode for everybody protect well, and do not pass."""
    report = naive(source, fresh(), "UPDATE customers SET born = '1900-01-01', zip = NULL, sex = 'x'")
    lost = [problem.partition(" ")[0] for problem in report.problems if "of its distribution" in problem]
    assert lost == ["customers.born", "customers.sex", "customers.zip"]
    assert report.distributions["customers.id"].lost is None


def test_without_a_table_of_people_a_demand_cannot_be_met(source: str, fresh: Callable[[], str]) -> None:
    """Where k cannot be counted, the demand is told, and is no success."""
    top = ('[customers]\nid = "keep"', 'k = 2\n[customers]\nid = "pseudonymize"')
    assert "k cannot be counted, and the policy demands 2" in by_policy(source, fresh(), top).problems[0]


def test_neither_database_is_changed(source: str, fresh: Callable[[], str]) -> None:
    """Both are only read: their rows are what they were."""
    rows = "SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM customers AS c"
    with psycopg.connect(source) as connection:
        before = connection.execute(rows).fetchone()
        by_policy(source, fresh())
        assert connection.execute(rows).fetchone() == before


def test_what_is_no_test_database_of_the_source_is_refused(source: str, fresh: Callable[[], str]) -> None:
    """An empty target, one without a column, one that is not there: each error names what is missing."""
    subset(source, target := fresh(), {"customers": "false", "products": "false"})
    with pytest.raises(LabError) as empty:
        audit(source, target)
    assert empty.value.seen == "none"
    run(target, "ALTER TABLE customers DROP COLUMN ssn")
    with pytest.raises(LabError) as lacking:
        audit(source, target)
    assert lacking.value.seen == "without customers.ssn"
    with pytest.raises(LabError, match="start the server"):
        audit(source, f"{source}_missing")


def test_the_report_holds_no_value(source: str, fresh: Callable[[], str]) -> None:
    """What goes into the artifact database names columns and keys of rows, never what stood there."""
    text = json.dumps(naive(source, fresh(), "UPDATE orders SET state = 'x'").to_json())
    assert "mail.test" not in text
    assert "Ada" not in text


def test_a_report_is_recorded_with_the_keys_fingerprint_alone(
    source: str, fresh: Callable[[], str], tmp_path: Path
) -> None:
    """The artifact database has the data's digest, the policy, the tools and the report, not the key."""
    artifacts = Workspace.create(tmp_path / "workspace").artifacts
    policy = Policy.load(POLICY)
    made = obscure(source, target := fresh(), policy, key=KEY)
    record(artifacts, target, audit(source, target, policy), made)
    (fact,) = artifacts.history(kind=Kind.TEST_DATA_AUDITED)
    assert fact.subject.name == f"test-database/{target.rpartition('/')[2]}"
    assert fact.subject.digest.startswith("sha256:")
    digests = {reference.role: reference.digest for reference in fact.references}
    assert digests["config"] == f"sha256:{policy.digest}"
    assert fact.predicate["audit"]["passed"]
    assert fact.predicate["obscured"]["key_fingerprint"] == made.key_fingerprint
    assert KEY.hex() not in fact.payload()
    artifacts.close()


def test_the_picture_has_a_text_alternative(source: str, fresh: Callable[[], str]) -> None:
    """What the picture shows by a colour stands there in a sign and words, and in the tables too."""
    view = widgets.audit(naive(source, fresh(), "UPDATE customers SET email = 'x' || id, zip = '<b>'"))
    svg = view.svg
    assert 'aria-label="✗ the test database failed its audit' in svg
    assert "✗ 2000 of 2000" in svg
    assert re.search(r"customers.ssn +2000", repr(view))
    assert "testdata.audit(source, target, policy)" in view.code


def over(progress: widgets.AuditProgress) -> bool:
    """Return whether an audit comes to its end."""
    end = threading.Event()
    progress.observe(lambda _: end.set(), "running")
    return not progress.running or end.wait(60)


def test_an_audit_in_progress_can_be_observed(source: str, fresh: Callable[[], str]) -> None:
    """Each step comes as a change of `state`; in the end there is the report, drawn as that of `audit`."""
    target = fresh()
    clone(source, target, "UPDATE customers SET email = 'x' || id")
    progress = widgets.AuditProgress(source, target)
    states: list[dict[str, str]] = []
    progress.observe(lambda change: states.append(change.new), "state")
    assert over(progress)
    assert {"running"} < {
        state["comparing distributions"] for state in states if len(state) == len(states[-1])
    }
    assert set(progress.state.values()) == {"passed"}
    report = progress.report
    assert report is not None
    assert report.problems == audit(source, target).problems
    assert progress.snapshot == widgets.audit(report)
    progress.close()


def test_an_audit_that_is_refused_says_why_and_a_closed_one_ends(
    source: str, fresh: Callable[[], str]
) -> None:
    """An empty target is no copy; nobody waits for the report of a widget that was closed."""
    refused = widgets.AuditProgress(source, fresh())
    assert over(refused)
    assert "expected" in refused.children[-1].value
    assert "failed" in refused.state.values()
    target = fresh()
    clone(source, target, "UPDATE customers SET email = 'x' || id")
    closed = widgets.AuditProgress(source, target)
    closed.close()
    assert over(closed)
    assert closed.report is None
    refused.close()


def labkit(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "labkit", *map(str, words)], capture_output=True, text=True, check=False
    )


def test_the_command_line_tells_and_fails_when_it_leaks(
    source: str, fresh: Callable[[], str], tmp_path: Path
) -> None:
    """`labkit data audit` leaves with 0 or 1, prints the problems or JSON, and records when asked to."""
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    obscure(source, target := fresh(), Policy.load(file))
    workspace = Workspace.create(tmp_path / "workspace")
    good = labkit("data", "audit", source, target, "--policy", file, "--json", "--workspace", workspace.root)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["passed"]
    assert len(workspace.artifacts.history(kind=Kind.TEST_DATA_AUDITED)) == 1
    workspace.artifacts.close()
    bad = labkit("data", "audit", source, source, "--no-linkage-attack")
    assert bad.returncode == 1
    assert "customers.ssn keeps 2000 original values" in bad.stdout
    assert "linkage attack: not run" in bad.stdout
    assert "comparing customers" in bad.stderr

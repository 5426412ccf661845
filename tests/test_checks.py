"""The checks: four outcomes, findings that say where, and documents that other tools read."""

from pathlib import Path

import pytest

from labkit.checks import (
    CheckOutcome,
    CheckRun,
    Finding,
    Report,
    TestResults,
    configuration,
    cyclonedx,
    read_junit,
    settings,
    squawk,
)
from labkit.checks._bill_of_materials import imported, not_as_locked
from labkit.checks._functional import failing_services
from labkit.engine import Package
from labkit.system import System

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.2">
<testcase classname="tests.test_cart" name="test_total" time="0.05"/>
<testcase classname="tests.test_cart.TestDiscount" name="test_whole[a b]" time="0.05">
<failure message="AssertionError: assert 90 == 91&#10;  where">def test_whole(self):
&gt;       assert total() == 91
E       assert 90 == 91

tests/test_cart.py:17: AssertionError</failure></testcase>
<testcase classname="tests.test_cart" name="test_setup" time="0.0">
<error message="failed on setup"/></testcase>
<testcase classname="tests.test_cart" name="test_later" time="0.0"><skipped message="not yet"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def results() -> TestResults:
    """Return the results of a run with one test of each kind."""
    return read_junit(JUNIT)


def test_junit_counts_passed_and_skipped_tests_by_id(results: TestResults) -> None:
    """A test that passed or was skipped is named as pytest names it."""
    assert results.passed == ("tests/test_cart.py::test_total",)
    assert results.skipped == ("tests/test_cart.py::test_later",)
    assert results.seconds == pytest.approx(0.1)


def test_junit_turns_a_red_test_into_a_finding_with_its_line(results: TestResults) -> None:
    """A red test's finding carries its id, its message on one line, its file and the line that failed."""
    assert results.findings[0] == Finding(
        rule="tests/test_cart.py::TestDiscount::test_whole[a b]",
        message="AssertionError: assert 90 == 91   where",
        path="tests/test_cart.py",
        line=17,
    )


def test_junit_takes_a_test_that_broke_in_set_up_for_red(results: TestResults) -> None:
    """A test that could not be set up is a finding like one that failed."""
    assert results.findings[1].message == "failed on setup"
    assert results.outcome is CheckOutcome.FAIL


def test_junit_of_no_tests_is_no_pass() -> None:
    """Where nothing ran, nothing passed."""
    assert read_junit("<testsuites><testsuite/></testsuites>").outcome is CheckOutcome.NOT_RUN


@pytest.mark.parametrize("document", ["", "Segmentation fault", "<testsuites>"])
def test_junit_that_is_none_is_refused(document: str) -> None:
    """What a crashed tool leaves behind is an error, not a result."""
    with pytest.raises(ValueError, match="no JUnit XML"):
        read_junit(document)


def test_only_pass_and_accepted_let_a_run_through() -> None:
    """A check that could not run stops the run as a red one does."""
    assert [outcome.lets_through for outcome in CheckOutcome] == [True, False, True, False]


def test_a_report_comes_back_from_json_as_it_was() -> None:
    """What the artifact database keeps of a report rebuilds the same report."""
    report = Report(
        "unit",
        CheckOutcome.FAIL,
        (Finding("r", "m", "warning", "p.py", 3),),
        "pytest",
        "9.1",
        1.5,
        {"n": [1]},
    )
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("severities", "otherwise", "outcome"),
    [
        ([], CheckOutcome.PASS, CheckOutcome.PASS),
        (["note", "warning"], CheckOutcome.ACCEPTED, CheckOutcome.ACCEPTED),
        (["note", "error"], CheckOutcome.ACCEPTED, CheckOutcome.FAIL),
        ([], CheckOutcome.NOT_RUN, CheckOutcome.NOT_RUN),
    ],
)
def test_a_check_fails_by_its_errors_alone(
    severities: list[str], otherwise: CheckOutcome, outcome: CheckOutcome
) -> None:
    """A finding of severity error means fail, whatever the outcome would be otherwise."""
    findings = [Finding("r", "m", severity) for severity in severities]
    assert CheckRun("unit", tool="pytest").report(findings, otherwise=otherwise).outcome is outcome


def test_a_report_carries_the_name_the_tool_and_the_seconds_of_its_check() -> None:
    """A check that gave a verdict and one that could not run are told with tool and wall time alike."""
    check = CheckRun("unit", tool="pytest")
    for report in (check.report(), check.not_run("no pytest in the image")):
        assert (report.check, report.tool) == ("unit", "pytest")
        assert report.seconds > 0
    assert check.not_run("no pytest in the image").reason() == "could not run: no pytest in the image"


def test_a_report_lists_errors_before_warnings_and_notes() -> None:
    """What stops the run is read first; findings of one severity keep their order."""
    findings = [Finding(severity[0], "m", severity) for severity in ("note", "warning", "error")]
    report = CheckRun("unit", tool="pytest").report([*findings, Finding("last", "m")])
    assert [finding.rule for finding in report.findings] == ["e", "last", "w", "n"]


def test_the_reason_of_a_report_is_its_first_findings_and_how_many_more() -> None:
    """A reason stays short and says what it leaves out."""
    report = Report("unit", CheckOutcome.FAIL, tuple(Finding(f"r{n}", "m") for n in range(5)))
    assert report.reason() == "r0: m; r1: m; r2: m; and 2 more"


def test_the_reason_of_a_red_report_has_no_notes() -> None:
    """What was noted beside is no reason, and is not counted."""
    report = Report(
        "unit", CheckOutcome.FAIL, (Finding("test_a", "bad"), Finding("log of cart", "x", "note"))
    )
    assert report.reason() == "test_a: bad"


def test_a_service_that_answered_5xx_shows_its_last_log_lines() -> None:
    """By a field, a web server's line or the balancer's; other answers and other services are left out."""

    def line(service: str, **fields: object) -> dict[str, object]:
        return {"service": service, "instance": f"{service}-1", **fields}

    findings = failing_services(
        [
            line("cart", method="GET", path="/cart", status=200),
            line("cart", method="POST", path="/cart/items", status=500),
            line("cart", message="lost", exception="Traceback:\n  here\nValueError: no price"),
            line("web", message='127.0.0.1 "GET / HTTP/1.1" 502'),
            line("web", message='127.0.0.1 "GET /readyz HTTP/1.1" 200 OK'),
            line("catalog", message="5 products", status=404),
            line("balancer", backend="worker", status=500),
            line("worker", message="no log of answers"),
        ]
    )
    assert [str(finding) for finding in findings] == [
        "log of cart: cart-1 POST /cart/items 500\ncart-1 lost Traceback:\n  here\nValueError: no price",
        'log of web: web-1 127.0.0.1 "GET / HTTP/1.1" 502',
        "log of worker: worker-1 no log of answers",
    ]
    assert {finding.severity for finding in findings} == {"note"}


def test_a_finding_prints_its_place_once() -> None:
    """A test's id holds its file already; another rule gets the file in front."""
    assert (
        str(Finding("tests/t.py::test_a", "bad", path="tests/t.py", line=4))
        == "tests/t.py::test_a (line 4): bad"
    )
    assert str(Finding("S602", "shell", path="a.py", line=4)) == "a.py: S602 (line 4): shell"


PRODUCTION = {"DISCOUNT_PERCENT": "10", "external.payments": "real", "instances.cart": "3"}


def test_the_same_settings_as_production_pass() -> None:
    """Nothing differs, nothing is declared: pass."""
    assert configuration(PRODUCTION, PRODUCTION, {}).outcome is CheckOutcome.PASS


def test_a_declared_difference_to_production_is_accepted_with_its_reason() -> None:
    """An exception is printed with both values and the reason on record."""
    report = configuration(
        PRODUCTION | {"external.payments": "stub"}, PRODUCTION, {"external.payments": "moves money"}
    )
    assert report.outcome is CheckOutcome.ACCEPTED
    assert "is stub in here and real in production: moves money" in report.reason()


@pytest.mark.parametrize("here", [PRODUCTION | {"DISCOUNT_PERCENT": "5"}, PRODUCTION | {"NEW": "1"}, {}])
def test_an_undeclared_difference_to_production_fails(here: dict[str, str]) -> None:
    """A changed, an added and a missing setting are refused alike."""
    report = configuration(here, PRODUCTION, {"external.payments": "moves money"})
    assert report.outcome is CheckOutcome.FAIL
    assert report.findings[0].rule == "undeclared difference"


def test_an_exception_that_is_not_needed_is_a_warning() -> None:
    """A stale exception is told, and stops nothing."""
    report = configuration(PRODUCTION, PRODUCTION, {"database": "its own"})
    assert report.outcome is CheckOutcome.PASS
    assert [finding.severity for finding in report.findings] == ["warning"]


PACKAGES = [
    Package("pypi", "starlette", "0.46.0", "pkg:pypi/starlette@0.46.0"),
    Package("deb", "libc6", "2.36-9", "pkg:deb/debian/libc6@2.36-9"),
    Package("deb", "libc6", "2.36-9", "pkg:deb/debian/libc6@2.36-9"),
]


def test_a_bill_of_materials_lists_each_part_once_by_its_package_url() -> None:
    """The document is CycloneDX 1.6 and its references resolve."""
    document = cyclonedx("labkit/shop-cart:1", "sha256:" + "a" * 64, PACKAGES)
    references = [component["bom-ref"] for component in document["components"]]
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert references == ["pkg:deb/debian/libc6@2.36-9", "pkg:pypi/starlette@0.46.0"]
    assert document["dependencies"] == [
        {"ref": document["metadata"]["component"]["bom-ref"], "dependsOn": references}
    ]


def test_the_same_image_has_the_same_bill_of_materials() -> None:
    """Two documents of one image are equal, whatever order its packages were read in."""
    digest = "sha256:" + "a" * 64
    assert cyclonedx("x", digest, PACKAGES) == cyclonedx("x", digest, PACKAGES[::-1])


LOCK = """\
# what the service needs
psycopg[binary]==3.2.1 \\
    --hash=sha256:aa
Typing_Extensions==4.16.0 ; python_version >= "3.8" \\
    --hash=sha256:bb
colorama==0.4.6 ; sys_platform == "win32" \\
    --hash=sha256:cc
"""
VENV, SYSTEM = "/venv/lib/python3.11/site-packages", "/usr/lib/python3/dist-packages"
VARIABLES = {"PATH": "/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"}


def python(name: str, version: str, folder: str) -> Package:
    """Return a Python package in a folder."""
    return Package("pypi", name, version, f"pkg:pypi/{name}@{version}", folder)


def unlike(*packages: Package, variables: dict[str, str] = VARIABLES) -> list[str]:
    """Return what the lock file's comparison with an image of these packages says."""
    return [finding.message for finding in not_as_locked(imported(packages, variables), LOCK)]


def test_the_version_that_the_services_python_imports_counts() -> None:
    """An image that holds a package twice is as locked when the one that is found first is."""
    extensions = python("typing-extensions", "4.16.0", SYSTEM)
    right, other = python("psycopg", "3.2.1", VENV), python("psycopg", "3.3.9", SYSTEM)
    assert unlike(right, other, extensions) == unlike(other, right, extensions) == []
    told = ["psycopg 3.2.1 is locked, the service imports 3.3.9"]
    assert unlike(right, other, extensions, variables={"PATH": "/usr/bin"}) == told
    ahead = python("psycopg", "3.0", "/app/vendor")
    assert unlike(right, ahead, extensions) == []
    first = VARIABLES | {"PYTHONPATH": "/app/vendor"}
    assert unlike(right, ahead, extensions, variables=first) == [
        "psycopg 3.2.1 is locked, the service imports 3.0"
    ]


def test_a_locked_package_that_is_missing_is_named() -> None:
    """What no folder of the image has is a finding, unless its marker may mean another system."""
    assert unlike(python("typing-extensions", "4.16.0", SYSTEM)) == [
        "psycopg 3.2.1 is locked, the service imports none"
    ]


def test_two_environments_secrets_are_compared_and_not_shown() -> None:
    """A password that differs is a difference, and neither value is in the report, which becomes a fact."""
    report = configuration({"DB_PASSWORD": "hunter2"}, {"DB_PASSWORD": "swordfish"}, {})
    assert report.outcome is CheckOutcome.FAIL
    assert "DB_PASSWORD is *** in here and *** in production" in report.reason()
    assert not any(word in str(report.to_json()) for word in ("hunter2", "swordfish"))


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_the_settings_say_of_the_database_only_what_holds(stage: str) -> None:
    """No setting tells of a password of which the check knows nothing."""
    shop = System.load(Path(__file__).parents[1] / "labs/shop")
    assert "password" not in settings(shop, stage)["database"]


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE products ADD COLUMN weight bigint NOT NULL;", "adding-required-field"),
        ("ALTER TABLE products RENAME COLUMN name TO title;", "renaming-column"),
        ("CREATE INDEX by_name ON products (name);", "require-concurrent-index-creation"),
        ("ALTER TABLE products DROP COLUMN stock;", "ban-drop-column"),
    ],
)
def test_squawk_refuses_what_breaks_old_instances_or_blocks_writers(
    sql: str, rule: str, tmp_path: Path
) -> None:
    """The first finding names the rule, the file and the line; what is meant is marked in the file."""
    file = tmp_path / "003_change.sql"
    file.write_text(f"SELECT 1;\n{sql}\n")
    report = squawk(tmp_path)
    assert report.outcome == CheckOutcome.FAIL
    assert (report.findings[0].rule, report.findings[0].path, report.findings[0].line) == (rule, file.name, 2)
    file.write_text(f"SELECT 1;\n-- squawk-ignore {rule}\n{sql}\n")
    assert squawk(tmp_path).outcome == CheckOutcome.PASS


def test_squawk_lets_an_extension_pass_and_does_not_run_on_what_is_no_sql(tmp_path: Path) -> None:
    """A new column that may be empty hurts nobody; a file that cannot be read is no pass."""
    assert squawk(tmp_path).outcome == CheckOutcome.PASS
    (tmp_path / "003_weight.sql").write_text("ALTER TABLE products ADD COLUMN weight bigint;")
    report = squawk(tmp_path)
    assert report.outcome == CheckOutcome.PASS
    assert {finding.severity for finding in report.findings} == {"note"}
    (tmp_path / "004_broken.sql").write_text("ALTER TABEL products;")
    assert squawk(tmp_path).outcome == CheckOutcome.NOT_RUN


def test_squawk_knows_that_a_migration_is_applied_in_a_transaction(tmp_path: Path) -> None:
    """Its end in the file is refused; an index that is made concurrently passes."""
    file = tmp_path / "003_change.sql"
    file.write_text("BEGIN;\nCREATE TABLE IF NOT EXISTS moon ();\nCOMMIT;\n")
    report = squawk(tmp_path)
    assert report.outcome == CheckOutcome.FAIL
    assert report.findings[0].rule == "transaction-nesting"
    file.write_text("CREATE INDEX CONCURRENTLY by_name ON products (name);\n")
    assert squawk(tmp_path).outcome == CheckOutcome.PASS


def test_squawk_lists_its_findings_by_file_and_line(tmp_path: Path) -> None:
    """All findings of the first file come before those of the next, each file's from top to bottom."""
    drop = "ALTER TABLE products DROP COLUMN"
    (tmp_path / "003_first.sql").write_text(f"SELECT 1;\nSELECT 2;\n{drop} stock;\n{drop} price;\n")
    (tmp_path / "004_next.sql").write_text(f"{drop} name;\n")
    errors = [finding for finding in squawk(tmp_path).findings if finding.rule == "ban-drop-column"]
    places = [(finding.path, finding.line) for finding in errors]
    assert places == [("003_first.sql", 3), ("003_first.sql", 4), ("004_next.sql", 1)]


def test_the_shops_own_migrations_pass_squawk() -> None:
    """They only make tables, which nobody reads yet."""
    assert squawk(Path(__file__).parents[1] / "labs/shop/catalog/migrations").outcome == CheckOutcome.PASS

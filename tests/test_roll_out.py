"""A commit that changes what production is made of: what differs, what is refused, and how it rolls."""

import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from images import remove_images

from labkit import pipeline
from labkit.artifacts import Kind
from labkit.engine import Engine
from labkit.environment import Change, Environment
from labkit.environment._plan import Plan
from labkit.errors import LabError
from labkit.load import Load, Request, RunningLoad, apply
from labkit.pipeline import Run
from labkit.system import System
from labkit.workspace import Workspace

SYSTEM = """\
name = "small"
[services.front]
path = "front"
port = 8080
ready = "/"
calls = ["api"]
instances = { production = 2 }
[services.api]
path = "api"
port = 8081
ready = "/"
[database]
service = "api"
name = "things"
migrations = "migrations"
[config.greeting]
type = "str"
default = "one"
"""
EXTRA = """\
[services.extra]
path = "extra"
port = 8082
ready = "/"
"""
RATES = """\
[external.rates]
mode = "read-only"
port = 8101
provider = "page"
"""
PAGE = """\
[containers.page]
path = "page"
port = 9000
variables = { LABKIT_PORT = "9000" }
"""


def plan(folder: Path, text: str, **fields: Any) -> Plan:
    """Return the plan of production that a system.toml makes."""
    for name in ("front", "api", "extra", "page", "migrations"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "system.toml").write_text(text)
    return replace(Plan.make(System.load(folder), "production", None, {}, ""), **fields)


def change(folder: Path, before: str, after: str) -> Change:
    """Return the change between the plans of two files."""
    return Change.to(plan(folder, before), plan(folder, after))


CALLS_EXTRA = SYSTEM.replace('["api"]', '["extra", "api"]') + EXTRA


def test_nothing_differs_between_a_system_and_itself(tmp_path: Path) -> None:
    """The same file makes another name and no change; who made it and its images count for nothing."""
    same = Change.to(plan(tmp_path, SYSTEM, images={"api": "a:1"}, because="a"), plan(tmp_path, SYSTEM))
    assert same.is_empty
    assert not same.added + same.removed + same.configuration
    assert same.resized == {}


def test_a_service_is_started_before_those_that_call_it_and_removed_after_them(tmp_path: Path) -> None:
    """Added, kept and removed services stand in an order in which each finds whom it calls."""
    more = change(tmp_path, SYSTEM, CALLS_EXTRA)
    assert (more.order, more.added, more.removed) == (["extra", "api", "front"], ["extra"], [])
    assert more.resized == {"extra": 1}
    fewer = change(tmp_path, CALLS_EXTRA.replace('y"\n', 'y"\ncalls = ["extra"]\n', 1), SYSTEM)
    assert (fewer.order, fewer.added, fewer.removed) == (["api", "front"], [], ["extra"])


def test_services_that_call_in_a_circle_have_an_order_too(tmp_path: Path) -> None:
    """A circle keeps nobody out."""
    circle = CALLS_EXTRA.replace("port = 8081", 'port = 8081\ncalls = ["extra"]')
    circle = circle.replace("port = 8082", 'port = 8082\ncalls = ["api"]')
    assert sorted(change(tmp_path, SYSTEM, circle).order) == ["api", "extra", "front"]


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ('default = "one"', 'default = "one"\nproduction = "two"', {"front", "api"}),
        (
            "[config.greeting]",
            '[config.more]\ntype = "int"\ndefault = 1\n[config.greeting]',
            {"front", "api"},
        ),
        ("port = 8081", "port = 8091", {"api"}),
        ("port = 8081", 'port = 8081\nmemory = "64m"', {"api"}),
        ('port = 8081\nready = "/"', 'port = 8081\nready = "/ready"', {"api"}),
        ("production = 2", "production = 3", set()),
        ('service = "api"', 'service = "front"', {"front", "api"}),
        (SYSTEM, SYSTEM + PAGE, {"front", "api"}),
        (SYSTEM, CALLS_EXTRA, {"front"}),
        (SYSTEM, SYSTEM.replace('["api"]', '["api", "rates"]') + RATES, {"front"}),
        (SYSTEM, SYSTEM + '[toggles.new]\nowner = "us"\nremove_by = 2030-01-01\n', set()),
    ],
)
def test_those_are_replaced_whose_settings_differ(
    tmp_path: Path, old: str, new: str, replaced: set[str]
) -> None:
    """Configuration concerns all; port, limits and health check one; a service more those that call it."""
    step = change(tmp_path, SYSTEM, SYSTEM.replace(old, new))
    step.refuse_losses()
    before = {one.name: step.before.settings(one) for one in step.before.services}
    after = {one.name: step.after.settings(one) for one in step.after.services if one.name in before}
    assert {name for name in after if after[name] != before[name]} == replaced


def test_who_calls_a_service_finds_it_where_it_was_when_its_port_changes(tmp_path: Path) -> None:
    """The balancer keeps its port; an added service has a balancer and a port of its own."""
    step = change(
        tmp_path, SYSTEM, CALLS_EXTRA.replace("8081", "8082").replace(EXTRA, EXTRA.replace("2", "1"))
    )
    after = step.final
    variables = after.variables(lambda _: "")
    assert after.service("api").port == 8082
    assert variables["API_URL"] == "http://api:8081"
    assert variables["EXTRA_URL"] == "http://extra:8081"
    assert after.balancers == {"balancer": {"front": 8080, "api": 8081}, "balancer.extra": {"extra": 8081}}


def test_on_the_way_old_and_new_stand_side_by_side(tmp_path: Path) -> None:
    """What goes is there to the end, what comes has no instance yet, and a next run goes on from there."""
    goes = CALLS_EXTRA.replace("extra", "older") + RATES.replace("rates", "olds")
    (tmp_path / "older").mkdir()
    step = change(tmp_path, goes, CALLS_EXTRA.replace("production = 2", "production = 3"))
    during = step.during
    assert {one.name: one.instances for one in during.services} == {
        "front": 2,
        "api": 1,
        "extra": 0,
        "older": 1,
    }
    assert [one.name for one in during.external] == ["olds"]
    again = Change.to(during, step.after)
    assert (again.added, again.removed, again.resized) == (["extra"], ["older"], {"front": 3, "extra": 1})
    assert Change.to(again.final, step.after).is_empty
    assert "balancer.older" not in again.final.balancers


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (SYSTEM, SYSTEM.partition("[database]")[0], "customers' data in its database things would be lost"),
        (
            SYSTEM,
            SYSTEM.replace('"things"', '"other"'),
            "customers' data in its database things would be lost",
        ),
        (SYSTEM, SYSTEM.replace('"small"', '"large"'), "customers' data would be lost: it runs small"),
        (SYSTEM, SYSTEM.replace("front]", "extra]"), "clients' requests would be lost: they enter by front"),
        (SYSTEM + RATES, SYSTEM + RATES.replace("8101", "8102"), "calls to rates would be lost"),
        (SYSTEM + RATES, SYSTEM + RATES + "real = []\n", "the commit changes whether it is real"),
        (SYSTEM, SYSTEM + RATES + "real = []\n", "calls to the stubs would be lost"),
        (SYSTEM + PAGE, SYSTEM + PAGE + 'command = "sh"\n', "what the container page holds would be lost"),
        (SYSTEM + PAGE, SYSTEM + PAGE.replace("9000", "9001"), "what the container page holds"),
        (CALLS_EXTRA, SYSTEM + RATES.replace("rates", "extra"), "it was a service, and is an external"),
    ],
)
def test_what_would_be_lost_is_refused_in_words(tmp_path: Path, before: str, after: str, words: str) -> None:
    """The error says whose data or requests would be lost, and has a next step."""
    with pytest.raises(LabError) as caught:
        change(tmp_path, before, after).refuse_losses()
    assert words in caught.value.seen
    assert caught.value.next_step


def test_what_nobody_needs_any_more_is_no_loss(tmp_path: Path) -> None:
    """A service, an external service and a container may go; the container stays with what it holds."""
    change(tmp_path, CALLS_EXTRA + RATES + PAGE, SYSTEM).refuse_losses()


# ---- on the engine ----

PROGRAM = r"""
use strict;
use IO::Socket::INET;
$SIG{CHLD} = 'IGNORE';
$SIG{TERM} = sub { exit };  # as the first process it would hear no signal that it does not ask for
my $gone = -e '/moved' ? '/' : '/ready';
my $server = IO::Socket::INET->new(LocalPort => $ENV{LABKIT_PORT}, Listen => 50, ReuseAddr => 1) or die $!;
while (my $client = $server->accept) {
    next if fork;
    my $path = (split / /, <$client> // '')[1] // '';
    while (defined(my $line = <$client>)) { last if $line eq "\r\n" }
    my @calls = $path eq '/all' ? map { get($_) } split(/ /, CALLS) : ();
    my $fails = $path eq '/all' ? $ENV{GREETING} eq 'bad' || grep { !$_ } @calls : $path eq $gone;
    my $body = join ' ', "$ENV{LABKIT_SERVICE}=$ENV{GREETING}", @calls;
    my $status = $fails ? '500 Broken' : '200 OK';
    print $client "HTTP/1.1 $status\r\nContent-Length: ", length $body, "\r\nConnection: close\r\n\r\n$body";
    exit;
}
sub get {
    my ($host, $port) = $ENV{$_[0] . '_URL'} =~ m{//(.*):(\d+)} or return;
    my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 5) or return;
    print $socket "GET /all HTTP/1.0\r\n\r\n";
    my $answer = join '', <$socket>;
    return $answer =~ /^HTTP.... 200.*\r\n\r\n(.*)/s ? $1 : undef;
}
"""
PIPELINE = """\
[[stages]]
name = "production"
trigger = "commit"
strategy = "rolling"
gates = ["watch"]
[strategies.rolling]
watch_s = 0.5
[gates.watch]
duration_s = 1
[traffic]
rate_per_s = 5
[[traffic.requests]]
send = "GET /all"
"""


def write(folder: Path, text: str, *, calls: str = "API", moved: str = "") -> None:
    """Write the small system: front calls these services, and the service `moved` has another ready path."""
    (folder / "system.toml").write_text(text)
    (folder / "pipeline.toml").write_text(PIPELINE)
    (folder / "migrations").mkdir(exist_ok=True)
    (folder / "migrations" / "001.sql").write_text("CREATE TABLE things (name text);")
    for name in ("front", "api", "extra", "page"):
        (folder / name).mkdir(exist_ok=True)
        program = PROGRAM.replace("CALLS", f"'{calls if name == 'front' else ''}'")
        (folder / name / "program.pl").write_text(program)
        more = "RUN touch /moved\n" if name == moved else ""
        (folder / name / "Dockerfile").write_text(
            f'FROM debian:bookworm-slim\n{more}COPY program.pl /\nCMD ["perl", "/program.pl"]\n'
        )


def release(workspace: Workspace, message: str) -> Run:
    """Commit what was written, and run it."""
    for command in (["add", "--all"], ["commit", "--quiet", "--message", message]):
        subprocess.run(["git", "-C", workspace.shop, *command], check=True)
    return pipeline.run(workspace)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace in whose production the small system runs."""
    made = Workspace.create(tmp_path_factory.mktemp("roll") / "workspace")
    for path in made.shop.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write(made.shop, SYSTEM)
    try:
        passed(release(made, "The small system"))
        yield made
    finally:
        Environment.clean_up_all(made)
        made.artifacts.close()
        for name in ("front", "api", "extra", "page"):
            remove_images(Engine.find(), f"labkit/small-{name}")


def production(workspace: Workspace) -> Environment:
    """Attach to production, as another process does."""
    (status,) = Environment.list(workspace)
    return Environment.attach(status.name, workspace)


def ask(url: str) -> str:
    """Return what a service answers."""
    with urllib.request.urlopen(f"{url}/all", timeout=5) as answer:  # noqa: S310 - our own
        return str(answer.read().decode())


@contextmanager
def customers(url: str) -> Iterator[RunningLoad]:
    """Let customers send a few requests during the block; not one may fail."""
    with apply(Load({Request("GET", "/all"): 1}, 10, None), url, hosts=["127.0.0.1"]) as load:
        yield load
    measured = load.snapshot()
    assert measured.requests
    assert measured.failed == 0, measured


MORE = (
    CALLS_EXTRA.replace('"one"', '"one"\nproduction = "two"')
    .replace("production = 2", "production = 3")
    .replace('port = 8081\nready = "/"', 'port = 8091\nready = "/ready"')
    .replace('"extra", "api"', '"extra", "api", "rates"')
    + PAGE
    + RATES
)


@pytest.mark.engine
@pytest.mark.timeout(240)
def test_a_commit_that_changes_all_kinds_of_parts_loses_no_request_and_no_data(workspace: Workspace) -> None:
    """Values, counts, port, health check, a service, a container and a migration come, and go again."""
    attached = production(workspace)
    assert attached.database is not None
    with attached.database.connect() as connection:
        connection.execute("INSERT INTO things VALUES ('kept')")
    write(workspace.shop, MORE, calls="EXTRA API RATES", moved="api")
    (workspace.shop / "migrations" / "002.sql").write_text("ALTER TABLE things ADD COLUMN size int;")
    with customers(attached.url):
        passed(release(workspace, "More"))
        assert ask(attached.url) == "front=two extra=two api=two rates="
        assert ask(production(workspace).urls["extra"]) == "extra=two"
        assert counts(attached) == {"front": 3, "api": 1, "extra": 1}
        assert attached.element("page").execute(["printenv", "GREETING"]).output == "two\n"
        write(workspace.shop, SYSTEM)
        passed(release(workspace, "Fewer"))
    assert ask(attached.url) == "front=one api=one"
    with attached.database.connect() as connection:
        assert connection.execute("SELECT name, size FROM things").fetchall() == [("kept", None)]
    assert counts(production(workspace)) == counts(attached) == {"front": 2, "api": 1}
    names = {element.name for element in attached.elements() if element.role != "service"}
    assert names == {"balancer", "coordinator", "database", "page"}  # what page holds is not given up
    assert {fact.service for fact in workspace.artifacts.history(kind=Kind.SERVICE_REMOVED)} == {"extra"}


@pytest.mark.engine
@pytest.mark.timeout(240)
def test_a_value_with_which_customers_fail_is_taken_back(workspace: Workspace) -> None:
    """What was replaced gets the value back that it had, the run says so, and the next goes on from there."""
    write(workspace.shop, SYSTEM.replace('"one"', '"bad"'))
    run = release(workspace, "A bad value")
    assert run.state == "failed"
    assert "api was rolled back by rolling" in run.stopped_because
    assert "2 of version" in run.stopped_because.partition("(not changed yet)")[0]
    environment = production(workspace)
    assert ask(environment.url) == "front=one api=one"
    write(workspace.shop, SYSTEM)
    with customers(environment.url):
        passed(release(workspace, "The value as it was"))
    assert all(
        instance.is_current for name in environment.services for instance in environment.instances(name)
    )
    assert ask(environment.url) == "front=one api=one"


@pytest.mark.engine
@pytest.mark.parametrize(
    ("file", "words"),
    [("system.toml", "customers' data in its database things"), ("001.sql", "001.sql as it was applied")],
)
def test_what_would_be_lost_is_asked_before_the_first_stage(
    workspace: Workspace, file: str, words: str
) -> None:
    """A renamed database and a migration that is gone stop the run before anything is made."""
    write(workspace.shop, SYSTEM.replace('"things"', '"others"') if file == "system.toml" else SYSTEM)
    if file == "001.sql":
        (workspace.shop / "migrations" / file).unlink()
    run = release(workspace, "A loss")
    assert words in run.stopped_because
    assert [stage.state for stage in run.stages] == ["not started"]


def passed(run: Run) -> None:
    """Check that a run passed."""
    assert run.state == "passed", run.stopped_because


def counts(environment: Environment) -> dict[str, int]:
    """Return how many instances each service has."""
    return {service: len(environment.instances(service)) for service in environment.services}

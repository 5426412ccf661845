"""The life of an environment on the real engine: create, use, clean up."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from coordinators import soon
from psycopg import sql

from labkit._http import request
from labkit.artifacts import Kind
from labkit.balancer import Listener
from labkit.balancer._configuration import configuration
from labkit.balancer._control import Control, make_key_pair
from labkit.coordination import INSTANCES, Coordinator, InstanceRegistry
from labkit.engine import CLAIM, NO_USER, Engine, Label, Owner
from labkit.engine._locate import locate
from labkit.environment import Environment, _status
from labkit.environment._plan import Plan
from labkit.environment._status import Labelled
from labkit.errors import LabError
from labkit.load import Load, Request, apply
from labkit.system import System
from labkit.testdata import subset
from labkit.workspace import Workspace, course

engine_test = pytest.mark.engine


@pytest.fixture(scope="module")
def system() -> System:
    """Return the shop as the course has it."""
    return System.load(course() / "labs" / "shop")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace of its own, and see that nothing of it is left in the engine."""
    made = Workspace.create(tmp_path_factory.mktemp("learner") / "workspace")
    yield made
    made.artifacts.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Give the engine, and close its connections."""
    engine = Engine.find()
    yield engine
    engine.client.close()


@pytest.fixture(scope="module")
def environment(workspace: Workspace) -> Iterator[Environment]:
    """Give one integration environment to all tests that leave it as it was."""
    with Environment.create(workspace.system, "integration", workspace=workspace, because="a commit") as made:
        yield made


@pytest.fixture(scope="module")
def staging(workspace: Workspace) -> Iterator[Environment]:
    """Give one staging environment to all tests that leave two carts in it."""
    with Environment.create(workspace.system, "staging", workspace=workspace) as made:
        yield made


def get(url: str, headers: dict[str, str] | None = None) -> Any:
    """Return the JSON that a URL answers with."""
    asked = urllib.request.Request(url, headers=headers or {})  # noqa: S310 - a URL of our own
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - a URL of our own
        return json.load(answer)


# ---- what needs no engine ----


def test_a_plan_survives_the_label_that_carries_it(system: System) -> None:
    """A plan read back from its label is the same plan, so another process knows as much as its maker."""
    plan = Plan.make(system, "staging", None, {"discount_percent": 20}, "a commit")
    assert Plan.from_labels(plan.to_labels()) == plan


@pytest.mark.parametrize("label", ["", "{not json", "[]", "{}", '{"services": 3}', "null"])
def test_a_label_that_is_no_plan_carries_none(label: str) -> None:
    """Anybody may write labels: one that cannot be read is no plan, and no error in every list and panel."""
    assert Plan.from_labels({"labkit.plan": label}) is None


def test_a_container_that_calls_itself_a_service_of_no_name_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A foreign label breaks no list of environments; the container counts, and as no service."""
    labels = {"labkit.environment": "odd", "labkit.role": "service", "labkit.owner": "process:a:b:²:c"}
    things = [Labelled("container", labels, datetime.now(UTC))]
    monkeypatch.setattr(_status, "labelled", lambda *_: things)
    (status,) = _status.statuses(Engine(locate()), "workspace")
    assert (status.containers, status.services, status.owner_alive) == (1, {}, True)


def test_what_a_process_has_claimed_is_its_own_until_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list names the process that creates or removes it, and says that it is not complete."""
    labels = {"labkit.environment": "new", "labkit.stage": "production", "labkit.owner": "workspace:a"}
    claim = labels | {"labkit.owner": "process:a:b:1:2", "labkit.role": CLAIM}
    things = [Labelled("network", labels, datetime.now(UTC)), Labelled("volume", claim, datetime.now(UTC))]
    monkeypatch.setattr(_status, "labelled", lambda *_: things)
    (status,) = _status.statuses(Engine(locate()), "workspace")
    assert (status.complete, status.owner, status.stage) == (False, "process:a:b:1:2", "production")
    things.pop()
    (status,) = _status.statuses(Engine(locate()), "workspace")
    assert (status.complete, status.owner) == (True, "workspace:a")


def test_each_stage_has_the_elements_it_needs(system: System) -> None:
    """Stubs until staging, production's counts and a coordinator from staging on."""
    plans = {
        stage: Plan.make(system, stage, None, {}, "") for stage in ("integration", "staging", "production")
    }
    counts = {
        stage: {service.name: service.instances for service in plan.services}["cart"]
        for stage, plan in plans.items()
    }
    assert counts == {"integration": 1, "staging": 3, "production": 3}
    assert {stage: plan.coordinator for stage, plan in plans.items()} == {
        "integration": False,
        "staging": True,
        "production": True,
    }
    assert [external.name for external in plans["staging"].stubs] == ["payments", "rates"]
    assert plans["production"].stubs == []
    module = Plan.make(system, "development", "cart", {}, "")
    assert (module.services, module.external, module.database) == ((), (), "")


def test_services_find_each_other_by_name_and_only_the_owner_gets_the_database(system: System) -> None:
    """The variables name every service; DATABASE_URL goes to the database's owner alone."""
    plan, secret = Plan.make(system, "integration", None, {}, ""), {"database": "word"}.__getitem__
    cart = plan.variables_of(plan.service("cart"), "cart-1", "1", secret)
    assert cart["CATALOG_URL"] == "http://catalog:8003"
    assert cart["PAYMENTS_URL"] == "http://payments:8101"
    assert (cart["DISCOUNT_PERCENT"], cart["LABKIT_STAGE"], cart["LABKIT_PORT"]) == (
        "10",
        "integration",
        "8002",
    )
    assert "DATABASE_URL" not in cart
    catalog = plan.variables_of(plan.service("catalog"), "catalog-1", "1", secret)
    assert catalog["DATABASE_URL"] == "postgresql://postgres:word@database:5432/catalog"


def test_the_balancer_listens_on_every_service_port_and_repeats_nothing(system: System) -> None:
    """One listener a service with its readiness check, no retries, and no server before run time."""
    services = Plan.make(system, "integration", None, {}, "").services
    listeners = [Listener(service.name, service.port) for service in services]
    text = configuration(listeners)
    assert "listen cart\n    bind :8002\n" in text
    assert 'uri-lf "%[srv_name,map(/etc/haproxy/ready.map)]"' in text
    assert "retries 0" in text
    assert re.findall(r"^    server (\S+)", text, re.MULTILINE) == ["runtime-api"]


@pytest.mark.parametrize(
    ("stage", "module", "words"),
    [
        ("development", None, "a module in the stage development"),
        ("staging", "cart", "a module in the stage development"),
        ("development", "cat", "a service of shop"),
        ("holiday", None, "a stage"),
    ],
)
def test_an_impossible_request_is_refused_with_words(
    system: System, stage: str, module: str | None, words: str
) -> None:
    """A stage or module that cannot be is refused before anything starts."""
    with pytest.raises(LabError, match=words):
        Plan.make(system, stage, module, {}, "")


# ---- what needs the engine ----


@engine_test
def test_clients_reach_the_system_through_the_balancer(environment: Environment) -> None:
    """The entry answers at .url, each service at its own URL, and the answer names stage and instance."""
    assert get(f"{environment.url}/version")["instance"] == "storefront-1"
    stages = {service: get(f"{url}/version")["stage"] for service, url in environment.urls.items()}
    assert stages == {"storefront": "integration", "cart": "integration", "catalog": "integration"}


@engine_test
def test_ports_are_published_on_loopback_alone(engine: Engine, environment: Environment) -> None:
    """With a local engine, no port of an environment is reached from another machine."""
    if not engine.local:
        pytest.skip("a remote engine publishes for its clients")
    for container in engine.client.containers.list(
        filters={"label": f"labkit.environment={environment.name}"}
    ):
        published = [binding for ports in container.ports.values() for binding in ports or []]
        assert {binding["HostIp"] for binding in published} <= {"127.0.0.1"}


@engine_test
def test_every_container_has_limits_and_only_the_rights_that_it_needs(
    engine: Engine, environment: Environment
) -> None:
    """Memory, processes, processors and log are limited; services are not root; nobody gains new rights."""
    assert environment.run(["true"]).ok
    settings = {}
    for container in engine.client.api.containers(
        filters={"label": f"labkit.environment={environment.name}"}
    ):
        fields = engine.client.api.inspect_container(container["Id"])
        limits = fields["HostConfig"]
        settings[container["Labels"][Label.ROLE]] = fields
        assert 0 < limits["Memory"] == limits["MemorySwap"]
        assert limits["PidsLimit"] > 0
        assert limits["CpuQuota"] > 0
        assert limits["LogConfig"]["Config"].keys() == {"max-size", "max-file"}
        assert limits["SecurityOpt"] == ["no-new-privileges"]
        assert limits["CapDrop"] == ["ALL"]
        assert not {"NET_RAW", "MKNOD", "SYS_CHROOT", "SETFCAP"} & set(limits["CapAdd"] or [])
    users = {role: fields["Config"]["User"] for role, fields in settings.items()}
    assert (users["service"], users["stub"], users["database"]) == ("65532", NO_USER, "postgres")
    assert not settings["database"]["HostConfig"]["CapAdd"]


@engine_test
def test_a_service_that_forks_or_allocates_without_end_ends_alone(environment: Environment) -> None:
    """A fork bomb meets the limit of processes, a leak that of memory; the system goes on answering."""
    cart = environment.element("cart-1")
    bomb = "trap 'kill 0' EXIT; for number in $(seq 400); do sleep 30 & done"
    forks = cart.execute(bomb, timeout_s=60)
    assert "fork" in forks.output.lower()
    leak = cart.execute(["python3", "-c", "bytearray(600 << 20)"])
    assert leak.exit_code in {1, 137}  # refused, or killed
    assert get(f"{environment.url}/products")


@engine_test
def test_everything_carries_the_labels(
    engine: Engine, environment: Environment, workspace: Workspace
) -> None:
    """All say workspace, environment, owner and stage; containers their role, services their version."""
    things = engine.owned({Label.ENVIRONMENT: environment.name})
    assert {thing.kind for thing in things} == {"container", "network"}
    for thing in things:
        assert thing.labels[Label.WORKSPACE] == workspace.id
        assert thing.labels[Label.OWNER] == str(Owner.process())
        assert thing.labels[Label.STAGE] == "integration"
    roles = {thing.labels[Label.ROLE] for thing in things if thing.kind == "container"}
    assert roles - {"harness"} == {"balancer", "database", "stub", "service"}
    assert all(
        thing.labels.get(Label.VERSION) for thing in things if thing.labels.get(Label.ROLE) == "service"
    )


@engine_test
def test_instances_are_told_by_the_engine_and_the_balancer(environment: Environment) -> None:
    """An instance has name, image, version, an address in the network, and the balancer's state."""
    (cart,) = environment.instances("cart")
    assert (cart.name, cart.service, cart.state) == ("cart-1", "cart", "UP")
    assert cart.address.endswith(":8002")
    assert environment.balancer.servers("cart")["cart-1"].address == cart.address
    with pytest.raises(LabError, match="a service of"):
        environment.instances("cat")


@engine_test
def test_stubs_answer_under_the_external_names_and_remember_the_calls(environment: Environment) -> None:
    """A command inside the network calls payments; the stub lists the call until it is cleared."""
    stub = environment.stub("payments")
    stub.clear()
    url = "http://payments:8101/payments"
    code = f"import httpx; print(httpx.post({url!r}, json={{'order': 1}}).text)"
    done = environment.run(["python3", "-c", code])
    assert json.loads(done.output)["state"] == "accepted", done.output
    (call,) = stub.calls()
    assert (call["method"], call["path"], call["body"]) == ("POST", "/payments", {"order": 1})
    assert environment.stub("rates").calls() == []
    stub.clear()
    assert stub.calls() == []
    with pytest.raises(LabError, match="a stub of"):
        environment.stub("weather")


@engine_test
def test_a_restored_database_is_the_one_of_the_snapshot(environment: Environment) -> None:
    """Rows, sequences and the schema come back, and the fingerprint says so; other snapshots stay."""
    database = environment.database
    assert database is not None
    with database.connect() as connection:
        connection.execute("CREATE TABLE counted (id serial PRIMARY KEY, word text)")
        connection.execute("INSERT INTO counted (word) VALUES ('one'), ('two')")
    database.snapshot("before")
    before = database.fingerprint()
    with database.connect() as connection:
        connection.execute("INSERT INTO counted (word) VALUES ('three')")
        connection.execute("DELETE FROM counted WHERE word = 'three'")
        connection.execute("ALTER TABLE products ADD COLUMN colour text")
    assert database.fingerprint() != before
    database.restore("before")
    assert database.fingerprint() == before
    database.restore("before")
    assert database.snapshots() == ["before"]
    used = environment.workspace.artifacts.history(kind=Kind.ENVIRONMENT_USED, environment=environment.name)
    assert [fact.predicate["use"] for fact in used][-3:] == ["snapshot", "restore", "restore"]
    assert get(f"{environment.urls['catalog']}/products")["products"]
    with pytest.raises(LabError, match="a snapshot: before"):
        database.restore("after")
    with database.connect() as connection:
        connection.execute("DROP TABLE counted")


@engine_test
def test_a_migration_for_which_customers_would_wait_is_stopped(
    environment: Environment, system: System, tmp_path: Path
) -> None:
    """No request fails, the error names the file and the table, and nothing of the file is left."""
    assert environment.database is not None
    assert system.database is not None
    shutil.copytree(system.root / system.database.migrations, tmp_path, dirs_exist_ok=True)
    (tmp_path / "900_hold.sql").write_text("CREATE TABLE held (); LOCK TABLE products; SELECT pg_sleep(12)")
    customers = Load({Request("GET", "/products"): 1}, 20, None)
    with apply(customers, environment.urls["catalog"]) as load:
        while not load.snapshot().requests:
            time.sleep(0.05)
        with pytest.raises(LabError, match=r"900_hold\.sql kept its locks") as stopped:
            environment.database.migrate(tmp_path)
    measured = load.snapshot()
    assert "waited for products" in stopped.value.seen
    assert measured.failed == 0, measured
    with environment.database.connect() as connection:
        assert connection.execute("SELECT to_regclass('held')").fetchone() == (None,)


@engine_test
def test_migrate_returns_what_it_has_applied(environment: Environment, tmp_path: Path) -> None:
    """A learner sees which files are new to a database; a second time there is none."""
    assert environment.database is not None
    beside = environment.database.beside("migrated")
    (tmp_path / "1_sun.sql").write_text("CREATE TABLE sun ()")
    assert beside.migrate(tmp_path) == ["1_sun.sql"]
    assert beside.migrate(tmp_path) == []


@engine_test
def test_a_database_beside_is_empty_and_another_one(environment: Environment) -> None:
    """It has the same verbs and a dump of its own; made again it is empty; the first database stays."""
    first = environment.database
    assert first is not None
    before = first.fingerprint()
    beside = first.beside("people")
    with beside.connect() as connection:
        connection.execute("CREATE TABLE people (name text)")
    beside.snapshot("people")
    with beside.connect() as connection:
        connection.execute("DROP TABLE people")
    beside.restore("people")
    assert b"people" in beside.dump()
    assert b"people" not in first.dump()
    empty = first.beside("people")
    with empty.connect() as connection:
        tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert connection.execute(tables).fetchone() == (0,)
    assert first.fingerprint() == before


@engine_test
def test_a_fingerprint_does_not_depend_on_where_rows_lie(environment: Environment) -> None:
    """Rewriting a row moves it on the disk; with the old value back, the fingerprint is the old one too."""
    database = environment.database
    assert database is not None
    before = database.fingerprint()
    with database.connect() as connection:
        connection.execute("UPDATE products SET stock = stock + 1")
    changed = database.fingerprint()
    with database.connect() as connection:
        connection.execute("UPDATE products SET stock = stock - 1")
    assert changed != before == database.fingerprint()


@engine_test
def test_commands_run_beside_the_services(engine: Engine, environment: Environment, tmp_path: Path) -> None:
    """Files come into a folder of the run's own; exit code and output come back; a deadline ends it."""
    (tmp_path / "first.txt").write_text("from a folder")
    files: dict[str, bytes | Path] = {"data": tmp_path, "second.txt": b"from bytes"}
    done = environment.run("cat data/first.txt second.txt; echo wrong >&2; exit 3", files=files)
    assert (done.exit_code, done.errors) == (3, "wrong\n")
    assert "from a folder" in done.output
    assert "from bytes" in done.output  # the engine may bring the error between the two
    assert "second.txt" not in environment.run("ls").output
    assert environment.run("sleep 30", timeout_s=0.5).timed_out
    roles = [thing.labels.get(Label.ROLE) for thing in engine.owned({Label.ENVIRONMENT: environment.name})]
    assert roles.count("harness") == 1


@engine_test
def test_an_own_image_runs_in_the_network_and_goes_with_its_command(
    engine: Engine, environment: Environment
) -> None:
    """With image=, a container of that image sees the services, and is gone afterwards."""
    before = len(engine.owned({Label.ENVIRONMENT: environment.name}))
    code = "import os, urllib.request as u; print(u.urlopen(os.environ['CART_URL'] + '/healthz').status)"
    done = environment.run(["python3", "-c", code], image="labkit/python:1")
    assert done.output.strip() == "200"
    assert len(engine.owned({Label.ENVIRONMENT: environment.name})) == before


@engine_test
def test_logs_are_lines_with_time_service_and_instance(environment: Environment) -> None:
    """A request's id is found in the log of the service that answered it; a plain line is a message."""
    get(f"{environment.url}/version", {"X-Request-ID": "a-known-request"})
    (line,) = [
        entry for entry in environment.logs("storefront") if entry.get("request_id") == "a-known-request"
    ]
    assert (line["service"], line["instance"], line["status"]) == ("storefront", "storefront-1", 200)
    assert any("ready to accept connections" in entry["message"] for entry in environment.logs("database"))
    times = [entry["time"] for entry in environment.logs("cart")]
    assert times == sorted(times)


@engine_test
def test_an_instance_joins_and_leaves_while_clients_are_served(environment: Environment) -> None:
    """A new instance gets requests only after add, the old one none after drain; both ends are clean."""
    (old,) = environment.instances("cart")
    new = environment.add_instance("cart", old.image, version="2")
    states = {instance.name: instance.state for instance in environment.instances("cart")}
    assert states == {"cart-1": "UP", "cart-2": "waiting"}
    assert new.version == "2"
    environment.balancer.add(new)
    environment.balancer.add(new)  # as when the first answer was lost
    stranger = SimpleNamespace(
        service="cart", name=new.name, version="3", ready=new.ready, address="10.9.9.9:80"
    )
    with pytest.raises(LabError, match="use another name"):
        environment.balancer.register(stranger)
    environment.balancer.drain(old)
    answering = {get(f"{environment.urls['cart']}/version")["instance"] for _ in range(6)}
    assert answering == {"cart-2"}
    environment.balancer.forget(old)
    assert set(environment.balancer.servers("cart")) >= {"cart-2"}
    environment.balancer.add(old)
    environment.remove_instance(new)
    assert [instance.name for instance in environment.instances("cart")] == ["cart-1"]
    environment.remove_instance(new)
    assert get(f"{environment.urls['cart']}/version")["instance"] == "cart-1"


@engine_test
def test_another_process_finds_and_uses_it(environment: Environment, workspace: Workspace) -> None:
    """By the labels alone, another process lists the environment, attaches to it and uses its elements."""
    code = (
        "import sys; from labkit import Environment, Workspace; w = Workspace.open(sys.argv[1]);"
        "print([s.name for s in Environment.list(w)]); e = Environment.attach(sys.argv[2], w);"
        "print(e.stage, e.configuration['DISCOUNT_PERCENT'], [i.state for i in e.instances('cart')], e.url)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, workspace.root, environment.name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"['{environment.name}']",
        f"integration 10 ['UP'] {environment.url}",
    ]
    with pytest.raises(LabError, match=environment.name):
        Environment.attach("nobody", workspace)


@engine_test
def test_create_is_recorded_with_its_cause_and_what_runs(
    engine: Engine, environment: Environment, workspace: Workspace
) -> None:
    """The artifact database has what was made, why, from which images and configuration, and what runs."""
    (created,) = workspace.artifacts.history(kind=Kind.ENVIRONMENT_CREATED, environment=environment.name)
    assert created.predicate["because"] == "a commit"
    assert {element["role"] for element in created.predicate["elements"]} == {
        "balancer",
        "database",
        "service",
        "stub",
    }
    assert created.predicate["seconds"]["all"] > 0
    running = workspace.artifacts.what_runs("cart", "integration")
    assert running is not None
    (image,) = [
        listed
        for listed in engine.client.images.list("labkit/shop-cart")
        if running.image.digest == listed.id
    ]
    assert "DISCOUNT_PERCENT=10" in [reference.uri for reference in running.references["config"]]
    assert image


@engine_test
def test_clean_up_leaves_nothing_saves_what_is_asked_and_is_recorded(
    engine: Engine, workspace: Workspace, tmp_path: Path
) -> None:
    """Nothing carries the name, the logs are saved, the facts are written; twice does no harm."""
    made = Environment.create(workspace.system, "integration", workspace=workspace)
    get(f"{made.url}/version")
    made.clean_up(save=tmp_path)
    made.clean_up()
    assert engine.owned({Label.ENVIRONMENT: made.name}) == []
    assert (tmp_path / f"{made.name}.logs.jsonl").read_text().count("\n") > 3
    (deleted,) = workspace.artifacts.history(kind=Kind.ENVIRONMENT_DELETED, environment=made.name)
    assert deleted.predicate["removed"] == {"containers": 6, "networks": 1}
    assert deleted.predicate["saved"] == [f"{made.name}.logs.jsonl", f"{made.name}.calls.json"]
    removed = workspace.artifacts.history(kind=Kind.SERVICE_REMOVED, environment=made.name)
    assert sorted(str(fact.service) for fact in removed) == ["cart", "catalog", "storefront"]


@engine_test
def test_a_foreign_container_in_the_network_does_not_stop_the_clean_up(
    engine: Engine, workspace: Workspace
) -> None:
    """What a learner connected by hand is disconnected and stays; the environment goes whole."""
    made = Environment.create(workspace.system, "integration", workspace=workspace)
    client = engine.client
    foreign = client.containers.run("labkit/servers:1", ["sleep", "60"], detach=True, network=made.name)
    try:
        made.clean_up()
        assert engine.owned({Label.ENVIRONMENT: made.name}) == []
        foreign.reload()
        assert foreign.status == "running"
    finally:
        foreign.remove(force=True)


@engine_test
def test_a_module_under_development_runs_its_tests_alone(workspace: Workspace) -> None:
    """The module's files lie at /app, pytest is there, and there is no network but its own loopback."""
    with Environment.create(workspace.system, "development", module="cart", workspace=workspace) as made:
        done = made.run(["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"])
        assert done.ok, done.output
        assert "service.py" in made.run(["ls", "/app"]).output
        assert made.run("ls /sys/class/net").output.split() == ["lo"]
        assert made.urls == {}
        with pytest.raises(LabError, match="an entry service"):
            _ = made.url
        assert [
            (status.name, status.containers)
            for status in Environment.list(workspace)
            if status.stage == "development"
        ] == [(made.name, 1)]


@engine_test
def test_staging_registers_its_instances_at_the_coordinator(staging: Environment) -> None:
    """Three carts stand under /labkit/instances with version and address, and keys can be set and removed."""
    assert staging.coordinator is not None
    registered = InstanceRegistry(staging.coordinator).instances("cart")
    assert {name: entry["address"] for name, entry in registered.items()} == {
        instance.name: instance.address for instance in staging.instances("cart")
    }
    assert len(registered) == 3
    staging.coordinator.put("/a/key", "wert ü")
    assert staging.coordinator.get("/a/key") == "wert ü"
    assert staging.coordinator.values("/a/") == {"/a/key": "wert ü"}
    assert staging.coordinator.delete("/a/key")
    assert staging.coordinator.get("/a/key") is None
    staging.remove_instance(staging.instances("cart")[2])
    assert set(InstanceRegistry(staging.coordinator).instances("cart")) == {"cart-1", "cart-2"}


@engine_test
def test_a_coordinator_that_was_killed_starts_again(staging: Environment) -> None:
    """It has its keys and its password, and the instances register again."""
    assert staging.coordinator
    staging.coordinator.put("/kept", "value")
    carts = set(InstanceRegistry(staging.coordinator).instances("cart"))
    staging.element("coordinator").kill()
    staging.element("coordinator").start()
    again = staging.coordinator
    assert again.get("/kept") == "value"
    with pytest.raises(LabError, match="user name is empty"):
        Coordinator(again.host, again.port).get("/kept")
    assert soon(lambda: set(InstanceRegistry(again).instances("cart")) == carts)
    assert again.delete("/kept")


# ---- who gets in ----


def port_of(environment: Environment, name: str, port: int) -> tuple[str, int]:
    """Return where everybody on this machine reaches a port of an element."""
    return environment.element(name).namespace.engine.host, environment.element(name).get_exposed_port(port)


@engine_test
def test_the_database_refuses_whoever_has_no_password(staging: Environment) -> None:
    """The superuser and other roles come in from the network by their password alone."""
    assert staging.database
    host, port = port_of(staging, "database", 5432)
    with staging.database.connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE clerk LOGIN PASSWORD 'his own'")
    for login in ("postgres", "postgres:postgres", "clerk", "clerk:other", "nobody"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://{login}@{host}:{port}/catalog")
    psycopg.connect(f"postgresql://clerk:his%20own@{host}:{port}/catalog").close()


@engine_test
def test_the_coordinator_refuses_whoever_has_no_password(staging: Environment) -> None:
    """A key can be neither read nor set."""
    stranger = Coordinator(*port_of(staging, "coordinator", 2379))
    for ask in (lambda: stranger.put("/labkit/toggles/now/x", "{}"), lambda: stranger.values("/")):
        with pytest.raises(LabError, match="user name is empty"):
            ask()


@engine_test
def test_the_balancers_runtime_api_refuses_whoever_has_no_certificate(staging: Environment) -> None:
    """Neither plain text, nor TLS without a certificate or with another one, reaches HAProxy."""
    where, command = port_of(staging, "balancer", 9999), b"set server cart/cart-1 state maint\n"
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(where, 5) as connection, suppress(ConnectionResetError):
        connection.sendall(command)
        assert connection.recv(100) == b""
    with (
        socket.create_connection(where, 5) as plain,
        blind.wrap_socket(plain) as connection,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        connection.sendall(command)
        connection.recv(100)
    with pytest.raises(ssl.SSLError):
        Control(make_key_pair()).ask(*where, command, 5)
    assert staging.balancer.servers("cart")["cart-1"].status == "UP"


@engine_test
def test_the_stubs_control_refuses_whoever_has_no_secret(staging: Environment) -> None:
    """Calls are neither read nor forgotten, answers not changed; the external service's own API is open."""
    url = urlsplit(staging.stub("payments").url)
    where = (str(url.hostname), url.port or 0)
    for method, path in [
        ("GET", "/__calls__"),
        ("DELETE", "/__calls__"),
        ("GET", "/__stub__"),
        ("PATCH", "/__stub__"),
        ("DELETE", "/__stub__"),
    ]:
        assert request(*where, method, path, timeout_s=5).status == 401
        assert request(*where, method, path, None, {"Authorization": "Bearer no"}, timeout_s=5).status == 401
    assert request(*where, "GET", "/nothing", timeout_s=5).status == 404
    assert [call["path"] for call in staging.stub("payments").calls()] == ["/nothing"]


@engine_test
def test_another_process_reads_the_secrets_from_the_containers(
    staging: Environment, workspace: Workspace
) -> None:
    """Who may use the engine uses every element, and starts an instance of the owner of the database."""
    found = Environment.attach(staging.name, workspace)
    assert found.database
    assert found.coordinator
    assert found.database.fingerprint() == staging.database.fingerprint()  # type: ignore[union-attr]  # it has one
    assert found.coordinator.values(INSTANCES)
    assert found.balancer.servers("cart")
    assert isinstance(found.stub("payments").calls(), list)
    (catalog,) = Environment.attach(staging.name, workspace).instances("catalog")
    added = found.add_instance("catalog", catalog.image)
    try:
        assert InstanceRegistry(found.coordinator).instances("catalog").keys() == {"catalog-1", added.name}
    finally:
        found.remove_instance(added)


@engine_test
def test_no_secret_shows_in_labels_processes_logs_facts_or_displays(
    engine: Engine, staging: Environment, workspace: Workspace
) -> None:
    """Who lists containers or processes, reads logs or facts, or displays a URL, sees none of the secrets."""
    assert staging.database
    elements = {name: staging.element(name) for name in ("database", "coordinator", "stub", "balancer")}
    secrets = [element.secret for element in elements.values()]
    secrets[-1:] = secrets[-1].splitlines()[1:2]  # a line of the key
    assert all(len(secret) > 40 for secret in secrets)
    assert secrets[0] in staging.database.url
    api, filters = engine.client.api, {"label": [f"{Label.ENVIRONMENT}={staging.name}"]}
    listed = api.containers(all=True, filters=filters)
    shown: list[object] = [listed, api.networks(filters=filters), staging.logs(), staging.elements()]
    shown += [api.top(container["Id"]) for container in listed]
    shown += [path.read_bytes() for path in (workspace.root / ".labkit").rglob("*") if path.is_file()]
    with staging.database.connect() as connection:
        shown += [connection, connection.info.dsn, staging.database, staging.database.url]
    shown += [staging.element("database").execute("cat /proc/1/environ").output]
    shown += [f"{staging.database.url}", staging, vars(staging)["_namespace"]]
    assert [secret for secret in secrets if secret in f"{shown}"] == []


@engine_test
def test_a_password_goes_to_pg_dump_in_a_file(staging: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test database is made from an environment's; the password is in no argument and no variable."""
    assert staging.database
    odd, seen, run = r"a:b\c d", list[object](), Engine.run
    with staging.database.connect(autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE odd SUPERUSER LOGIN PASSWORD {}").format(odd))

    def watched(engine: Engine, image: str, command: list[str], **settings: Any) -> Any:
        seen.append([command, settings["environment"]])
        return run(engine, image, command, **settings)

    monkeypatch.setattr(Engine, "run", watched)
    host, port = port_of(staging, "database", 5432)
    url = f"postgresql://odd:{quote(odd)}@{host}:{port}/catalog"
    assert subset(url, staging.database.beside("copy").url, {})["products"] > 0
    assert seen
    assert odd not in str(seen)


@engine_test
def test_production_calls_the_providers_outside_and_is_the_only_one(
    engine: Engine, workspace: Workspace
) -> None:
    """The workspace owns it, only callers join the providers in the network outside, a second is refused."""
    made = Environment.create(workspace.system, "production", workspace=workspace)
    try:
        (status,) = [status for status in Environment.list(workspace) if status.stage == "production"]
        assert status.owner == str(Owner.workspace(workspace.id))
        assert get(f"{made.url}/healthz")
        outside = engine.client.networks.get(f"labkit-outside-{workspace.id}")
        outside.reload()
        joined = {container["Name"].rpartition(".")[2] for container in outside.attrs["Containers"].values()}
        assert joined == {"payments", "rates", "cart-1", "cart-2", "cart-3", "storefront-1"}
        with pytest.raises(LabError, match="none, for the external services are real here"):
            made.stub("payments")
        with pytest.raises(LabError, match="at most one production"):
            Environment.create(workspace.system, "production", workspace=workspace)
    finally:
        made.clean_up()
    assert engine.owned({Label.ENVIRONMENT: made.name}) == []

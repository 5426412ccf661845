"""labkit.system: what system.toml may declare, and how a mistake in it is reported."""

from pathlib import Path

import pytest

from labkit.environment._plan import Plan
from labkit.errors import LabError
from labkit.system import GRACE_S, STAGES, Limits, Recording, System

SHOP = Path(__file__).parents[1] / "labs" / "shop"
README = Path(__file__).parents[1] / "README.md"

GOOD = """
name = "small"
[services.front]
port = 8001
calls = ["back", "bank"]
instances = { production = 2 }
[services.back]
port = 8002
[database]
service = "back"
name = "things"
migrations = "back/migrations"
[external.bank]
mode = "read-write"
port = 8101
stub = { "POST /pay" = { status = 201, body = { state = "accepted" } } }
[config.percent]
type = "int"
default = 10
production = 15
[config.share]
type = "float"
default = 0.5
[config.wait]
type = "duration"
default = "250ms"
[config.loud]
type = "bool"
default = false
[config.greeting]
type = "str"
staging = "hello"
production = "welcome"
integration = "hi"
[toggles.new_front]
owner = "front team"
remove_by = 2027-06-30
"""


def write(folder: Path, text: str) -> Path:
    """Write a system.toml with the folders that GOOD names, and return the folder."""
    folder.joinpath("front").mkdir(exist_ok=True)
    folder.joinpath("back", "migrations").mkdir(parents=True, exist_ok=True)
    folder.joinpath("system.toml").write_text(text)
    return folder


def test_the_shop_is_read_whole() -> None:
    """The shop's own file tells services, database, external services, configuration and the entry."""
    shop = System.load(SHOP)
    assert (shop.name, shop.entry, list(shop.services)) == (
        "shop",
        "storefront",
        ["storefront", "cart", "catalog"],
    )
    assert shop.database is not None
    assert (shop.database.service, str(shop.database.migrations)) == ("catalog", "catalog/migrations")
    assert {name: external.mode for name, external in shop.external.items()} == {
        "payments": "read-write",
        "rates": "read-only",
    }
    assert all(shop.configuration(stage) for stage in STAGES)


def test_a_file_and_its_folder_name_the_same_system(tmp_path: Path) -> None:
    """Either may be given; the digest is the file's."""
    folder = write(tmp_path, GOOD)
    assert System.load(folder) == System.load(folder / "system.toml")
    assert System.load(folder).digest().startswith("sha256:")


def test_instances_default_to_one_each_but_none_in_development(tmp_path: Path) -> None:
    """What the file leaves out is one instance in every stage that has services at all."""
    system = System.load(write(tmp_path, GOOD))
    assert [system.services["front"].instances[stage] for stage in STAGES] == [0, 1, 1, 2]
    assert [service.name for service in system.services_of("integration")] == ["front", "back"]
    assert system.services_of("development") == []


def test_a_folder_that_is_a_link_out_of_the_tree_is_refused(tmp_path: Path) -> None:
    """A commit or handed-in workspace must not bring another folder of the machine into a container."""
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "system"
    folder.mkdir()
    write(folder, GOOD)
    (folder / "front").rmdir()
    (folder / "front").symlink_to(outside)
    with pytest.raises(LabError, match=r"services\.front\.path: .*link that leads elsewhere"):
        System.load(folder)


def test_the_grace_time_of_a_service_is_read(tmp_path: Path) -> None:
    """It may be written for a service, in seconds, and reaches the plan and its label."""
    system = System.load(write(tmp_path, GOOD.replace("port = 8002", "port = 8002\ngrace_s = 2.5")))
    plan = Plan.make(system, "integration", None, {}, "a test")
    read = Plan.from_labels(plan.to_labels())
    assert read == plan
    assert {service.name: service.grace_s for service in plan.services} == {"front": GRACE_S, "back": 2.5}


def test_the_limits_of_a_service_are_read(tmp_path: Path) -> None:
    """Memory, processes and processors may be written for a service; what is not written is labkit's own."""
    text = GOOD.replace("port = 8002", 'port = 8002\nmemory = "256m"\ncpus = 0.5')
    services = System.load(write(tmp_path, text)).services
    assert services["back"].limits == Limits(memory_bytes=256 << 20, pids=None, cpus=0.5)
    assert services["front"].limits == Limits()


CACHE = '[containers.cache]\nimage = "x"\n'


def test_a_service_depends_on_what_it_says_on_containers_that_it_calls_and_on_its_database(
    tmp_path: Path,
) -> None:
    """Services that call each other wait for nobody; a container waits for what it names."""
    text = GOOD.replace('"bank"]', '"bank", "cache"]\ndepends_on = ["bank"]') + CACHE
    system = System.load(write(tmp_path, text + 'depends_on = ["database"]\n'))
    assert system.dependencies() == {
        "front": ("bank", "cache"),
        "back": ("database",),
        "cache": ("database",),
    }


def test_a_circle_of_dependencies_is_refused(tmp_path: Path) -> None:
    """Nothing of it could start first; the error names all of them, and one to take out."""
    text = GOOD.replace('"bank"]', '"bank", "cache"]') + CACHE + 'depends_on = ["back"]\n'
    assert System.load(write(tmp_path, text)).dependencies()["cache"] == ("back",)
    text = text.replace("port = 8002", 'port = 8002\ndepends_on = ["front"]')
    with pytest.raises(LabError, match=r"depends_on: no circle") as caught:
        System.load(write(tmp_path, text))
    assert sorted(set(caught.value.seen.strip("'").split(" → "))) == ["back", "cache", "front"]


def test_each_stage_has_its_own_value_or_the_default(tmp_path: Path) -> None:
    """Values become environment variables; a duration becomes seconds."""
    system = System.load(write(tmp_path, GOOD))
    assert system.configuration("staging") == {
        "PERCENT": "10",
        "SHARE": "0.5",
        "WAIT": "0.25",
        "LOUD": "false",
        "GREETING": "hello",
    }
    assert system.configuration("production")["PERCENT"] == "15"
    assert system.configuration("production", {"percent": "20", "loud": True})["PERCENT"] == "20"


@pytest.mark.parametrize(
    ("stage", "overrides", "words"),
    [
        ("staging", {"percent": "ten"}, ["config.percent", "int", "'ten'"]),
        ("staging", {"percent": 1.5}, ["config.percent", "1.5"]),
        ("staging", {"percent": True}, ["config.percent", "True"]),
        ("staging", {"loud": 1}, ["config.loud", "bool"]),
        ("staging", {"wait": "5 weeks"}, ["config.wait", "duration", "250ms"]),
        ("staging", {"prcent": 1}, ["prcent", "take prcent out", "percent"]),
        ("development", {}, ["config.greeting", "a value for development", "add development"]),
        ("stagign", {}, ["a stage", "stagign"]),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    tmp_path: Path, stage: str, overrides: dict[str, object], words: list[str]
) -> None:
    """A wrong type, a missing value and an unknown key are told before anything starts."""
    system = System.load(write(tmp_path, GOOD))
    with pytest.raises(LabError) as caught:
        system.configuration(stage, overrides)
    assert not [word for word in words if word not in str(caught.value)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "small"', "", ["name", "nothing", "add name"]),
        ('name = "small"', 'name = "My Shop"', ["name", "'My Shop'", 'name = "my-shop"']),
        ('name = "small"', 'name = "Shop"', ["name", "'Shop'", 'name = "shop"']),
        ('name = "small"', 'name = "shop-"', ["name", 'name = "shop"']),
        ('name = "small"', f'name = "{"n" * 41}"', ["name", "40 at most"]),
        ('staging = "hello"\nproduction = "welcome"', "", ["config.greeting", "a value for production"]),
        ("port = 8002", "port = 9999", ["services.back.port", "9999", "the load balancer"]),
        ("port = 8002", "port = 8002\nready = '/a b'", ["services.back.ready", "'/a b'"]),
        ("port = 8002", "port = 8002\nready = '/%[env(PATH)]'", ["services.back.ready", "%[env(PATH)]"]),
        ("port = 8002", "port = 8001", ["services.back.port", "8001", "front"]),
        ("port = 8002", 'port = "8002"', ["services.back.port", "'8002'", "a port number"]),
        ("port = 8002", "port = 80020", ["services.back.port", "80020"]),
        ("port = 8002", "port = true", ["services.back.port", "True"]),
        ("port = 8002", "prot = 8002", ["services.back.port", "nothing", "add port"]),
        ("port = 8002", 'port = 8002\nraedy = "/"', ["services.back.raedy", "write ready instead"]),
        ("port = 8002", 'port = 8002\nready = "readyz"', ["services.back.ready", 'write "/readyz"']),
        *[
            ("port = 8002", f"port = 8002\nready = '{path}'", ["services.back.ready", "a path of letters"])
            for path in ("/a b", '/a"b', "/a#b", "/%[env(PATH)]", "/${PATH}", "/a\\\\b")
        ],
        ("port = 8002", 'port = 8002\nready = "/a\\nb"', ["services.back.ready", "a path of letters"]),
        ("port = 8002", 'port = 8002\nmemory = "lots"', ["services.back.memory", "m or g", '"256m"']),
        ("port = 8002", 'port = 8002\nmemory = "1m"', ["services.back.memory", "16m to 1024g"]),
        ("port = 8002", "port = 8002\nmemory = 256", ["services.back.memory", "256"]),
        ("port = 8002", "port = 8002\npids = 0", ["services.back.pids", "at least 1"]),
        ("port = 8002", "port = 8002\npids = 1.5", ["services.back.pids", "a whole number"]),
        ("port = 8002", "port = 8002\ncpus = -1", ["services.back.cpus", "at least 0.01"]),
        ("port = 8002", "port = 8002\ncpus = 0.001", ["services.back.cpus", "at least 0.01"]),
        ("port = 8002", 'port = 8002\nmemory = "99999999999g"', ["services.back.memory", "16m to 1024g"]),
        ("port = 8002", "port = 8002\npids = 99999999999", ["services.back.pids", "at most 4194304"]),
        ("port = 8002", "port = 8002\ncpus = inf", ["services.back.cpus", "at most 1024"]),
        ("port = 8002", 'port = 8002\npath = "b\\u0000"', ["services.back.path", "a folder"]),
        *[
            ("port = 8002", f"port = 8002\ngrace_s = {value}", ["services.back.grace_s", "seconds over 0"])
            for value in ("0", "-1", "inf", "nan", "601", "true", '"5"')
        ],
        ("port = 8002", 'port = 8002\npath = "../back"', ["services.back.path", "../back"]),
        ("port = 8002", 'port = 8002\npath = "away"', ["services.back.path", "make the folder away"]),
        ('calls = ["back", "bank"]', 'calls = ["back", "bnak"]', ["services.front.calls", "bnak", "bank"]),
        ('calls = ["back", "bank"]', 'calls = "back"', ["services.front.calls", "a list of texts"]),
        ("port = 8002", 'port = 8002\ndepends_on = ["bnak"]', ["services.back.depends_on", "bnak", "bank"]),
        ("port = 8002", 'port = 8002\ndepends_on = ["back"]', ["services.back.depends_on", "back → back"]),
        ("port = 8002", 'port = 8002\ndepends_on = "bank"', ["services.back.depends_on", "a list of texts"]),
        ('calls = ["back", "bank"]', "calls = []", ["services", "front, back", "exactly one"]),
        ("production = 2", "production = -1", ["services.front.instances.production", "-1"]),
        ("production = 2", "production = 1000000", ["services.front.instances.production", "0 to 100"]),
        ("production = 2", "prodution = 2", ["services.front.instances.prodution", "write production"]),
        ("[services.back]", '[services."The Back"]', ["services.The Back", "the-back"]),
        ("[external.bank]", "[containers.ba-ck]\n[external.bank]", ["containers.ba-ck.image"]),
        (
            "[external.bank]",
            '[containers.x_y]\nimage = "i"\n[containers.x-y]\nimage = "i"\n[external.bank]',
            ["containers.x-y", "rename x-y"],
        ),
        (
            "[external.bank]",
            '[containers.x]\nimage = "i"\nready = "test \'-e /up"\n[external.bank]',
            ["containers.x.ready", "each quote closed"],
        ),
        (
            "[external.bank]",
            '[containers.front-1]\nimage = "i"\n[external.bank]',
            ["containers.front-1", "front's own", "rename front-1"],
        ),
        (
            "[external.bank]",
            '[services.front-checked]\nport = 8009\ncalls = ["front"]\n[external.bank]',
            ["services.front-checked", "front's own"],
        ),
        (
            "[external.bank]",
            '[containers.x]\nimage = "i"\nvariables = { "A=B" = "c" }\n[external.bank]',
            ["containers.x.variables.A=B", "a variable's name"],
        ),
        ('name = "things"', 'name = "My Things"', ["database.name", '"my-things"']),
        ('name = "things"', 'name = "postgres"', ["database.name", "choose another"]),
        ('name = "things"', 'name = "snapshot_x"', ["database.name", "choose another"]),
        ("default = 0.5", "default = nan", ["config.share.default", "a value of type float"]),
        ("default = 0.5", 'default = {env = "SHARE"}', ["config.share.default", "a value of type float"]),
        ('service = "back"', 'service = "bank"', ["database.service", "bank"]),
        ('migrations = "back/migrations"', "", ["database.migrations", "add migrations"]),
        ('mode = "read-write"', 'mode = "read-wite"', ["external.bank.mode", "write read-write instead"]),
        ('"POST /pay"', '"pay"', ["external.bank.stub.pay", "METHOD /path"]),
        ("status = 201", "stauts = 201", ["external.bank.stub.POST /pay", "stauts"]),
        ("status = 201", "status = 99", ["external.bank.stub.POST /pay", "200 to 599", "99"]),
        ("status = 201", "status = true", ["external.bank.stub.POST /pay", "200 to 599"]),
        ("status = 201", "delay_s = -1", ["external.bank.stub.POST /pay", "delay_s: seconds"]),
        ("status = 201", "delay_s = nan", ["external.bank.stub.POST /pay", "delay_s: seconds"]),
        ("status = 201", 'cut = "yes"', ["external.bank.stub.POST /pay", "cut: true or false"]),
        ("status = 201", "when = 1", ["external.bank.stub.POST /pay", "the name of a state"]),
        ("status = 201", 'when = "paid"', ["external.bank.stub.POST /pay", "'paid'", "one of start"]),
        ('{ state = "accepted" }', "{ rate = nan }", ["POST /pay", "JSON, which has no dates, nan or inf"]),
        ('{ state = "accepted" }', "{ at = 2027-06-30 }", ["POST /pay", "JSON, which has no dates"]),
        ('{ status = 201, body = { state = "accepted" } }', "[]", ["POST /pay", "METHOD /path"]),
        ('{ status = 201, body = { state = "accepted" } }', "[{}, {}]", ["POST /pay", "as the last"]),
        ("port = 8101", 'port = 8101\nrecording = "/tmp/x"', ["external.bank.recording", "a file"]),
        ("port = 8101", 'port = 8101\nrecording = "x.json"', ["a recording in x.json", "record it again"]),
        ("[config.percent]", "[config.bank_url]", ["config.bank_url", "BANK_URL", "rename bank_url"]),
        ("[config.percent]", "[config.database-url]", ["config.database-url", "rename"]),
        ("[config.percent]", "[config.path]", ["config.path", "PATH", "rename path"]),
        ("[config.percent]", '[config.sha-re]\ntype = "int"\ndefault = 1\n[config.sha_re]', ["SHA_RE"]),
        ("[config.percent]", "[config.labkit_stage]", ["config.labkit_stage", "rename"]),
        ('type = "int"', 'type = "integer"', ["config.percent.type", "write int instead"]),
        ("default = 10", 'default = "ten"', ["config.percent.default", "type int", "'ten'"]),
        ("production = 15", "prodction = 15", ["config.percent.prodction", "write production instead"]),
        ('production = "welcome"', 'production = "a\\u0000b"', ["config.greeting.production", "type str"]),
        ("remove_by = 2027-06-30", 'remove_by = "soon"', ["toggles.new_front.remove_by", "a date"]),
        ("[database]", "[datbase]", ["datbase", "write database instead"]),
        ("[database]", "[database", ["TOML", "correct that line"]),
        ("[database]", f"x = {'[' * 9999}", ["TOML", "correct that line"]),
    ],
)
def test_a_mistake_names_file_key_and_next_step(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    """Whatever is wrong in the file, the error says where, what was seen, and what to write instead."""
    assert old in GOOD
    with pytest.raises(LabError) as caught:
        System.load(write(tmp_path, GOOD.replace(old, new, 1)))
    assert not [word for word in ["system.toml", *words] if word not in str(caught.value)], str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("port = 8002", "", "a port number, 1 to 65535"),
        ('calls = ["back", "bank"]', "", "exactly one service that no other calls"),
        ("[database]", '[database.one]\nname = "one"\n[database]', "one database, of PostgreSQL"),
        ("[database]", "[[database]]", "one database, of PostgreSQL"),
        ('name = "things"', 'name = "things"\nengine = "mysql"', "take engine out: it is PostgreSQL"),
        ("port = 8002", 'port = 8002\nenv = { A = "b" }', "declare a parameter in [config]"),
        ("port = 8002", 'port = 8002\nimage = "nginx:1"', "write path = the folder with a Dockerfile"),
        ("port = 8002", 'port = 8002\ndockerfile = "Dockerfile.prod"', "name the file Dockerfile"),
        ("port = 8002", "port = 8002\nready_s = 60", "take ready_s out"),
        ('type = "int"', 'type = "secret"', "one of int, float, str, bool, duration"),
        ('staging = "hello"', 'staging = ""', "which is not empty"),
    ],
)
def test_what_the_file_cannot_say_is_refused_in_the_words_of_the_readme(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    """Each limit stands in the README, with what labkit says about it and what to do instead."""
    with pytest.raises(LabError) as caught:
        System.load(write(tmp_path, GOOD.replace(old, new, 1)))
    assert words in str(caught.value)
    assert f"“{words}" in README.read_text()


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A folder in its place is no traceback."""
    (tmp_path / "system.toml").mkdir()
    with pytest.raises(LabError, match="Is a directory"):
        System.load(tmp_path)


def test_a_service_that_writes_elsewhere_is_never_real_outside_production(tmp_path: Path) -> None:
    """A read-write external service configured real in staging is refused; a read-only one may be."""
    text = GOOD.replace('mode = "read-write"', 'mode = "read-write"\nreal = ["staging", "production"]')
    with pytest.raises(LabError, match=r"external\.bank\.real") as caught:
        System.load(write(tmp_path, text))
    assert 'real = ["production"]' in caught.value.next_step
    only_reads = System.load(write(tmp_path, text.replace('"read-write"', '"read-only"')))
    assert only_reads.external["bank"].real == ("staging", "production")


def test_no_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """A folder without a system.toml is named."""
    with pytest.raises(LabError, match=r"system\.toml"):
        System.load(tmp_path)


def test_a_stub_may_answer_by_state_late_or_not_to_the_end(tmp_path: Path) -> None:
    """A list of answers is read as it is written when each of them can be given."""
    answers = (
        """[{ when = "start", status = 503, delay_s = 0.5, then = "back" }, { when = "back", cut = true }]"""
    )
    old = '{ status = 201, body = { state = "accepted" } }'
    system = System.load(write(tmp_path, GOOD.replace(old, answers, 1)))
    assert system.external["bank"].stub["POST /pay"] == [
        {"when": "start", "status": 503, "delay_s": 0.5, "then": "back"},
        {"when": "back", "cut": True},
    ]


def test_a_recording_answers_for_the_stub_except_where_system_toml_does(tmp_path: Path) -> None:
    """The recorded answers stand beside those of system.toml, and the system's digest covers the file."""
    recording = Recording("bank", "2027-06-30T12:00:00+00:00", {"GET /limit": {}, "POST /pay": {}})
    recording.save(tmp_path / "recordings" / "bank.json")
    assert Recording.load(tmp_path / "recordings" / "bank.json") == recording
    text = GOOD.replace("port = 8101", 'port = 8101\nrecording = "recordings/bank.json"')
    system = System.load(write(tmp_path, text))
    assert list(system.external["bank"].stub) == ["GET /limit", "POST /pay"]
    assert system.external["bank"].stub["POST /pay"]["status"] == 201
    before = system.digest()
    Recording("bank", "2027-07-01T12:00:00+00:00", {}).save(tmp_path / "recordings" / "bank.json")
    assert system.digest() != before
    Recording("shop", "2027-07-01T12:00:00+00:00", {}).save(tmp_path / "recordings" / "bank.json")
    with pytest.raises(LabError, match="a recording of bank"):
        System.load(tmp_path)

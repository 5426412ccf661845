"""A system that is not the shop: no Python, a Redis that system.toml declares, gates that fit it."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from images import remove_images

from labkit import lesson, pipeline
from labkit._tar import pack
from labkit.engine import Engine
from labkit.engine._build import build
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.system import System
from labkit.workspace import Workspace

REDIS = "labkit/test-redis:1"
DEBIAN = """\
FROM debian:bookworm-slim
RUN apt-get -qq update && apt-get -qq install --yes --no-install-recommends redis-server > /dev/null
CMD ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"]
"""

VOTE = r"""
use strict;
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 20, ReuseAddr => 1) or die $!;
$SIG{TERM} = sub { exit 0 };
while (my $client = $server->accept) {
    my $request = <$client> // '';
    while (defined(my $line = <$client>)) { last if $line eq "\r\n" }
    my $votes = '';
    if ($request =~ m{^POST /votes}) { $votes = redis("INCR votes") }
    elsif ($request =~ m{^GET /votes}) { $votes = redis("GET votes") }
    my $body = qq({"votes": "$votes", "instance": "$ENV{LABKIT_INSTANCE}"});
    print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ",
        length $body, "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
sub redis {
    my $redis = IO::Socket::INET->new(PeerAddr => $ENV{REDIS_ADDRESS}) or return "no redis";
    print $redis "$_[0]\r\n";
    my $answer = <$redis>;
    $answer = <$redis> if $answer =~ /^\$\d/;
    $answer =~ s/[^\w ]//g;
    return $answer;
}
"""

FILES = {
    "system.toml": """\
name = "votes"
[services.vote]
path = "vote"
port = 8080
calls = ["redis"]
ready = "/"
instances = { production = 2 }
[containers.redis]
image = "labkit/test-redis:1"
port = 6379
ready = "redis-cli ping"
variables = { PURPOSE = "votes" }
[containers.page]
path = "page"
command = "perl /page.pl"
port = 9000
ready = "/"
""",
    "pipeline.toml": """\
[[stages]]
name = "development"
trigger = "commit"
gates = []
[[stages]]
name = "integration"
trigger = "development.cleaned-up"
gates = ["bill_of_materials", "functional"]
[[stages]]
name = "production"
trigger = "integration.cleaned-up"
gates = ["watch"]
[traffic]
rate_per_s = 5
[[traffic.requests]]
send = "GET /votes"
[gates.watch]
duration_s = 2
""",
    "vote/Dockerfile": 'FROM debian:bookworm-slim\nCOPY vote.pl /\nCMD ["perl", "/vote.pl"]\n',
    "vote/vote.pl": VOTE,
    "page/Dockerfile": "FROM debian:bookworm-slim\nCOPY page.pl /\n",
    "page/page.pl": VOTE.replace("8080", "9000"),
    "functional/test_votes.py": """\
import json, os, urllib.request

def ask(method):
    request = urllib.request.Request(os.environ["VOTE_URL"] + "/votes", method=method)
    return json.load(urllib.request.urlopen(request, timeout=5))["votes"]

def test_a_vote_counts():
    assert ask("POST") == "1"
    assert ask("GET") == "1"
""",
}


def write(folder: Path) -> None:
    """Write the system into a folder."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """Build an image of Debian's Redis, as a course author has one; at the end remove the tests' images."""
    engine = Engine.find()
    build(engine, pack({"Dockerfile": DEBIAN.encode()}), REDIS, {})
    yield REDIS
    for repository in ("labkit/test-redis", "labkit/votes-vote", "labkit/votes-page"):
        remove_images(engine, repository)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace whose repository holds the other system."""
    made = Workspace.create(tmp_path_factory.mktemp("other") / "workspace")
    for path in made.shop.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write(made.shop)
    for command in (["add", "--all"], ["commit", "--quiet", "--message", "Votes"]):
        subprocess.run(["git", "-C", made.shop, *command], check=True)
    yield made
    Environment.clean_up_all(made)
    made.artifacts.close()


@pytest.mark.engine
@pytest.mark.timeout(240)
def test_a_system_without_python_goes_through_the_pipeline(workspace: Workspace, redis: str) -> None:
    """Its Redis is in every environment, its own gates judge it, and production counts votes."""
    run = pipeline.run(workspace)
    assert (run.state, run.stopped_because) == ("passed", "")
    (status,) = Environment.list(workspace)
    production = Environment.attach(status.name, workspace)
    for expected in ("1", "2"):
        request = urllib.request.Request(f"{production.url}/votes", method="POST")  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own
            assert json.load(answer)["votes"] == expected
    state = {element.name: (element.role, element.state) for element in production.elements()}
    assert state["redis"] == state["page"] == ("container", "running")
    assert production.element("redis").image == redis
    assert production.element("redis").execute(["printenv", "PURPOSE"]).output == "votes\n"
    production.element("redis").kill()
    assert lesson.ask(f"{production.url}/votes").body["votes"] == "no redis"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('image = "x:1"\npath = "page"', "and not both"),
        ("port = 6379", "and not both"),
        ('image = "x:1"\nready = "/health"', "the port at which GET /health is answered"),
        ('image = "x:1"\nvariables = { SIZE = 3 }', "a text, as environment variables are"),
        ('image = "x:1"\nprot = 3', "write port instead of prot"),
        ('path = "nowhere"', "a folder beside system.toml"),
    ],
)
def test_a_container_that_cannot_be_is_refused_with_file_and_key(
    tmp_path: Path, line: str, words: str
) -> None:
    """The error comes before anything starts, with the file and the key."""
    write(tmp_path)
    (tmp_path / "system.toml").write_text(FILES["system.toml"] + f"[containers.queue]\n{line}\n")
    with pytest.raises(LabError, match=words) as caught:
        System.load(tmp_path)
    assert "system.toml, containers.queue" in caught.value.expected


def test_a_service_takes_no_name_of_labkits_own_elements(tmp_path: Path) -> None:
    """A service called database would be found under the name of the database server."""
    write(tmp_path)
    text = FILES["system.toml"].replace("services.vote", "services.database")
    (tmp_path / "system.toml").write_text(text)
    with pytest.raises(LabError, match=r"services\.database: a name that no service"):
        System.load(tmp_path)


@pytest.mark.parametrize("name", ["vote", "database", "balancer"])
def test_a_container_takes_nobodys_name(tmp_path: Path, name: str) -> None:
    """A container gets no name of a service or of labkit's own elements."""
    write(tmp_path)
    (tmp_path / "system.toml").write_text(FILES["system.toml"] + f'[containers.{name}]\nimage = "x:1"\n')
    with pytest.raises(LabError, match="a name that no service"):
        System.load(tmp_path)

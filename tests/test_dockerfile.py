"""What a Dockerfile names, and what is refused before its build."""

import uuid
from pathlib import Path

import pytest
from images import remove_images

from labkit._tar import pack
from labkit.engine import BuildFailed, Dockerfile, Engine, ImageMissing
from labkit.engine._build import build
from labkit.engine._dockerfile import check_dockerfile
from labkit.engine._locate import locate

HIDDEN = [
    "ADD http://127.0.0.1:1/x /x",
    "add\thttps://host/x /x",
    "AD\\\nD http://host/x /x",
    "ADD \\\n# between\n\n  http://host/x /x \\",
    'ADD ["\\u0068ttp:/\\u002fhost/x", "/x"]',
    "ADD http:\\/\\/host/x /x",
    "ADD git@host:x/y.git /x",
    "ENV WHERE=http://host/x\nADD $WHERE /x",
    "ADD --chown=1:1 http://host/x /x",
    "ONBUILD ADD http://host/x /x",
    "onbuild add http://host/x /x",
    "# escape=`\nADD a /x",
    'COPY --fr"om"=host/evil:1 /x /x',
    "FROM --platform=linux/s390x scratch",
    "FROM $NOTHING",
    'FROM "scratch"',
    "ARG A=one A=${B:-scratch}\nFROM $A",
    # What is joined to a line, and what is not, as the builder sees it.
    "RUN true \\\n  # a comment, or not\nADD http://host/x /x",
    "RUN true \\\xa0\nADD http://host/x /x",
    "RUN true \\\n\x1c\nADD http://host/x /x",
    "RUN true \\\x0b\nADD http://host/x /x",
    'RUN cat <<"E\\"\nE\\\nADD http://host/x /x',
]


def context(text: str, name: str = "Dockerfile") -> bytes:
    """Return what a build gets: a tar with a Dockerfile."""
    return pack({name: text.encode()})


@pytest.mark.parametrize("line", HIDDEN)
@pytest.mark.parametrize("name", ["Dockerfile", "dockerfile"])
def test_a_dockerfile_that_adds_an_address_is_refused_before_the_build(line: str, name: str) -> None:
    """However the address is written; the engine would fetch it from where only its own machine reaches."""
    text = f"{line}\n" if line.startswith(("#", "ARG")) else f"FROM scratch\n{line}\n"
    with pytest.raises(BuildFailed):
        check_dockerfile(Engine(locate()), context(text, name))


def test_a_dockerfile_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """What is read before the build has to be what is built."""
    (tmp_path / "Dockerfile").symlink_to("other")
    with pytest.raises(BuildFailed, match="a link"):
        check_dockerfile(Engine(locate()), pack({"": tmp_path}))


def test_a_dockerfile_of_own_files_and_stages_is_built() -> None:
    """Files beside it, earlier stages by name and number, and scratch need nothing from elsewhere."""
    text = """# a comment:\xa0ADD http://host/x
ARG ROOT=scratch OTHER="x y"
FROM ${ROOT} AS First
ADD --chown=1:1 data.tar /x
FROM first
COPY --from=FIRST /x /x
COPY --from=0 /x /y
RUN curl http://host/x && echo $((1<<2)) \\
    # where it goes

  && cat <<< word"""
    assert check_dockerfile(Engine(locate()), context(text)) == Dockerfile("")


@pytest.mark.parametrize(
    ("text", "base", "others"),
    [
        ("FROM example/node:1\nCOPY . /app\n", "example/node:1", ()),
        (
            "FROM labkit/build:1 AS build\nRUN true\nFROM labkit/python:1\nCOPY --from=build /venv /venv\n",
            "labkit/python:1",
            ("labkit/build:1",),
        ),
        ("# FROM nobody\nfrom a:1 as Ground\nFROM ground\n", "a:1", ()),
        ('ARG TAG=1\nARG NODE="example/node"\nFROM ${NODE}:$TAG\n', "example/node:1", ()),
        ("FROM a:1\nFROM b:1 AS c\nRUN echo FROM d:1\n", "b:1", ("a:1",)),
        ("FROM b:1\nCOPY --from=a:1 /x /x\nONBUILD COPY --from=c:1 /x /x", "b:1", ("a:1", "c:1")),
        ("FROM \\\n  a:1\n", "a:1", ()),
        ("FROM a:1 AS build\nFROM scratch\n", "", ("a:1",)),
    ],
)
def test_a_dockerfile_names_its_base(text: str, base: str, others: tuple[str, ...]) -> None:
    """The base is the last stage's; stages, arguments, other spellings and long lines are followed."""
    assert Dockerfile.read(text) == Dockerfile(base, others)


@pytest.mark.engine
@pytest.mark.parametrize(
    "text",
    [
        "FROM 127.0.0.1:1/evil:1\n",
        "FROM 127.0.0.1:1/EVIL//x\n",
        "ARG A=127.0.0.1:1\nFROM ${A}/evil:1\n",
        "FROM scratch\nCOPY --from=127.0.0.1:1/evil:1 /x /x\n",
        # No number of a stage, and too long to be how the id of some image begins.
        "FROM scratch AS one\nFROM one\nCOPY --from=20261130202611302026 /x /x\n",
    ],
)
def test_an_image_that_the_engine_does_not_have_is_refused_before_the_build(text: str) -> None:
    """No registry is asked during a build: neither for the base nor for what is copied from."""
    with pytest.raises(ImageMissing):
        check_dockerfile(Engine.find(), context(text))


@pytest.mark.engine
def test_what_an_image_adds_to_a_build_from_it_is_refused_too() -> None:
    """ONBUILD in an image that was made elsewhere is done by the build that starts from it."""
    engine, name = Engine.find(), f"labkit-test/{uuid.uuid4().hex[:12]}"
    try:
        build(engine, context("FROM scratch\nONBUILD ADD http://127.0.0.1:1/x /x\n"), f"{name}:1", {})
        with pytest.raises(BuildFailed, match=r"http://127\.0\.0\.1:1/x"):
            check_dockerfile(engine, context(f"FROM {name}:1\n"))
    finally:
        remove_images(engine, name)
        engine.close()

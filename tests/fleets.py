"""Fixtures: a fleet of carts behind a real load balancer, for tests of deployments."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from carts import BAD, GRACE_S, NAME, N, is_whole
from images import remove_images

from labkit import Environment, Workspace
from labkit._git import git
from labkit.balancer._configuration import TRAFFIC
from labkit.deployment import Fleet, rolling, scale
from labkit.engine import Engine, Label, build_service_image


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Make a workspace for the tests of deployments; nothing of it is left in the engine."""
    made = Workspace.create(tmp_path_factory.mktemp("deployment") / "workspace")
    yield made
    Engine.find().remove({Label.WORKSPACE: made.id})


@pytest.fixture(scope="session")
def images(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Build both versions of the cart, and bad ones, each named by what it does."""
    engine, made = Engine.find(), {}
    try:
        for tag in ("v1", "v2"):
            source = git(workspace.shop, "archive", f"{tag}:cart").stdout
            made[tag] = build_service_image(engine, source, f"{NAME}:{tag}", {Label.VERSION: tag}).ref
        for tag, recipe in BAD.items():
            folder = tmp_path_factory.mktemp(tag)
            (folder / "Dockerfile").write_text(f"{recipe}\n")
            made[tag] = build_service_image(engine, folder, f"{NAME}:{tag}", {Label.VERSION: tag}).ref
        yield made
    finally:
        remove_images(engine, NAME)


@pytest.fixture(scope="session")
def environment(workspace: Workspace, images: dict[str, str]) -> Iterator[Environment]:
    """Create an environment with three instances of the cart's first version."""
    system = workspace.system
    services = {**system.services, "cart": replace(system.services["cart"], grace_s=GRACE_S)}
    quick = replace(system, services=services)
    with Environment.create(quick, "integration", workspace=workspace) as made:
        for _ in range(N - 1):
            made.balancer.add(made.add_instance("cart", images["v1"]))
        yield made


@pytest.fixture
def fleet(environment: Environment, images: dict[str, str]) -> Fleet:
    """Return the fleet of the cart, all of it at one version."""
    made = Fleet(environment, "cart")
    if len(made.versions) > 1 or set(made.versions) - {"v1", "v2"}:
        rolling(made, images["v1"])
    if len(made.instances) != N:  # so that a test that failed takes no other with it
        scale(made, N)
    assert is_whole(made, {next(iter(made.versions)): N})
    while environment.balancer.traffic("cart").failed:  # the failures that the test before it made on purpose
        environment.balancer.command(f"clear table {TRAFFIC} key cart")
        time.sleep(0.05)
    return made


@pytest.fixture
def old(fleet: Fleet) -> str:
    """Return the image that serves when a test begins."""
    return fleet.instances[0].image


@pytest.fixture
def new(images: dict[str, str], old: str) -> str:
    """Return the image of the other version."""
    return images["v1"] if old == images["v2"] else images["v2"]

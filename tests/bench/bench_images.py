"""How long one image of all servers takes to build, beside one image a server.

"plain" is a Dockerfile as one writes it for one server; "the same recipe" is labkit's own with one package.
"""

import json
import re
import time

from labkit.engine import Engine
from labkit.engine._build import build
from labkit.engine._recipes import dockerfile, tar

RECIPE = dockerfile("servers")
PLAIN = b"""FROM debian:bookworm-slim
ARG PACKAGES
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get -qq update \\
 && apt-get -qq install -y --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*
"""
SERVERS = re.findall(r'ARG PACKAGES="(.*)"', RECIPE.decode())[0].split()
TAG = "labkit-bench/servers"
ROUNDS = 2
"""The quickest of equal builds counts: what disturbs a build only ever makes it longer."""


def measured(engine: Engine, recipe: bytes, *packages: str) -> tuple[float, int]:
    """Build an image with these servers, nothing cached, and remove it; return (wall seconds, megabytes)."""
    arguments = {"PACKAGES": " ".join(packages)}
    started = time.perf_counter()
    try:
        made = build(engine, tar({"Dockerfile": recipe}), f"{TAG}:1", {}, arguments=arguments, cached=False)
        return round(time.perf_counter() - started, 1), made.size_bytes // 10**6
    finally:
        for image in engine.client.images.list(TAG):
            engine.client.images.remove(image.id, force=True)


engine = Engine.find()
jobs = [("all", RECIPE), *((server, recipe) for recipe in (PLAIN, RECIPE) for server in SERVERS)]
rounds = [
    [measured(engine, recipe, *(SERVERS if name == "all" else [name])) for name, recipe in jobs]
    for _ in range(ROUNDS)
]
least = {job: min(times) for job, times in zip(jobs, zip(*rounds, strict=True), strict=True)}
together = least["all", RECIPE]
for name, recipe, aim in (("plain Dockerfiles", PLAIN, 0.5), ("the same recipe", RECIPE, None)):
    apart = {server: least[server, recipe] for server in SERVERS}
    figure = {
        "figure": f"time of one image of all servers / of one image a server ({name})",
        "value": round(together[0] / sum(seconds for seconds, _ in apart.values()), 2),
        "unit": "ratio",
        "aim": aim,
        "seconds_and_megabytes": {"all": together, **apart},
    }
    print(json.dumps(figure))

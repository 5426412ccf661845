"""How long one image of all servers takes to build, beside one image a server as one writes it alone."""

import json
import re
import time

from labkit._tar import pack
from labkit.engine import Engine
from labkit.engine._build import build
from labkit.engine._recipes import dockerfile

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
        made = build(engine, pack({"Dockerfile": recipe}), f"{TAG}:1", {}, arguments=arguments, cached=False)
        return round(time.perf_counter() - started, 1), made.size_bytes // 10**6
    finally:
        for image in engine.client.images.list(TAG):
            engine.client.images.remove(image.id, force=True)


engine = Engine.find()
jobs = {"all": (RECIPE, SERVERS), **{server: (PLAIN, [server]) for server in SERVERS}}
rounds = [[measured(engine, recipe, *packages) for recipe, packages in jobs.values()] for _ in range(ROUNDS)]
least = dict(zip(jobs, (min(times) for times in zip(*rounds, strict=True)), strict=True))
figure = {
    "figure": "one image of all servers, its time to build / that of one plain image a server",
    "value": round(least["all"][0] / sum(least[server][0] for server in SERVERS), 2),
    "unit": "ratio",
    "aim": 0.5,
    "seconds_and_megabytes": least,
}
print(json.dumps(figure))

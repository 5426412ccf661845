"""Failed requests of five rolling upgrades of three carts at 300 requests a second on POST /totals."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from labkit import Environment, Workspace
from labkit.deployment import Fleet, rolling
from labkit.engine import Engine, Label, build_service_image
from labkit.load import Load, Request, Running, apply

RUNS, INSTANCES, RATE = 5, 3, 300
CART = {"lines": [{"sku": "aspirin", "name": "Aspirin", "quantity": 2, "price_cents": 300}]}
LOAD = Load({Request("POST", "/totals", {"cart": CART}): 1}, RATE, None)
SETTLED_S = 2


def build(workspace: Workspace) -> list[str]:
    """Build both versions of the cart and return their images."""
    images = []
    for tag in ("v1", "v2"):
        command = ["git", "-C", workspace.shop, "archive", f"{tag}:cart"]
        source = subprocess.run(command, capture_output=True, check=True).stdout
        labels = {Label.VERSION: tag}
        images.append(build_service_image(Engine.find(), source, f"labkit/bench-cart:{tag}", labels).ref)
    return images


def settle(load: Running) -> None:
    """Let the load run for a while."""
    start = load.snapshot().seconds
    while load.snapshot().seconds < start + SETTLED_S:
        time.sleep(0.1)


def upgrade(fleet: Fleet, image: str) -> dict[str, object]:
    """Upgrade under load and return what the clients saw."""
    with apply(LOAD, fleet.environment.urls["cart"]) as load:
        settle(load)
        deployment = rolling(fleet, image)
        settle(load)
        result = load.stop()
    figures = {"requests": result.requests, "failed": result.failed, "errors": dict(result.errors)}
    times = {"seconds": round(deployment.seconds, 1), "p50_ms": result.p50_ms, "p99_ms": result.p99_ms}
    return {**figures, **times, "late_p99_ms": result.late_p99_ms, "versions": sorted(result.by_version)}


def main() -> None:
    """Print one JSON line a run and one for all."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        images = build(workspace)
        with Environment.create(workspace.system, "integration", workspace=workspace) as environment:
            fleet = Fleet(environment, "cart")
            for _ in range(INSTANCES - 1):
                environment.balancer.add(environment.add_instance("cart", images[0]))
            rolling(fleet, images[0])
            for run in range(RUNS):
                seen = upgrade(fleet, images[(run + 1) % 2])
                failed += int(str(seen["failed"]))
                print(json.dumps({"figure": f"rolling upgrade, run {run + 1}", "value": seen}))
    figure = {
        "figure": f"failed requests in {RUNS} rolling upgrades",
        "value": failed,
        "unit": "requests",
        "aim": 0,
    }
    print(json.dumps(figure))
    for image in [*images, "labkit/bench-cart:stage-1"]:
        Engine.find().client.images.remove(image, force=True)


if __name__ == "__main__":
    main()

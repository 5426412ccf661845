"""Deployments of ten carts under load on POST /totals: failed requests, time, slow ends, and bad canaries."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from labkit import Environment, Workspace
from labkit.deployment import (
    Deployment,
    Evidence,
    Fleet,
    Step,
    StepState,
    blue_green,
    canary,
    image_of,
    roll_back,
    rolling,
    scale,
)
from labkit.engine import Engine, Label, build_service_image
from labkit.load import Arrival, Load, Request, RunningLoad, apply

N, RUNS, RATE, CANARIES, FAILING = 10, 5, 300, 20, 0.1
CART = {"lines": [{"sku": "aspirin", "name": "Aspirin", "quantity": 2, "price_cents": 300}]}
MIX: dict[Arrival, float] = {Request("POST", "/totals", {"cart": CART}): 1}
SETTLED_S, RAMP = 2, 1.25
END_S = 3
SLOW_END = f"""
import os, signal, threading
signal.signal(signal.SIGTERM, lambda *_: threading.Timer({END_S}, os._exit, [0]).start())
"""
"""Code of a service that goes on answering for END_S seconds after SIGTERM, and then ends."""


def tell(figure: str, **values: object) -> None:
    """Print one JSON line."""
    print(json.dumps({"figure": figure, **values}), flush=True)


def settle(load: RunningLoad, seconds: float = SETTLED_S) -> None:
    """Let the load run for a while."""
    start = load.snapshot().seconds
    while load.snapshot().seconds < start + seconds:
        time.sleep(0.1)


def most(url: str) -> float:
    """Return the rate a second that the fleet serves with p99 below 100 ms, found by raising it."""
    rate = float(RATE)
    while True:
        result = apply(Load(MIX, rate * RAMP, 4), url).wait()
        if result.failed or result.p99_ms > 100:
            return rate
        rate *= RAMP


def under_load(fleet: Fleet, rate: float, deploy: Callable[[], Deployment]) -> tuple[Deployment, int, int]:
    """Deploy while requests arrive; return the deployment, the requests and how many failed."""
    with apply(Load(MIX, rate, None), fleet.environment.urls["cart"]) as load:
        settle(load)
        done = deploy()
        settle(load)
        result = load.stop()
    return done, result.requests, result.failed


def strategies(fleet: Fleet, images: list[str], rate: float, title: str) -> None:
    """Deploy five times each way."""
    for name, strategy in (("rolling", rolling), ("blue/green", blue_green)):
        seconds, requests, failed = [], 0, 0
        for _ in range(RUNS):
            new = next(image for image in images if image != fleet.instances[0].image)
            done, asked, lost = under_load(fleet, rate, partial(strategy, fleet, new))
            seconds.append(done.seconds)
            requests, failed = requests + asked, failed + lost
        per_instance = round(statistics.median(seconds) / N, 2)
        tell(
            f"{name} of {N} instances at {title}",
            rate_per_s=round(rate),
            runs=RUNS,
            requests=requests,
            failed=failed,
            median_s=round(statistics.median(seconds), 1),
            per_instance_s=per_instance,
        )


def pace(fleet: Fleet, image: str) -> None:
    """Compare the time for each instance of a rolling upgrade with starting and draining one."""
    done = rolling(fleet, image)
    started, parts = 0.0, []
    for step in done.steps:
        if step.state is StepState.STARTING:
            started = step.at_s
        elif step.state in {StepState.READY, StepState.REMOVED}:
            parts.append(step.at_s - started)
            started = step.at_s
    start_and_drain = sum(parts) / N
    tell(
        "rolling time for each instance, as a ratio to starting and draining one",
        ratio=round(done.seconds / N / start_and_drain, 2),
    )


def switch_back(fleet: Fleet, images: list[str]) -> None:
    """Measure how long switching back to standby instances takes, by the events."""
    times = []
    for _ in range(RUNS):
        new = next(image for image in images if image != fleet.instances[0].image)
        blue_green(fleet, new, keep=True)
        steps: list[Step] = []
        roll_back(fleet, on_event=steps.append)
        switched = max(step.at_s for step in steps if step.state is StepState.IN_BALANCER)
        times.append(switched * 1e3)
    tell("switching blue/green back", median_ms=round(statistics.median(times)), max_ms=round(max(times)))


def canaries(fleet: Fleet, image: str) -> None:
    """Deploy a canary with 10 % errors twenty times, and one that is sound."""
    version = image.rpartition(":")[2]
    seconds, failed = [], []
    began = 0.0

    def break_it(step: Step) -> None:
        nonlocal began
        if step.state is StepState.IN_BALANCER:
            fleet.instances[-1].fail(FAILING)
            began = time.monotonic()

    for _ in range(CANARIES):
        began = 0.0
        with apply(Load(MIX, RATE, None), fleet.environment.urls["cart"]) as load:
            settle(load, 1)
            canary(fleet, image, Evidence(load, version), watch_s=30, on_event=break_it)
            seconds.append(time.monotonic() - began)
            failed.append(load.stop().failed)
    tell(
        f"canary with {FAILING:.0%} errors",
        runs=CANARIES,
        withdrawn_after_median_s=round(statistics.median(seconds), 1),
        failed_median=statistics.median(failed),
    )


def slow_ends(fleet: Fleet, images: list[str], folder: Path) -> None:
    """Replace instances that go on for a while after SIGTERM, both ways; count failed requests."""
    folder.mkdir()
    (folder / "late.py").write_text(SLOW_END)
    recipe = "COPY late.py /tmp/\nUSER root\nRUN cat /tmp/late.py >> /app/service.py\nUSER nobody"
    (folder / "Dockerfile").write_text(f"FROM {images[0]}\n{recipe}\n")
    labels: dict[str, str] = {Label.VERSION: "late"}
    late = build_service_image(Engine.find(), folder, "labkit/bench-cart:late", labels).ref
    for name, strategy in (("rolling", rolling), ("blue/green", blue_green)):
        blue_green(fleet, late)
        done, requests, failed = under_load(fleet, RATE, partial(strategy, fleet, images[1]))
        at_s = {(step.instance, step.state): step.at_s for step in done.steps}
        took = [
            left - at_s[instance, StepState.DRAINING]
            for (instance, state), left in at_s.items()
            if state is StepState.REMOVED
        ]
        tell(
            "failed requests in upgrades with services that end slowly on SIGTERM",
            strategy=name,
            end_s=END_S,
            requests=requests,
            failed=failed,
            killed=sum(bool(step.remark) for step in done.steps),
            drain_and_end_median_s=round(statistics.median(took), 2),
            seconds=round(done.seconds, 1),
        )
    blue_green(fleet, images[0])
    Engine.find().client.images.remove(late, force=True)


def main() -> None:
    """Print one JSON line a figure."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        images = [image_of(workspace, "cart", tag) for tag in ("v1", "v2")]
        with Environment.create(workspace.system, "integration", workspace=workspace) as environment:
            fleet = Fleet(environment, "cart")
            blue_green(fleet, images[0])
            scale(fleet, N)
            strategies(fleet, images, RATE, "300 requests a second")
            limit = most(environment.urls["cart"])
            strategies(fleet, images, 0.8 * limit, "80 % of what it serves")
            pace(fleet, next(image for image in images if image != fleet.instances[0].image))
            switch_back(fleet, images)
            slow_ends(fleet, images, Path(folder) / "late")
            canaries(fleet, next(image for image in images if image != fleet.instances[0].image))


if __name__ == "__main__":
    main()

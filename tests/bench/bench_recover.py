"""The same bad version, ended in four ways: time from the decision to the last failure, failed requests."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from labkit import Environment, Workspace
from labkit.deployment import Fleet, blue_green, image_of, roll_back, roll_forward
from labkit.engine import Engine, Label, build_service_image
from labkit.load import Load, Request, apply
from labkit.toggles import ToggleStore

RATE = 100
LINE = {"sku": "A100", "quantity": 2, "price_cents": 780}
LOAD = Load({Request("POST", "/totals", {"cart": {"lines": [LINE]}}): 1}, RATE, None)
FLAW = "RUN sed -i 's|// 100|// (100 - 100)|' /app/basket_pricing.py"


def main() -> None:
    """Print one JSON line a way."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        good, corrected = (image_of(workspace, "cart", tag) for tag in ("toggled", "pinned"))
        recipe = Path(folder) / "flawed"
        recipe.mkdir()
        (recipe / "Dockerfile").write_text(f"FROM {good}\n{FLAW}\n")
        labels: dict[str, str] = {Label.VERSION: "flawed"}
        flawed = build_service_image(Engine.find(), recipe, "labkit/bench-cart:flawed", labels).ref
        with Environment.create(workspace.system, "staging", workspace=workspace) as environment:
            fleet, store = Fleet(environment, "cart"), ToggleStore(environment.coordinator)

            def recover(way: str, end: Callable[[], object], *, keep: bool = False) -> None:
                blue_green(fleet, good)
                store.set("basket_discount")
                blue_green(fleet, flawed, keep=keep)
                with apply(LOAD, environment.urls["cart"]) as load:
                    while load.snapshot().failed < RATE / 2:
                        time.sleep(0.01)
                    before, decided = load.snapshot(), time.time()
                    end()
                    time.sleep(1)
                    seen = load.stop().since(before)
                after = max(0.0, (seen.last_failure or 0) - decided)
                fields = {"way": way, "last_failure_after_s": round(after, 2), "failed": seen.failed}
                print(json.dumps({"figure": "recovery from the same bad version", **fields}), flush=True)

            recover("toggle off", lambda: store.set("basket_discount", on=False))
            recover("switch back", lambda: roll_back(fleet), keep=True)
            recover("redeploy", lambda: roll_back(fleet))
            recover("roll forward, built already", lambda: roll_forward(fleet, corrected))


if __name__ == "__main__":
    main()

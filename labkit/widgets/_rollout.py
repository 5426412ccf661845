"""A finished deployment: which instance served when, and what the clients measured meanwhile."""

from collections import defaultdict
from collections.abc import Sequence
from textwrap import wrap

from labkit.deployment import Deployment, InstanceLifetime, lifetimes
from labkit.load import Measurement, Tally
from labkit.widgets._drawing import box, picture, text
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table

NAMES, SCALE, ROW, TOP, BARS = 110, 560, 22, 40, 120
LINE, LONGEST = 18, 85
OLD, NEW, IDLE, BAD = ("#d9e8ff", "#d3f1dc", "#ececec", "#b3261e")
COLUMNS = ("instance", "version", "there from s", "takes requests from s", "to s", "gone at s")


def rollout(deployment: Deployment, measurement: Measurement | None = None) -> Picture:
    """Return the picture of a deployment, and of the answers a second that a load measured meanwhile.

    measurement None leaves the answers out.
    """
    instances = lifetimes(deployment)
    title = f"{deployment.service}: {deployment.result}, {deployment.seconds:.1f} s"
    code = "deployment.lifetimes(done), load.snapshot().by_second"
    svg = draw(title, deployment, instances, measurement)
    return Picture(svg, [table(title, instances, measurement)], code)


def table(title: str, instances: Sequence[InstanceLifetime], measurement: Measurement | None) -> Table:
    """Return the same facts as a table; the last row counts the answers."""

    def seconds(moment: float | None) -> str:
        return "" if moment is None else f"{moment:.1f}"

    rows: list[Sequence[object]] = [
        (
            lifetime.instance,
            _version(lifetime.image),
            *map(seconds, (lifetime.begins_s, lifetime.serves_s, lifetime.leaves_s, lifetime.ends_s)),
        )
        for lifetime in instances
    ]
    if measurement:
        rows.append(
            ("clients", f"{measurement.requests} answers, {measurement.failed} failed", "", "", "", "")
        )
    return Table(COLUMNS, rows, title)


def draw(
    title: str,
    deployment: Deployment,
    instances: Sequence[InstanceLifetime],
    measurement: Measurement | None,
) -> str:
    """Return the deployment as SVG: a bar for each instance, and below it the answers a second.

    The bar of an instance is coloured by version while it takes requests, else grey.
    """
    seconds = max(deployment.seconds, 0.1)
    reason = wrap(deployment.reason, LONGEST)
    shapes = [text(10, 22, title, bold=True)]
    shapes += [text(10, 40 + number * LINE, words) for number, words in enumerate(reason)]
    top = TOP + len(reason) * LINE
    for row, lifetime in enumerate(instances):
        y = top + row * ROW
        old = lifetime.serves_s == 0 or lifetime.image != deployment.to_image
        fill = OLD if old else NEW
        shapes += [
            text(10, y + 14, lifetime.instance),
            _bar(lifetime.begins_s, lifetime.ends_s, seconds, y, IDLE),
        ]
        if lifetime.serves_s is not None and lifetime.leaves_s is not None:
            shapes.append(_bar(lifetime.serves_s, lifetime.leaves_s, seconds, y, fill))
            x = NAMES + lifetime.serves_s / seconds * SCALE
            shapes.append(text(x + 4, y + 14, _version(lifetime.image), "#1f2328"))
    bottom = top + len(instances) * ROW
    shapes.append(text(NAMES, bottom + 14, "0 s"))
    shapes.append(text(NAMES + SCALE, bottom + 14, f"{deployment.seconds:.1f} s", anchor="end"))
    if measurement:
        shapes += _answers(measurement, bottom + 30)
        bottom += 30 + BARS
    return picture(NAMES + SCALE + 20, bottom + 24, title, *shapes)


def _bar(start: float, end: float, seconds: float, y: float, fill: str) -> str:
    x = NAMES + start / seconds * SCALE
    return box(x, y, max(2.0, (end - start) / seconds * SCALE), ROW - 5, fill, radius=3)


def _answers(measurement: Measurement, top: float) -> list[str]:
    """Draw a bar for each second, with a part for each version; failed answers are dark and marked."""
    by_second: dict[int, dict[str, Tally]] = defaultdict(dict)
    for key, tally in measurement.tallies.items():
        before = by_second[key.second].get(key.version, Tally())
        by_second[key.second][key.version] = before + tally
    versions = sorted({version for parts in by_second.values() for version in parts})
    most = max((sum(tally.requests for tally in parts.values()) for parts in by_second.values()), default=1)
    count = max(by_second, default=0) + 1
    shapes = [text(10, top + 12, "answers/s")]
    for second, parts in by_second.items():
        x, width, y = NAMES + second / count * SCALE, SCALE / count, top + BARS - 20
        for version in versions:
            tally = parts.get(version, Tally())
            for number, fill in (
                (tally.requests - tally.failed, _fill(versions, version)),
                (tally.failed, BAD),
            ):
                height = number / most * (BARS - 30)
                y -= height
                if number:
                    shapes.append(box(x + 1, y, max(1.0, width - 2), height, fill, radius=0))
        if failed := sum(tally.failed for tally in parts.values()):
            shapes.append(text(x + width / 2, y - 3, f"✗{failed}", anchor="middle"))
    x = float(NAMES)
    for version in versions:
        shapes += [box(x, top + BARS - 12, 12, 12, _fill(versions, version), radius=2)]
        shapes.append(text(x + 17, top + BARS - 1, version or "nobody"))
        x += 110
    shapes += [box(x, top + BARS - 12, 12, 12, BAD, radius=2), text(x + 17, top + BARS - 1, "✗ failed")]
    return shapes


def _fill(versions: Sequence[str], version: str) -> str:
    return (OLD, NEW, "#ffefc2", "#f3e3f7")[versions.index(version) % 4]


def _version(image: str) -> str:
    return image.rpartition(":")[2]

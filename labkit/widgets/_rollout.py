"""A finished deployment: which instance served when, and what the clients measured meanwhile."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from textwrap import wrap

from labkit.deployment import Deployment, InstanceLifetime, lifetimes
from labkit.load import Measurement, Tally
from labkit.widgets._drawing import box, picture, text
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table

NAMES, SCALE, ROW, TOP, BARS = 110, 560, 22, 40, 110
LINE, LONGEST, MARKS = 18, 85, 8
COLOURS = ("#d9e8ff", "#d3f1dc", "#ffefc2", "#f3e3f7")
IDLE, BAD, INK = "#ececec", "#b3261e", "#1f2328"
COLUMNS = ("instance", "version", "there from s", "takes requests from s", "to s", "gone at s", "remark")


@dataclass(frozen=True)
class Chart:
    """The one time axis of a roll-out, in seconds since the deployment began, and the colours of versions.

    by_second is what the clients measured: second → version → answers.
    """

    deployment: Deployment
    instances: Sequence[InstanceLifetime]
    by_second: Mapping[int, Mapping[str, Tally]]

    @property
    def starts(self) -> float:
        """Where the axis starts."""
        return min([0.0, *map(float, self.by_second)])

    @property
    def ends(self) -> float:
        """Where the axis ends."""
        return max([0.1, self.deployment.seconds, *(second + 1.0 for second in self.by_second)])

    @property
    def versions(self) -> list[str]:
        """All versions, the old one first, then the new one; the place of each gives its colour."""
        images = (
            self.deployment.from_image,
            self.deployment.to_image,
            *(one.image for one in self.instances),
        )
        measured = sorted({version for parts in self.by_second.values() for version in parts})
        return list(dict.fromkeys([*(_version(image) for image in images if image), *measured]))

    def x(self, second: float) -> float:
        """Return where a second stands."""
        return NAMES + (second - self.starts) / (self.ends - self.starts) * SCALE

    def colour(self, version: str) -> str:
        """Return a version's colour."""
        return COLOURS[self.versions.index(version) % len(COLOURS)]

    def bar(self, start: float, end: float, y: float, fill: str) -> str:
        """Return a bar over some seconds."""
        return box(self.x(start), y, max(2.0, self.x(end) - self.x(start)), ROW - 5, fill, radius=3)


def rollout(deployment: Deployment, measurement: Measurement | None = None) -> Picture:
    """Return the picture of a deployment, and of the answers a second that a load measured meanwhile.

    Both stand on one time axis. measurement None leaves the answers out.
    """
    title = f"{deployment.service}: {deployment.result}, {deployment.seconds:.1f} s"
    chart = Chart(deployment, lifetimes(deployment), _by_second(deployment, measurement))
    code = "deployment.lifetimes(done), load.snapshot().by_second"
    return Picture(draw(title, chart), tables(title, chart), code)


def _by_second(deployment: Deployment, measurement: Measurement | None) -> dict[int, dict[str, Tally]]:
    """Return the answers by second of the deployment and by version."""
    by_second: dict[int, dict[str, Tally]] = defaultdict(dict)
    if measurement is None or measurement.began is None:
        return by_second
    late = round(measurement.began - deployment.began)
    for key, tally in measurement.tallies.items():
        parts = by_second[key.second + late]
        parts[key.version] = parts.get(key.version, Tally()) + tally
    return by_second


def tables(title: str, chart: Chart) -> list[Table]:
    """Return the same facts as tables: the instances, and the answers by second."""

    def seconds(moment: float | None) -> str:
        return "" if moment is None else f"{moment:.1f}"

    rows = [
        (
            lifetime.instance,
            _version(lifetime.image),
            *map(seconds, (lifetime.begins_s, lifetime.serves_s, lifetime.leaves_s, lifetime.ends_s)),
            lifetime.remark,
        )
        for lifetime in chart.instances
    ]
    answers = [
        (f"{second} to {second + 1}", version or "nobody", tally.requests, tally.failed)
        for second, parts in sorted(chart.by_second.items())
        for version, tally in sorted(parts.items())
    ]
    by_second = Table(("second", "version", "answers", "failed"), answers, "answers by second")
    return [Table(COLUMNS, rows, title), *([by_second] if answers else [])]


def draw(title: str, chart: Chart) -> str:
    """Return the deployment as SVG: a bar for each instance, and below it the answers a second.

    The bar of an instance is coloured by version while it takes requests, else grey.
    """
    remarks = (f"{lifetime.instance} {lifetime.remark}" for lifetime in chart.instances if lifetime.remark)
    lines = [line for words in (chart.deployment.reason, *remarks) for line in wrap(words, LONGEST)]
    shapes = [text(10, 22, title, bold=True)]
    shapes += [text(10, 40 + number * LINE, words) for number, words in enumerate(lines)]
    y: float = TOP + len(lines) * LINE
    for lifetime in chart.instances:
        shapes += _lifetime(chart, lifetime, y)
        y += ROW
    if chart.by_second:
        shapes += _answers(chart, y)
        y += BARS
    shapes += [*_axis(chart, y + 14), *_legend(chart, y + 34)]
    return picture(NAMES + SCALE + 20, floor(y) + 46, title, *shapes)


def _lifetime(chart: Chart, lifetime: InstanceLifetime, y: float) -> Iterator[str]:
    version = _version(lifetime.image)
    yield text(10, y + 14, lifetime.instance)
    yield chart.bar(lifetime.begins_s, lifetime.ends_s, y, IDLE)
    if lifetime.serves_s is not None and lifetime.leaves_s is not None:
        yield chart.bar(lifetime.serves_s, lifetime.leaves_s, y, chart.colour(version))
        yield text(chart.x(lifetime.serves_s) + 4, y + 14, version, INK)


def _answers(chart: Chart, top: float) -> Iterator[str]:
    """Draw a bar for each second, with a part for each version; failed answers are dark and marked."""
    most = max(sum(tally.requests for tally in parts.values()) for parts in chart.by_second.values())
    yield text(10, top + 16, "answers/s")
    for second, parts in chart.by_second.items():
        x, y, width = chart.x(second), top + BARS, chart.x(second + 1) - chart.x(second)
        for version in filter(parts.__contains__, chart.versions):
            tally = parts[version]
            for number, fill in ((tally.requests - tally.failed, chart.colour(version)), (tally.failed, BAD)):
                height = number / most * (BARS - 20)
                y -= height
                if number:
                    yield box(x + 1, y, max(1.0, width - 2), height, fill, radius=0)
        if failed := sum(tally.failed for tally in parts.values()):
            yield text(x + width / 2, y - 3, f"✗{failed}", anchor="middle")


def _axis(chart: Chart, y: float) -> Iterator[str]:
    """Label the seconds that both parts share."""
    step = max(1, ceil((chart.ends - chart.starts) / MARKS))
    yield text(10, y, "seconds")
    for second in range(ceil(chart.starts), floor(chart.ends) + 1):
        if second % step == 0:
            yield text(chart.x(second), y, str(second), anchor="middle")


def _legend(chart: Chart, y: float) -> Iterator[str]:
    parts = [(version or "nobody", chart.colour(version)) for version in chart.versions]
    parts.append(("starts or leaves", IDLE))
    if chart.by_second:
        parts.append(("✗ failed", BAD))
    x = float(NAMES)
    for words, fill in parts:
        yield box(x, y - 11, 12, 12, fill, radius=2)
        yield text(x + 17, y, words)
        x += 34 + 7 * len(words)


def _version(image: str) -> str:
    return image.rpartition(":")[2]

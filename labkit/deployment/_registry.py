"""The table of the strategies: what one is to the pipeline, and how it is registered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from labkit._open_table import OpenTable
from labkit.deployment._steps import Deployment
from labkit.system import TomlTable

Deploy = TypeVar("Deploy", bound=Callable[..., Deployment])
ReadOptions = Callable[[TomlTable], Mapping[str, Any]]


@dataclass(frozen=True)
class Strategy:
    """A way to replace the instances of a fleet.

    deploy takes a fleet and an image, the keywords health and on_event, which mean the same in all
    strategies, and keywords of its own. read_options reads these from [strategies.NAME] in pipeline.toml.
    """

    name: str
    deploy: Callable[..., Deployment]
    read_options: ReadOptions


STRATEGIES: OpenTable[Strategy] = OpenTable("labkit.strategies")


def strategy(name: str, *, options: ReadOptions = lambda _: {}) -> Callable[[Deploy], Deploy]:
    """Register a function as the strategy of this name, which production in pipeline.toml can name.

    The function is `Strategy.deploy`. options reads the table [strategies.NAME] and returns keywords for it;
    a key that it does not read is refused. `error_share` and `p99_ms` are read by the pipeline itself.

    :raises LabError: when another module has a strategy of this name.
    """

    def register(deploy: Deploy) -> Deploy:
        STRATEGIES.add(name, Strategy(name, deploy, options), deploy.__module__)
        return deploy

    return register

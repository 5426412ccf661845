"""A cart in the middle of a rolling upgrade: filled at one instance, summed up at another."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from labkit.model._explore import Action
from labkit.model._toggles import Flags, put

UPGRADE, ADD, TOTAL = "upgrade", "add an item at", "total at"


@dataclass(frozen=True)
class Cart:
    """Which instances run the new version, and what became of the discount.

    item is whether the item was discounted when it was added, whole whether the purchase was when it was
    summed up; None while that has not happened.
    """

    new: Flags
    item: bool | None = None
    whole: bool | None = None


@dataclass(frozen=True)
class Upgrade:
    """Version 1 discounts each item, version 2 the whole purchase; instances are upgraded in their order.

    tagged: the cart carries by which rule it was begun, and version 2 keeps to it; so does version 1 by
    sending a cart of the rule that it does not know to an instance that does.
    """

    instances: int
    tagged: bool = False

    @property
    def initial(self) -> Cart:
        """All run version 1, and there is no cart."""
        return Cart((False,) * self.instances)

    def steps(self, state: Cart) -> Iterator[tuple[Action, Cart]]:
        """Let the customer take the next step at any instance, or upgrade the next one."""
        for at, new in enumerate(state.new):
            if state.item is None:
                yield Action(ADD, at), replace(state, item=not new)
            elif state.whole is None:
                if self.tagged and not new and not state.item:
                    continue
                yield Action(TOTAL, at), replace(state, whole=not state.item if self.tagged else new)
        if False in state.new:
            at = state.new.index(False)
            yield Action(UPGRADE, at), replace(state, new=put(state.new, at))

    def wrong(self, state: Cart) -> str:
        """Refuse a purchase that is not discounted exactly once."""
        if state.whole is None or state.item != state.whole:
            return ""
        return "discounted twice" if state.whole else "not discounted"

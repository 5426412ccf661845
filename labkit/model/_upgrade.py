"""A cart during a rolling upgrade: one instance adds an item, perhaps another computes the total."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from labkit.model._explore import Action
from labkit.model._toggles import Flags, with_flag

UPGRADE, ADD, TOTAL = "upgrade", "add an item at", "total at"


@dataclass(frozen=True)
class Cart:
    """Which instances run the new version, and where the discount was given.

    item is whether the item was discounted when it was added, None before. whole is whether the purchase was
    discounted in the total, None before.
    """

    new: Flags
    item: bool | None = None
    whole: bool | None = None


@dataclass(frozen=True)
class Upgrade:
    """Version 1 discounts each item, version 2 the whole purchase; instances are upgraded in their order.

    tagged: the cart carries the rule by which it was begun, and version 2 keeps that rule. Version 1 sends a
    cart with a rule that it does not know to an instance that knows it.
    """

    instances: int
    tagged: bool = False

    @property
    def initial(self) -> Cart:
        """All instances run version 1, and there is no cart."""
        return Cart((False,) * self.instances)

    def steps(self, state: Cart) -> Iterator[tuple[Action, Cart]]:
        """Yield the customer's next step at any instance, and the upgrade of the next instance."""
        for at, new in enumerate(state.new):
            if state.item is None:
                yield Action(ADD, at), replace(state, item=not new)
            elif state.whole is None:
                if self.tagged and not new and not state.item:
                    continue  # version 1 does not know the rule of this cart, and passes it on
                yield Action(TOTAL, at), replace(state, whole=not state.item if self.tagged else new)
        if False in state.new:
            at = state.new.index(False)
            yield Action(UPGRADE, at), replace(state, new=with_flag(state.new, at))

    def wrong(self, state: Cart) -> str:
        """Return what is wrong with a purchase that is not discounted exactly once."""
        if state.whole is None or state.item != state.whole:
            return ""
        return "discounted twice" if state.whole else "not discounted"

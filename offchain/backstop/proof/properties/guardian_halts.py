"""Property of the halts of guardians, of a history: each ends, and the next one waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.bounds import GUARDIAN_HALT, GUARDIAN_PAUSE
from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FEED = "PriceFeed"


@history_property(196, calls=[f"{_FEED}.set_halted"])
class GuardiansHaltForATime:
    """A guardian holds a market up for two days at most, and then for five days no guardian does so again."""

    def __init__(self, model: ModelSystem) -> None:
        # Market -> when a guardian halted it last, by a clock of this property.
        self._halted: dict[int, int] = {}

    def see(self, step: Transition, changes: Changes) -> None:
        """Note halts by anybody but the admin."""
        if not step.calls(_FEED, "set_halted") or step.action.sender == step.before(_FEED, "roles.admin"):
            return
        market, now = step.action.args[0], step.model.timestamp
        config, before = step.after(_FEED, "configs", market), step.before(_FEED, "configs", market)
        last = self._halted.get(market)
        if last is not None and now < last + GUARDIAN_HALT + GUARDIAN_PAUSE:
            raise Violation(f"market {market} is halted {now - last} s after a guardian halted it")
        if config.halted != before.halted or config.grace_until > max(
            before.grace_until, now + GUARDIAN_HALT
        ):
            raise Violation(f"a guardian halts market {market} until {config.grace_until}")
        self._halted[market] = now

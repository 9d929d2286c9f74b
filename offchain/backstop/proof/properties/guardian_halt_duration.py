"""Property of the halts of guardians, of a history: each ends, and the next one waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.bounds import GUARDIAN_HALT, GUARDIAN_PAUSE
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FEED = "PriceFeed"


@history_property(196, calls=[f"{_FEED}.set_halted"])
class GuardianHaltIsLimitedInTime:
    """Checker that guardians halt a market for two days at most (property 196).

    After that, no guardian may halt the same market for five days.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Market -> when a guardian halted it last, by a clock of this property.
        self._halted: dict[int, int] = {}

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Check and record each halt of a market by a caller other than the admin.

        Raises PropertyViolationError if the halt is too long or follows another too soon.
        """
        if not step.is_call(_FEED, "set_halted") or step.action.sender == step.read_pre_state(
            _FEED, "roles.admin"
        ):
            return
        market, now = step.action.args[0], step.model.timestamp
        config, before = (
            step.read_post_state(_FEED, "configs", market),
            step.read_pre_state(_FEED, "configs", market),
        )
        last = self._halted.get(market)
        if last is not None and now < last + GUARDIAN_HALT + GUARDIAN_PAUSE:
            raise PropertyViolationError(
                f"market {market} is halted {now - last} s after a guardian halted it"
            )
        if config.halted != before.halted or config.grace_until > max(
            before.grace_until, now + GUARDIAN_HALT
        ):
            raise PropertyViolationError(f"a guardian halts market {market} until {config.grace_until}")
        self._halted[market] = now

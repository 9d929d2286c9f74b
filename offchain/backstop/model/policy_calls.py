"""Calls to a risk policy by the functions that must work without one: liquidation and repayment.

An answer that does not come, or lies beyond its bounds, is replaced by the plain rule. Gas is not counted:
in the contract too little of it reverts all, so it changes no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from backstop.contract_base import World
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD
from backstop.model.interfaces import EMERGENCY, CallTerms, IRiskPolicy
from backstop.model.listed_types import decode_listed_types

NOTHING = MAX_UINT256
"""No answer: beyond every bound."""


class PolicyCalls:
    """A risk policy, asked by one contract; see contracts/modules/policy_calls.vy."""

    def __init__(self, world: World, sender: str, policy: str) -> None:
        self.world = world
        self.sender = sender
        self.address = policy

    @property
    def policy(self) -> IRiskPolicy:
        """The contract; reverts where there is none."""
        return cast(IRiskPolicy, self.world.at(self.address))

    def auction_limit_factor(self) -> int:
        """Return the part of the auction limits that holds [basis points]; all where it does not say."""
        factor = self._ask_number(lambda: self.policy.auction_limit_factor(self.sender))
        return factor if bounds.MIN_LIMITS_FACTOR <= factor <= bounds.MAX_LIMITS_FACTOR else BASIS_POINTS

    def add_on(self, collateral_type: int, debt: int) -> int:
        """Return what a debt needs beyond its ratio [basis points x rad]; none where it does not say."""
        asked = self._ask_number(lambda: self.policy.add_on(self.sender, collateral_type, debt))
        return asked if asked <= debt * bounds.MAX_ADD_ON else 0

    def ask_max_marginal_add_on(self, collateral_type: int) -> int:
        """Return how fast an add-on grows, at most [basis points]; the bound where it does not say."""
        asked = self._ask_number(lambda: self.policy.max_marginal_add_on(self.sender, collateral_type))
        return min(asked, bounds.MAX_ADD_ON)

    def call_terms(self, collateral_type: int, most: int) -> CallTerms:
        """Return when vaults may be called, at no ratio above `most`; never where it does not say."""
        terms = self.world.call_or_return_none(lambda: self.policy.call_terms(self.sender, collateral_type))
        if terms is None or not (
            _is_call_time_in_bounds(terms.grace) and _is_call_time_in_bounds(terms.valid)
        ):
            return CallTerms()
        return terms._replace(ratio=min(terms.ratio, most))

    def fee(self, collateral_type: int, performing: int, performing_before: int) -> int:
        """Return the fee that it asks for [ray a second], unchecked; NOTHING where it does not say."""
        return self._ask_number(
            lambda: self.policy.reprice(self.sender, collateral_type, performing, performing_before)
        )

    def is_policy(self, engine: str, listed: int, mode: int) -> bool:
        """Return whether it is a policy of this engine, in this mode, that answers all about each type."""
        at = self.world.call_or_return_none(lambda: self.policy.VAULT_ENGINE(self.sender))
        if at != engine:
            return False
        factor = self._ask_number(lambda: self.policy.auction_limit_factor(self.sender))
        own = self._ask_number(lambda: self.policy.mode(self.sender))
        proven = own <= EMERGENCY and (own == mode or mode > EMERGENCY)
        proven = proven and bounds.MIN_LIMITS_FACTOR <= factor <= bounds.MAX_LIMITS_FACTOR
        return proven and all(self._has_answers(c) for c in decode_listed_types(listed))

    def mode(self) -> int:
        """Return its mode; NOTHING where it does not say."""
        return self._ask_number(lambda: self.policy.mode(self.sender))

    def _has_answers(self, collateral_type: int) -> bool:
        fee = self._ask_number(lambda: self.policy.fee_at(self.sender, collateral_type, RAD))
        calls = self.world.call_or_return_none(lambda: self.policy.call_terms(self.sender, collateral_type))
        return (
            self._ask_number(lambda: self.policy.add_on(self.sender, collateral_type, RAD))
            <= RAD * bounds.MAX_ADD_ON
            and fee <= bounds.MAX_POLICY_FEE
            and self._ask_number(lambda: self.policy.max_marginal_add_on(self.sender, collateral_type))
            <= bounds.MAX_ADD_ON
            and calls is not None
        )

    def _ask_number(self, question: Callable[[], int]) -> int:
        answer = self.world.call_or_return_none(question)
        return NOTHING if answer is None else answer


def _is_call_time_in_bounds(seconds: int) -> bool:
    """Return True if the grace or the period after it is within the bounds."""
    return bounds.MIN_CALL_TIME <= seconds <= bounds.MAX_CALL_TIME

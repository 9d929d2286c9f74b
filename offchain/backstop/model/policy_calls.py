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
    """Calls of one contract to its risk policy, with safe defaults (model of modules/policy_calls.vy).

    A call that fails or returns a value out of bounds yields the default.
    """

    def __init__(self, world: World, sender: str, policy: str) -> None:
        self.world = world
        self.sender = sender
        self.address = policy

    @property
    def policy(self) -> IRiskPolicy:
        """Risk policy contract; reading it raises RevertError if the address has no contract."""
        return cast(IRiskPolicy, self.world.at(self.address))

    def auction_limit_factor(self) -> int:
        """Return the share of the auction limits that applies [basis points]; 10,000 if the call fails."""
        factor = self._ask_number(lambda: self.policy.auction_limit_factor(self.sender))
        return factor if bounds.MIN_LIMITS_FACTOR <= factor <= bounds.MAX_LIMITS_FACTOR else BASIS_POINTS

    def add_on(self, collateral_type: int, debt: int) -> int:
        """Return the margin required for a debt beyond its ratio [basis points x rad]; 0 if the call fails.

        `debt` is in rad.
        """
        asked = self._ask_number(lambda: self.policy.add_on(self.sender, collateral_type, debt))
        return asked if asked <= debt * bounds.MAX_ADD_ON else 0

    def ask_max_marginal_add_on(self, collateral_type: int) -> int:
        """Return the maximum extra margin per unit of additional debt [basis points].

        If the call fails, return the upper bound MAX_ADD_ON.
        """
        asked = self._ask_number(lambda: self.policy.max_marginal_add_on(self.sender, collateral_type))
        return min(asked, bounds.MAX_ADD_ON)

    def call_terms(self, collateral_type: int, most: int) -> CallTerms:
        """Return the terms of margin calls for a collateral type.

        The ratio below which vaults may be called is capped at `most` [basis points]. If the call fails, or
        its times are out of bounds, return terms under which no vault may be called.
        """
        terms = self.world.call_or_return_none(lambda: self.policy.call_terms(self.sender, collateral_type))
        if terms is None or not (
            _is_call_time_in_bounds(terms.grace) and _is_call_time_in_bounds(terms.valid)
        ):
            return CallTerms()
        return terms._replace(ratio=min(terms.ratio, most))

    def fee(self, collateral_type: int, performing: int, performing_before: int) -> int:
        """Return the stability fee that the risk policy requests [ray a second], without a bounds check.

        `performing` and `performing_before` are the type's debt after and before the change [rad]. Return
        NOTHING (the maximum integer) if the call fails.
        """
        return self._ask_number(
            lambda: self.policy.reprice(self.sender, collateral_type, performing, performing_before)
        )

    def is_policy(self, engine: str, listed: int, mode: int) -> bool:
        """Return True if the contract is a working risk policy of this engine in this mode.

        It must answer every query for each collateral type in the bit list `listed`.
        """
        at = self.world.call_or_return_none(lambda: self.policy.VAULT_ENGINE(self.sender))
        if at != engine:
            return False
        factor = self._ask_number(lambda: self.policy.auction_limit_factor(self.sender))
        own = self._ask_number(lambda: self.policy.mode(self.sender))
        proven = own <= EMERGENCY and (own == mode or mode > EMERGENCY)
        proven = proven and bounds.MIN_LIMITS_FACTOR <= factor <= bounds.MAX_LIMITS_FACTOR
        return proven and all(self._has_answers(c) for c in decode_listed_types(listed))

    def mode(self) -> int:
        """Return the risk policy's mode: 0 normal, 1 caution, 2 emergency.

        Return NOTHING (the maximum integer) if the call fails.
        """
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
    """Return True if a period of a margin call [seconds] is within its bounds."""
    return bounds.MIN_CALL_TIME <= seconds <= bounds.MAX_CALL_TIME

"""A risk policy that returns scripted answers, or fails."""

from __future__ import annotations

from backstop.contract_base import Contract, RevertError, World, external, immutable, require, view
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.interfaces import CallTerms, NewRisk


class ScriptedPolicy(Contract):
    """Risk policy for tests that returns scripted answers or fails (model of devnet/ScriptedPolicy.vy)."""

    KIND = "ScriptedPolicy"

    vault_engine = immutable("VAULT_ENGINE", str)

    def __init__(self, world: World, name: str, address: str, vault_engine: str) -> None:
        super().__init__(world, name, address)
        self.vault_engine = vault_engine
        self.fee = self.table("fee")
        self.add_on_rate = self.table("add_on_rate")
        self.factor = self.table("factor")
        self.calls = {part: self.table(f"call_{part}") for part in CallTerms._fields}
        self.failing = self.table("failing")
        self.factor[()] = BASIS_POINTS

    @external
    def set_answer(
        self, sender: str, fee: int, add_on_rate: int, factor: int, calls: tuple[int, int, int]
    ) -> None:
        """Set the scripted fee, add-on rate, auction limit factor and margin call terms."""
        self.fee[()] = fee
        self.add_on_rate[()] = add_on_rate
        self.factor[()] = factor
        for part, value in zip(CallTerms._fields, calls, strict=True):
            self.calls[part][()] = value

    @external
    def fail(self, sender: str, how: int) -> None:
        """Set how all later calls fail: 0 not at all, 1 by a revert, 2 by using up their gas."""
        self.failing[()] = how

    @external
    def check_new_risk(self, sender: str, risk: NewRisk) -> int:
        """Accept any new risk and return the scripted fee [ray a second]."""
        return self._answer_unless_failing(self.fee[()])

    @external
    def reprice(self, sender: str, collateral_type: int, performing: int, performing_before: int) -> int:
        """Return the scripted fee [ray a second]."""
        return self._answer_unless_failing(self.fee[()])

    @external
    def set_mode(self, sender: str, new: int) -> None:
        """Ignore the new mode; only the scripted failure takes effect."""
        self._answer_unless_failing(0)

    @view
    def add_on(self, sender: str, collateral_type: int, debt: int) -> int:
        """Return an extra margin for a debt at the scripted rate [basis points x rad]."""
        return self._answer_unless_failing(debt * self.add_on_rate[()])

    @view
    def max_marginal_add_on(self, sender: str, collateral_type: int) -> int:
        """Return the scripted rate of extra margin per unit of debt [basis points]."""
        return self._answer_unless_failing(self.add_on_rate[()])

    @view
    def fee_at(self, sender: str, collateral_type: int, performing: int) -> int:
        """Return the fee set by the script [ray a second] regardless of the debt."""
        return self._answer_unless_failing(self.fee[()])

    @view
    def call_terms(self, sender: str, collateral_type: int) -> CallTerms:
        """Return the scripted terms of margin calls."""
        self._answer_unless_failing(0)
        return CallTerms(*(self.calls[part][()] for part in CallTerms._fields))

    @view
    def auction_limit_factor(self, sender: str) -> int:
        """Return the scripted share of the auction limits [basis points]."""
        return self._answer_unless_failing(self.factor[()])

    @view
    def mode(self, sender: str) -> int:
        """Return 0, the normal mode."""
        return self._answer_unless_failing(0)

    def _answer_unless_failing(self, said: int) -> int:
        require(self.failing[()] != 1, "scripted_policy: as told")
        if self.failing[()] == 2:
            raise RevertError("")
        return int(said)

"""A risk policy that returns scripted answers, or fails."""

from __future__ import annotations

from backstop.contract_base import Contract, RevertError, World, external, immutable, require, view
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.interfaces import CallTerms, NewRisk


class ScriptedPolicy(Contract):
    """See contracts/devnet/ScriptedPolicy.vy."""

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
        """Set what it answers from now on."""
        self.fee[()] = fee
        self.add_on_rate[()] = add_on_rate
        self.factor[()] = factor
        for part, value in zip(CallTerms._fields, calls, strict=True):
            self.calls[part][()] = value

    @external
    def fail(self, sender: str, how: int) -> None:
        """Set whether it fails from now on: 1 by a revert, 2 by using up its gas."""
        self.failing[()] = how

    @external
    def check_new_risk(self, sender: str, risk: NewRisk) -> int:
        """Accept any risk."""
        return self._answer_unless_failing(self.fee[()])

    @external
    def reprice(self, sender: str, collateral_type: int, performing: int, performing_before: int) -> int:
        """Say the fee [ray a second]."""
        return self._answer_unless_failing(self.fee[()])

    @external
    def set_mode(self, sender: str, new: int) -> None:
        """Take on no mode."""
        self._answer_unless_failing(0)

    @view
    def add_on(self, sender: str, collateral_type: int, debt: int) -> int:
        """Return an add-on at the scripted rate [basis points x rad]."""
        return self._answer_unless_failing(debt * self.add_on_rate[()])

    @view
    def max_marginal_add_on(self, sender: str, collateral_type: int) -> int:
        """Return the scripted growth rate of an add-on [basis points]."""
        return self._answer_unless_failing(self.add_on_rate[()])

    @view
    def fee_at(self, sender: str, collateral_type: int, performing: int) -> int:
        """Say the fee [ray a second]."""
        return self._answer_unless_failing(self.fee[()])

    @view
    def call_terms(self, sender: str, collateral_type: int) -> CallTerms:
        """Return the scripted terms of margin calls."""
        self._answer_unless_failing(0)
        return CallTerms(*(self.calls[part][()] for part in CallTerms._fields))

    @view
    def auction_limit_factor(self, sender: str) -> int:
        """Return the scripted factor of the auction limits [basis points]."""
        return self._answer_unless_failing(self.factor[()])

    @view
    def mode(self, sender: str) -> int:
        """Return the mode: normal."""
        return self._answer_unless_failing(0)

    def _answer_unless_failing(self, said: int) -> int:
        require(self.failing[()] != 1, "scripted_policy: as told")
        if self.failing[()] == 2:
            raise RevertError("")
        return int(said)

"""A risk policy that allows everything, and records the mode. For tests of the circuit breaker."""

from __future__ import annotations

from offchain.model.arithmetic import BASIS_POINTS
from offchain.model.state import Contract, World, external, require, view


class ScriptedPolicy(Contract):
    """See contracts/devnet/ScriptedPolicy.vy."""

    KIND = "ScriptedPolicy"

    def __init__(self, world: World, name: str, address: str, circuit_breaker: str) -> None:
        super().__init__(world, name, address)
        self.circuit_breaker_address = circuit_breaker
        self.modes = self.table("mode")

    @external
    def set_mode(self, sender: str, mode: int) -> None:
        """Record a mode."""
        require(sender == self.circuit_breaker_address, "scripted_policy: only breaker")
        self.modes[()] = mode

    @external
    def check_new_risk(
        self,
        sender: str,
        collateral_type: int,
        locked_collateral: int,
        debt: int,
        type_debt: int,
        initial_ratio: int,
        drawn: int,
        withdrawn: int,
    ) -> None:
        """Any new risk is fine."""

    @view
    def requirement(self, sender: str, collateral_type: int, debt: int) -> int:
        """No vault needs more than its ratio."""
        return 0

    @view
    def limits_factor(self, sender: str) -> int:
        """All of the auction limits, basis points."""
        return BASIS_POINTS

    @view
    def mode(self, sender: str) -> int:
        """What the circuit breaker said last."""
        return int(self.modes[()])

    @view
    def CIRCUIT_BREAKER(self, sender: str) -> str:
        """Who sets the mode."""
        return self.circuit_breaker_address

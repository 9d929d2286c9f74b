"""A stage that claims whatever it is told to, and pays nothing."""

from __future__ import annotations

from offchain.model.state import Contract, World, external, view


class ScriptedStage(Contract):
    """See contracts/devnet/ScriptedStage.vy."""

    KIND = "ScriptedStage"

    def __init__(self, world: World, name: str, address: str) -> None:
        super().__init__(world, name, address)
        self.claimed_capacity = self.table("claimed_capacity")
        self.claimed_payment = self.table("claimed_payment")

    @external
    def claim(self, sender: str, capacity: int, payment: int) -> None:
        """Set what it claims."""
        self.claimed_capacity[()] = capacity
        self.claimed_payment[()] = payment

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """What it claims to hold."""
        return int(self.claimed_capacity[()])

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> int:
        """Claim to have paid."""
        return int(self.claimed_payment[()])

"""A waterfall that charges one stage any scripted amount, and claims any losses. For tests of stages."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import Contract, World, declare_constant_view, external, view
from backstop.model.interfaces import IStage


class ScriptedWaterfall(Contract):
    """Loss waterfall for tests that charges a stage any amount (model of devnet/ScriptedWaterfall.vy)."""

    KIND = "ScriptedWaterfall"

    CAP_DELAY = declare_constant_view(30 * 86_400)  # seconds

    def __init__(self, world: World, name: str, address: str) -> None:
        super().__init__(world, name, address)
        self.claimed_losses = self.table("claimed_losses")

    @external
    def claim(self, sender: str, losses: int) -> None:
        """Set the losses that the waterfall reports from now on [rad]."""
        self.claimed_losses[()] = losses

    @external
    def charge(self, sender: str, stage: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Charge a stage with a loss; return the amounts that it reports as covered and reserved [rad]."""
        return cast(IStage, self.world.at(stage)).absorb(self.address, collateral_type, amount)

    @view
    def losses_reaching(self, sender: str, stage: str) -> int:
        """Return the scripted losses as those that would reach the stage [rad]."""
        return int(self.claimed_losses[()])

    @view
    def losses_at_payment(self, sender: str, stage: str) -> int:
        """Return the scripted losses to deduct at a payment [rad], also after a price drop."""
        return int(self.claimed_losses[()])

    @view
    def pending_total(self, sender: str) -> int:
        """Return the scripted losses as the total of all pending losses [rad]."""
        return int(self.claimed_losses[()])

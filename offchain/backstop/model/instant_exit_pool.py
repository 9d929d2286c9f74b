"""The naive pool: withdrawals at any moment at book value, regardless of known losses."""

from __future__ import annotations

from backstop.contract_base import World, require, view
from backstop.model.pool import Pool


class InstantExitPool(Pool):
    """Simple pool that pays withdrawals at book value at once, although losses are known.

    It serves comparison studies. Model of contracts/naive/InstantExitPool.vy.
    """

    KIND = "InstantExitPool"

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        token_name: str,
        token_symbol: str,
        asset: str,
        vault_engine: str,
        loss_waterfall: str,
        clawback: str,
        claims: str,
        cooldown: int,
        vesting: int,
    ) -> None:
        require(cooldown == 0, "instant_exit: no cooldown")
        wiring = asset, vault_engine, loss_waterfall, clawback, claims
        super().__init__(world, name, address, token_name, token_symbol, *wiring, cooldown, vesting)

    @view
    def pending_losses(self, sender: str) -> int:
        """Return 0, because known losses that are not yet booked do not reduce a withdrawal."""
        return 0

    def _compute_assets_left(self, assets: int) -> int:
        """Return all booked assets [wad] as the value that prices a withdrawal."""
        return assets

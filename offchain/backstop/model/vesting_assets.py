"""A pool's assets: one token, booked in one slot, and income that vests; see modules/vesting_assets.vy."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from backstop.contract_base import (
    Contract,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import div_up
from backstop.model.interfaces import IERC20

MOST_ASSETS = 2**96 - 1


@declare_record_slot_bit_widths(96, 96, 32, 32)
class Assets(NamedTuple):
    """Assets of a pool, and the part of them that has not vested [wad]; times in seconds."""

    booked: int = 0  # all of them
    unvested: int = 0  # income that had not vested at `vested_at`
    vested_at: int = 0
    ends_at: int = 0  # when all is vested


class VestingAssets(Contract):
    """Assets of a pool in one token, with income that vests over time (model of modules/vesting_assets.vy).

    Subclasses implement deposits and withdrawals.
    """

    asset_address = immutable("asset", str)
    # Seconds over which income vests.
    vesting = immutable("VESTING", int)

    def __init__(self, world: World, name: str, address: str, asset: str, vesting: int, *others: Any) -> None:
        super().__init__(world, name, address, *others)
        require(vesting >= bounds.MIN_VESTING, "pool: short vesting")
        require(vesting <= bounds.MAX_VESTING, "pool: long vesting")
        self.asset_address = asset
        self.vesting = vesting
        self.assets = self.table("funds.assets", Assets())

    @property
    def token(self) -> IERC20:
        return cast(IERC20, self.world.at(self.asset_address))

    @external
    def add_income(self, sender: str, assets: int) -> None:
        """Transfer income [wad] from the caller to the pool, where it vests linearly.

        The end of vesting becomes the mean of the old and the new end, weighted by the unvested amounts.
        """
        require(assets != 0, "pool: no income")
        held: Assets = self.assets[()]
        self._check_room(assets)
        now = self.world.timestamp
        rest = compute_unvested(held, now)
        total = rest + assets
        ends_at = now + (rest * max(0, held.ends_at - now) + assets * self.vesting) // total
        self.assets[()] = Assets(held.booked + assets, total, now, ends_at)
        self.emit("IncomeAdded", sender, assets, ends_at)
        self._pull_assets(sender, assets)

    @view
    def unvested(self, sender: str) -> int:
        """Return the pool's income that has not vested yet [wad], rounded up."""
        return compute_unvested(self.assets[()], self.world.timestamp)

    # --------------------------------------------------------------- internals

    def _compute_all_vested_assets(self) -> int:
        """Return the pool's vested assets [wad], rounded down."""
        return compute_vested_assets(self.assets[()], self.world.timestamp)

    def _compute_room(self) -> int:
        return int(MOST_ASSETS - self.assets[()].booked)

    def _check_room(self, assets: int) -> None:
        require(assets <= self._compute_room(), "pool: too many assets")

    def _change_total_booked_assets(self, change: int) -> None:
        held: Assets = self.assets[()]
        self.assets[()] = held._replace(booked=held.booked + change)

    def _remove_unvested_income(self, assets: int) -> None:
        """Deduct unvested income from the pool's assets [wad]; the rest vests as before."""
        held: Assets = self.assets[()]
        now = self.world.timestamp
        rest = compute_unvested(held, now)
        require(assets <= rest, "pool: vested already")
        self.assets[()] = Assets(held.booked - assets, rest - assets, now, held.ends_at)

    def _clear_and_count_booked_assets(self) -> int:
        """Set the pool's assets to zero, including unvested income, and return their amount before [wad]."""
        rest = int(self.assets[()].booked)
        self.assets[()] = Assets()
        return rest

    def _pull_assets(self, sender: str, assets: int) -> None:
        moved = self.token.transferFrom(self.address, sender, self.address, assets)
        require(moved is not False, "pool: transfer in failed")

    def _send_asset_tokens(self, receiver: str, assets: int) -> None:
        moved = self.token.transfer(self.address, receiver, assets)
        require(moved is not False, "pool: transfer out failed")


def compute_unvested(held: Assets, now: int) -> int:
    """Return the income that has not vested at time `now` [wad], rounded up."""
    if now >= held.ends_at:
        return 0
    return div_up(held.unvested * (held.ends_at - now), held.ends_at - held.vested_at)


def compute_vested_assets(held: Assets, now: int) -> int:
    """Return the vested assets of a pool at time `now` [wad], rounded down."""
    return held.booked - compute_unvested(held, now)

"""An ERC-4626 vault of members that earn income and absorb losses; with a cooldown, an ERC-7540 vault.

With A the vested assets of the shares, and S the shares:

    entry   shares = floor(a * (S + 1e6) / (A + 1))
    exit    assets = floor(s * (A - UL + 1) / (S + 1e6)), never above A - UL since s <= S; without a cooldown

Pool and EquityPool define losses and batches. Assets in wad, shares with 18 decimals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, cast

from backstop.contract_base import World, external, immutable, require, view
from backstop.model.arithmetic import MAX_UINT256, div_up, mul_uint256
from backstop.model.denominations import VIRTUAL_ASSETS, VIRTUAL_SHARES
from backstop.model.interfaces import ILossWaterfall
from backstop.model.redeem_queue import Queue, RedeemQueue
from backstop.model.vesting_assets import VestingAssets


class BatchState(NamedTuple):
    """The record of a batch; amounts in wad."""

    shares: int
    since: int  # seconds: the first request, then the cut
    paid: int
    held: int  # that losses may still take
    over: bool


class ClaimableShare(NamedTuple):
    """Claimable part of a request."""

    all_shares: int  # as many of its shares as its batch was paid for
    shares: int  # those of them that are not claimed yet
    assets: int  # wad, for these
    over: bool  # whether the batch is


# Interfaces: ERC-165 itself, ERC-7575, and with a cooldown ERC-7540's redemption and operators.
ALWAYS = {bytes.fromhex("01ffc9a7"), bytes.fromhex("2f0a18c5")}
WITH_REQUESTS = {bytes.fromhex("620ee8e4"), bytes.fromhex("e3bc4e65")}


class MemberPool(VestingAssets, RedeemQueue, ABC):
    """Common part of the pools of stablecoin and of equity."""

    loss_waterfall_address = immutable("LOSS_WATERFALL", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        asset: str,
        vesting: int,
        token_name: str,
        token_symbol: str,
        loss_waterfall: str,
        cooldown: int,
    ) -> None:
        super().__init__(world, name, address, asset, vesting, token_name, token_symbol)
        self.loss_waterfall_address = loss_waterfall
        self._open_queue(cooldown, self.loss_waterfall.CAP_DELAY(address))

    @property
    def loss_waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall_address))

    @view
    def maxDeposit(self, sender: str, receiver: str) -> int:
        """Return the room for bookings: far more than all coins."""
        return self._compute_room()

    # ------------------------------------------------------- what subclasses say

    @abstractmethod
    def _get_vested_assets(self) -> int:
        """Return A: the assets that shares are worth."""

    @abstractmethod
    def _compute_assets_left(self, assets: int) -> int:
        """Return what known losses will leave of assets, rounded down."""

    def _present_terms(self) -> tuple[int, int]:
        """Return the shares and assets, the virtual ones included, as they are counted now."""
        return self.state[()].supply + VIRTUAL_SHARES, self._get_vested_assets() + VIRTUAL_ASSETS

    @abstractmethod
    def _entry_terms(self) -> tuple[int, int, int]:
        """Return shares and assets, the virtual ones included, and generations that an entry goes on by."""

    @abstractmethod
    def _begin_entry(self) -> tuple[int, int]:
        """Return the shares and assets that an entry is priced by, after shares were divided."""

    @abstractmethod
    def _compute_claimable(self, id: int, controller: str) -> ClaimableShare:
        """Return what may be claimed of a request."""

    @abstractmethod
    @view
    def batch_of(self, sender: str, batch: int) -> BatchState:
        """Return the record of a batch."""

    @abstractmethod
    @view
    def queue(self, sender: str) -> tuple[int, int, int]:
        """Return the first open batch, the first that waits for its cooldown, and the last batch."""

    def _settle_owner(self, owner: str) -> None:
        """Renew an owner's record and credit claims due for losses, before the shares change."""
        self._renew_record(owner, self.state[()].mark)

    def _hand_claims(self, id: int, controller: str, is_done: bool) -> None:
        """Credit claims that are due to a request for losses, and store the checkpoint, unless it is done."""

    def _part_of_unvested(self, shares: int) -> int:
        """Return the income that has not vested on shares that leave, which the reserve gets."""
        return 0

    def _give_unearned_income_to_reserve(self, assets: int) -> None:
        """Give income that leavers have not earned to the reserve."""

    # ------------------------------------------------------------------------------------------------ entry

    @external
    def deposit(self, sender: str, assets: int, receiver: str) -> int:
        """Put assets in; the shares, rounded down."""
        supply, held = self._begin_entry()
        shares = mul_uint256(assets, supply) // held
        self._enter_pool(sender, assets, shares, receiver)
        return shares

    @external
    def mint(self, sender: str, shares: int, receiver: str) -> int:
        """Put assets in for a number of shares; the assets, rounded up."""
        supply, held = self._begin_entry()
        assets = div_up(mul_uint256(shares, held), supply)
        self._enter_pool(sender, assets, shares, receiver)
        return assets

    # ------------------------------------------------------------------------------------------------- exit

    @external
    def requestRedeem(self, sender: str, shares: int, controller: str, owner: str) -> int:
        """Commit shares to the batch that collects now, for a controller; the batch."""
        require(self.cooldown != 0, "pool: no request needed")
        require(shares != 0, "pool: empty request")
        self._check_receiver(controller)
        if sender != owner and not self.operators[owner, sender]:
            self._spend_allowance(owner, sender, shares)
        self._settle_owner(owner)
        if self.state[()].generation:
            self._renew_record(self.address, self.state[()].mark)
        self._transfer_shares(owner, self.address, shares)
        return self._commit_shares(sender, shares, controller, owner)

    def _commit_shares(self, sender: str, shares: int, controller: str, owner: str) -> int:
        """Add shares to the batch that collects; the batch."""
        return self._add_request_and_get_previous(sender, shares, controller, owner)[0]

    @external
    def withdraw(self, sender: str, assets: int, receiver: str, controller: str) -> int:
        """Take assets out, of requests or, without a cooldown, for shares; the shares, rounded up."""
        if self.cooldown:
            shares, _ = self._take_claims(MAX_UINT256, assets, controller)
        else:
            shares = self._to_burn(assets)
        self._leave_pool(sender, assets, shares, receiver, controller)
        return shares

    @external
    def redeem(self, sender: str, shares: int, receiver: str, controller: str) -> int:
        """Take assets out for a number of shares, of requests or one's own; the assets, rounded down."""
        if self.cooldown:
            _, assets = self._take_claims(shares, MAX_UINT256, controller)
        else:
            assets = self._to_claim(shares)
        self._leave_pool(sender, assets, shares, receiver, controller)
        return assets

    # ------------------------------------------------------------------------------------------------ views

    @view
    def totalAssets(self, sender: str) -> int:
        """Return the vested assets of the shares, before losses not covered yet."""
        return self._get_vested_assets()

    @view
    def pending_losses(self, sender: str) -> int:
        """Return UL: the part of all vested assets that known losses will take, rounded up."""
        all_vested = self._compute_all_vested_assets()
        return all_vested - self._compute_assets_left(all_vested)

    @view
    def pendingRedeemRequest(self, sender: str, requestId: int, controller: str) -> int:
        """Return the shares of a request that wait, rounded up."""
        part = self._compute_claimable(requestId, controller)
        return self.get_committed_shares(requestId, controller) - part.all_shares

    def get_committed_shares(self, id: int, controller: str) -> int:
        """Return the shares of a request, in the units of its claimable part."""
        return self.shares_at_cut(id, controller)

    @view
    def claimableRedeemRequest(self, sender: str, requestId: int, controller: str) -> int:
        """Return the shares of a request that may be claimed, rounded down."""
        return self._compute_claimable(requestId, controller).shares

    @view
    def share(self, sender: str) -> str:
        """Return the token of the shares: this contract."""
        return self.address

    @view
    def supportsInterface(self, sender: str, interface_id: bytes) -> bool:
        """Return True if this pool implements the standard (ERC-165)."""
        return interface_id in ALWAYS or (self.cooldown != 0 and interface_id in WITH_REQUESTS)

    @view
    def convertToShares(self, sender: str, assets: int) -> int:
        """Return the shares for assets at the current price, before any division, rounded down."""
        supply, held = self._present_terms()
        return mul_uint256(assets, supply) // held

    @view
    def convertToAssets(self, sender: str, shares: int) -> int:
        """Return the assets for shares at the current price, before any division, rounded down."""
        supply, held = self._present_terms()
        return mul_uint256(shares, held) // supply

    @view
    def maxMint(self, sender: str, receiver: str) -> int:
        """Return the shares for all that can be booked."""
        return self._to_shares(self._compute_room())

    @view
    def maxWithdraw(self, sender: str, controller: str) -> int:
        """Return the assets that may be claimed or, without a cooldown, that the owner's shares are worth."""
        if self.cooldown:
            return sum(
                self._compute_claimable(id, controller).assets for id in self.list_request_batches(controller)
            )
        return self._to_claim(self.held(controller))

    @view
    def maxRedeem(self, sender: str, controller: str) -> int:
        """Return the shares that may be claimed or, without a cooldown, the owner's."""
        if self.cooldown:
            return sum(
                self._compute_claimable(id, controller).shares for id in self.list_request_batches(controller)
            )
        return self.held(controller)

    @view
    def previewDeposit(self, sender: str, assets: int) -> int:
        """Return the shares for a deposit, rounded down."""
        return self._to_shares(assets)

    @view
    def previewMint(self, sender: str, shares: int) -> int:
        """Return the assets for new shares, rounded up."""
        supply, held, _ = self._entry_terms()
        return div_up(mul_uint256(shares, held), supply)

    @view
    def previewWithdraw(self, sender: str, assets: int) -> int:
        """Return the shares burned for assets at the exit price, rounded up, where there is no cooldown."""
        self._only_plain()
        return self._to_burn(assets)

    @view
    def previewRedeem(self, sender: str, shares: int) -> int:
        """Return the assets for shares at the exit price, rounded down, where there is no cooldown."""
        self._only_plain()
        return self._to_claim(shares)

    # ---------------------------------------------------------------------------------------------- helpers

    def _enter_pool(self, sender: str, assets: int, shares: int, receiver: str) -> None:
        require(shares != 0, "pool: no shares")
        self._check_receiver(receiver)
        self._check_room(assets)
        self._change_total_booked_assets(assets)
        self._settle_owner(receiver)
        self._mint_shares(receiver, shares)
        self.emit("Deposit", sender, receiver, assets, shares)
        self._pull_assets(sender, assets)

    def _leave_pool(self, sender: str, assets: int, shares: int, receiver: str, owner: str) -> None:
        back = 0
        if self.cooldown:
            require(sender == owner or self.operators[owner, sender], "pool: not controller")
            queue: Queue = self.line[()]
            self.line[()] = queue._replace(owed=queue.owed - assets)
        else:
            require(assets != 0, "pool: no assets")
            if sender != owner:
                self._spend_allowance(owner, sender, shares)
            self._settle_owner(owner)
            back = self._part_of_unvested(shares)
            self._burn_shares(owner, shares)
            self._change_total_booked_assets(-assets)
        self.emit("Withdraw", sender, receiver, owner, assets, shares)
        self._give_unearned_income_to_reserve(back)
        self._send_asset_tokens(receiver, assets)

    def _move_tokens(self, owner: str, to: str, amount: int) -> None:
        self._check_receiver(to)
        self._settle_owner(owner)
        self._settle_owner(to)
        self._transfer_shares(owner, to, amount)

    def _only_plain(self) -> None:
        require(self.cooldown == 0, "pool: request first")

    def _take_claims(self, shares: int, assets: int, controller: str) -> tuple[int, int]:
        """Take shares, or assets, out of requests, oldest first, credit claims, and return the amount taken.

        Where no shares are wanted, claims alone, of all requests.
        """
        shares_left, assets_left = shares, assets
        is_first = True
        for id in self.list_request_batches(controller):
            if assets_left == 0 or (shares and shares_left == 0):
                break
            part = self._compute_claimable(id, controller)
            taken = min(part.shares, shares_left)
            paid = part.assets if taken == part.shares else part.assets * taken // part.shares
            if paid > assets_left:
                paid = assets_left
                taken = div_up(paid * part.shares, part.assets)
            shares_left -= taken
            assets_left -= paid
            # Where claims alone are wanted, a request with nothing to take may follow one with something.
            is_first = is_first and part.over and taken == part.shares
            self._hand_claims(id, controller, is_first)
            if is_first:
                self._drop_first(id, controller)
            else:
                self._count_claimed(id, controller, paid, taken)
        require(shares_left == 0 or assets_left == 0, "pool: more than max")
        return shares - shares_left, assets - assets_left

    def _to_shares(self, assets: int) -> int:
        """Entry price, rounded down."""
        supply, held, _ = self._entry_terms()
        return mul_uint256(assets, supply) // held

    def _to_claim(self, shares: int) -> int:
        """Exit price, rounded down."""
        supply = int(self.state[()].supply) + VIRTUAL_SHARES
        return (
            mul_uint256(shares, self._compute_assets_left(self._compute_all_vested_assets()) + VIRTUAL_ASSETS)
            // supply
        )

    def _to_burn(self, assets: int) -> int:
        """Shares for assets at the exit price, rounded up."""
        left = self._compute_assets_left(self._compute_all_vested_assets())
        return div_up(mul_uint256(assets, self.state[()].supply + VIRTUAL_SHARES), left + VIRTUAL_ASSETS)

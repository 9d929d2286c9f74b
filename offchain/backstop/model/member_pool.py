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
    """Record of a batch of withdrawal requests: shares, time, amounts paid and held back [wad], state.

    The time is that of the first request, then that of the batch's close. Losses may still take the amount
    held back.
    """

    shares: int
    since: int  # seconds: the first request, then the cut
    paid: int
    held: int  # that losses may still take
    over: bool


class ClaimableShare(NamedTuple):
    """Part of a withdrawal request that can be claimed now: shares and assets [wad]."""

    all_shares: int  # as many of its shares as its batch was paid for
    shares: int  # those of them that are not claimed yet
    assets: int  # wad, for these
    over: bool  # whether the batch is


# Interfaces: ERC-165 itself, ERC-7575, and with a cooldown ERC-7540's redemption and operators.
ALWAYS = {bytes.fromhex("01ffc9a7"), bytes.fromhex("2f0a18c5")}
WITH_REQUESTS = {bytes.fromhex("620ee8e4"), bytes.fromhex("e3bc4e65")}


class MemberPool(VestingAssets, RedeemQueue, ABC):
    """ERC-4626 pool whose members earn income and bear losses; base of the stablecoin and equity pools.

    With a cooldown, withdrawals need a request (ERC-7540).
    """

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
        """Return the most assets that can be deposited [wad]: the room of the storage field."""
        return self._compute_room()

    # ------------------------------------------------------- what subclasses say

    @abstractmethod
    def _get_vested_assets(self) -> int:
        """Return the vested assets that belong to the pool's shares [wad]."""

    @abstractmethod
    def _compute_assets_left(self, assets: int) -> int:
        """Return the part of `assets` [wad] that known losses will leave, rounded down."""

    def _present_terms(self) -> tuple[int, int]:
        """Return the present shares and assets for pricing, with the virtual ones included."""
        return self.state[()].supply + VIRTUAL_SHARES, self._get_vested_assets() + VIRTUAL_ASSETS

    @abstractmethod
    def _entry_terms(self) -> tuple[int, int, int]:
        """Return the shares and assets that price a deposit, and the number of share divisions before it.

        Shares and assets include the virtual ones.
        """

    @abstractmethod
    def _begin_entry(self) -> tuple[int, int]:
        """Divide shares if a deposit needs it, and return the shares and assets that price it."""

    @abstractmethod
    def _compute_claimable(self, id: int, controller: str) -> ClaimableShare:
        """Return the part of a withdrawal request that can be claimed now."""

    @abstractmethod
    @view
    def batch_of(self, sender: str, batch: int) -> BatchState:
        """Return the record of a batch of withdrawal requests; amounts are in wad."""

    @abstractmethod
    @view
    def queue(self, sender: str) -> tuple[int, int, int]:
        """Return the numbers of the first open batch, the first in cooldown, and the last batch."""

    def _settle_owner(self, owner: str) -> None:
        """Update an owner's share record and credit recovery claims for losses, before shares change."""
        self._renew_record(owner, self.state[()].mark)

    def _hand_claims(self, id: int, controller: str, is_done: bool) -> None:
        """Credit the recovery claims for losses that a request bore.

        The loss checkpoint is recorded for the request, unless it is done.
        """

    def _part_of_unvested(self, shares: int) -> int:
        """Return the unvested income on shares that leave [wad], which goes to the reserve; 0 by default."""
        return 0

    def _give_unearned_income_to_reserve(self, assets: int) -> None:
        """Pay the unvested income of leaving members [wad] to the protocol's reserve; nothing by default."""

    # ------------------------------------------------------------------------------------------------ entry

    @external
    def deposit(self, sender: str, assets: int, receiver: str) -> int:
        """Deposit assets [wad], and return the shares minted to the receiver, rounded down."""
        supply, held = self._begin_entry()
        shares = mul_uint256(assets, supply) // held
        self._enter_pool(sender, assets, shares, receiver)
        return shares

    @external
    def mint(self, sender: str, shares: int, receiver: str) -> int:
        """Mint a number of shares to the receiver, and return the assets taken [wad, rounded up]."""
        supply, held = self._begin_entry()
        assets = div_up(mul_uint256(shares, held), supply)
        self._enter_pool(sender, assets, shares, receiver)
        return assets

    # ------------------------------------------------------------------------------------------------- exit

    @external
    def requestRedeem(self, sender: str, shares: int, controller: str, owner: str) -> int:
        """Commit an owner's shares to the present withdrawal batch, and return the batch's number.

        The controller can claim the payment later. A caller other than the owner and its operators spends an
        allowance. Reverts in a pool without a cooldown.
        """
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
        """Add shares to the present withdrawal batch, and return the batch's number."""
        return self._add_request_and_get_previous(sender, shares, controller, owner)[0]

    @external
    def withdraw(self, sender: str, assets: int, receiver: str, controller: str) -> int:
        """Pay assets [wad] to the receiver, and return the shares used, rounded up.

        With a cooldown, the assets come from paid withdrawal requests of the controller. Otherwise the
        controller's shares are burned at the exit price.
        """
        if self.cooldown:
            shares, _ = self._take_claims(MAX_UINT256, assets, controller)
        else:
            shares = self._to_burn(assets)
        self._leave_pool(sender, assets, shares, receiver, controller)
        return shares

    @external
    def redeem(self, sender: str, shares: int, receiver: str, controller: str) -> int:
        """Redeem a number of shares, and return the assets paid to the receiver [wad, rounded down].

        With a cooldown, the shares are those of paid withdrawal requests of the controller. Otherwise the
        controller's shares are burned at the exit price.
        """
        if self.cooldown:
            _, assets = self._take_claims(shares, MAX_UINT256, controller)
        else:
            assets = self._to_claim(shares)
        self._leave_pool(sender, assets, shares, receiver, controller)
        return assets

    # ------------------------------------------------------------------------------------------------ views

    @view
    def totalAssets(self, sender: str) -> int:
        """Return the vested assets of the shares [wad], before losses that are not yet covered."""
        return self._get_vested_assets()

    @view
    def pending_losses(self, sender: str) -> int:
        """Return the part of the pool's vested assets that known losses will take [wad, rounded up]."""
        all_vested = self._compute_all_vested_assets()
        return all_vested - self._compute_assets_left(all_vested)

    @view
    def pendingRedeemRequest(self, sender: str, requestId: int, controller: str) -> int:
        """Return the shares of a withdrawal request that cannot be claimed yet, rounded up."""
        part = self._compute_claimable(requestId, controller)
        return self.get_committed_shares(requestId, controller) - part.all_shares

    def get_committed_shares(self, id: int, controller: str) -> int:
        """Return all shares of a withdrawal request, in the units of its claimable part."""
        return self.shares_at_cut(id, controller)

    @view
    def claimableRedeemRequest(self, sender: str, requestId: int, controller: str) -> int:
        """Return the shares of a withdrawal request that can be claimed, rounded down."""
        return self._compute_claimable(requestId, controller).shares

    @view
    def share(self, sender: str) -> str:
        """Return the address of the share token, which is this contract."""
        return self.address

    @view
    def supportsInterface(self, sender: str, interface_id: bytes) -> bool:
        """Return True if this pool implements the interface with this id (ERC-165)."""
        return interface_id in ALWAYS or (self.cooldown != 0 and interface_id in WITH_REQUESTS)

    @view
    def convertToShares(self, sender: str, assets: int) -> int:
        """Return the shares for an amount of assets [wad] at the present price, rounded down.

        A division of shares before the next deposit is not taken into account.
        """
        supply, held = self._present_terms()
        return mul_uint256(assets, supply) // held

    @view
    def convertToAssets(self, sender: str, shares: int) -> int:
        """Return the assets [wad] for a number of shares at the present price, rounded down.

        A division of shares before the next deposit is not taken into account.
        """
        supply, held = self._present_terms()
        return mul_uint256(shares, held) // supply

    @view
    def maxMint(self, sender: str, receiver: str) -> int:
        """Return the most shares that can be minted: those for the largest possible deposit."""
        return self._to_shares(self._compute_room())

    @view
    def maxWithdraw(self, sender: str, controller: str) -> int:
        """Return the most assets that the controller can withdraw now [wad].

        With a cooldown, these are the claimable assets of its requests. Otherwise it is the exit value of its
        shares.
        """
        if self.cooldown:
            return sum(
                self._compute_claimable(id, controller).assets for id in self.list_request_batches(controller)
            )
        return self._to_claim(self.held(controller))

    @view
    def maxRedeem(self, sender: str, controller: str) -> int:
        """Return the most shares that the controller can redeem now.

        With a cooldown, these are the claimable shares of its requests. Otherwise it is the shares it holds.
        """
        if self.cooldown:
            return sum(
                self._compute_claimable(id, controller).shares for id in self.list_request_batches(controller)
            )
        return self.held(controller)

    @view
    def previewDeposit(self, sender: str, assets: int) -> int:
        """Return the shares that a deposit of assets [wad] would mint, rounded down."""
        return self._to_shares(assets)

    @view
    def previewMint(self, sender: str, shares: int) -> int:
        """Return the assets [wad] that minting a number of shares would take, rounded up."""
        supply, held, _ = self._entry_terms()
        return div_up(mul_uint256(shares, held), supply)

    @view
    def previewWithdraw(self, sender: str, assets: int) -> int:
        """Return the shares that a withdrawal of assets [wad] would burn at the exit price, rounded up.

        Reverts in a pool with a cooldown.
        """
        self._only_plain()
        return self._to_burn(assets)

    @view
    def previewRedeem(self, sender: str, shares: int) -> int:
        """Return the assets [wad] that redeeming shares would pay at the exit price, rounded down.

        Reverts in a pool with a cooldown.
        """
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
        """Take shares or assets from paid withdrawal requests, oldest first; return both amounts.

        Recovery claims of these requests are credited as well. With `shares` 0, only the claims of all
        requests are credited. Reverts if the requests hold less.
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
        """Return the shares for assets [wad] at the deposit price, rounded down."""
        supply, held, _ = self._entry_terms()
        return mul_uint256(assets, supply) // held

    def _to_claim(self, shares: int) -> int:
        """Return the assets [wad] for shares at the exit price, rounded down."""
        supply = int(self.state[()].supply) + VIRTUAL_SHARES
        return (
            mul_uint256(shares, self._compute_assets_left(self._compute_all_vested_assets()) + VIRTUAL_ASSETS)
            // supply
        )

    def _to_burn(self, assets: int) -> int:
        """Return the shares for assets [wad] at the exit price, rounded up."""
        left = self._compute_assets_left(self._compute_all_vested_assets())
        return div_up(mul_uint256(assets, self.state[()].supply + VIRTUAL_SHARES), left + VIRTUAL_ASSETS)

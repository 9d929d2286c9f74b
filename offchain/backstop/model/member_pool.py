"""An ERC-4626 vault of members who earn income and bear losses, with a cooldown an ERC-7540 one.

With A the vested assets that shares are worth, and S the shares:

    entry   shares = floor(a * (S + 1e6) / (A + 1))
    exit    assets = floor(s * (A - UL + 1) / (S + 1e6)), never above A - UL since s <= S; without a cooldown

Pool and EquityPool say what a loss and a batch are. Assets in wad, shares with 18 decimals.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, div_up, mul
from backstop.model.exits import DAY, Batch, Claimed, Exits, Queue, Request
from backstop.model.interfaces import ILossWaterfall
from backstop.model.shares import State
from backstop.model.state import World, external, immutable, require, view
from backstop.model.vesting_assets import VestingAssets

VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
MOST_SHARES = 10**15


class BatchState(NamedTuple):
    """The record of a batch; amounts in wad."""

    shares: int
    since: int  # seconds: the first request, then the cut
    paid: int
    held: int  # that losses may still take
    over: bool


class Part(NamedTuple):
    """What may be claimed of a request."""

    all_shares: int  # as many of its shares as its batch was paid for
    shares: int  # those of them that are not claimed yet
    assets: int  # wad, for these
    over: bool  # whether the batch is
    last: int  # the last checkpoint that it has a part in


# Interfaces: ERC-165 itself, ERC-7575, and with a cooldown ERC-7540's redemption and operators.
ALWAYS = {bytes.fromhex("01ffc9a7"), bytes.fromhex("2f0a18c5")}
WITH_REQUESTS = {bytes.fromhex("620ee8e4"), bytes.fromhex("e3bc4e65")}


class MemberPool(VestingAssets, Exits):
    """What pools of stablecoin and of equity have in common."""

    loss_waterfall_address = immutable("LOSS_WATERFALL", str)
    # Seconds from the cut of a batch to its first payment, but for bounds.LOOK. 0: leaving needs no request.
    cooldown = immutable("COOLDOWN", int)

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
        require(cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds")
        require(cooldown < self.loss_waterfall.CAP_DELAY(address), "pool: cooldown too long")
        self.cooldown = cooldown

    @property
    def loss_waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall_address))

    # ------------------------------------------------------- what subclasses say

    def _vested(self) -> int:
        """Return A: the assets that shares are worth."""
        raise NotImplementedError

    def _left(self, assets: int) -> int:
        """Return what known losses will leave of assets, rounded down."""
        raise NotImplementedError

    def _entry_terms(self) -> tuple[int, int]:
        """Return the shares and assets, the virtual ones included, that an entry is priced by."""
        raise NotImplementedError

    def _claimable(self, id: int, controller: str) -> Part:
        """Return what may be claimed of a request."""
        raise NotImplementedError

    def _is_over(self, id: int) -> bool:
        """Tell whether a batch was paid or lost."""
        raise NotImplementedError

    def _settle(self, generation: int, owner: str, last: int) -> None:
        """Hand an owner what is due for losses, before the shares change."""

    def _issue(self, generation: int, owner: str, owned: int, mark: int, last: int) -> None:
        """Hand an owner the claims of so many shares, from a checkpoint to a later one."""

    # ------------------------------------------------------------------------------------------------ entry

    @external
    def deposit(self, sender: str, assets: int, receiver: str) -> int:
        """Put assets in; the shares, rounded down."""
        supply, held = self._entry_terms()
        shares = mul(assets, supply) // held
        self._enter(sender, assets, shares, receiver)
        return shares

    @external
    def mint(self, sender: str, shares: int, receiver: str) -> int:
        """Put assets in for a number of shares; the assets, rounded up."""
        supply, held = self._entry_terms()
        assets = div_up(mul(shares, held), supply)
        self._enter(sender, assets, shares, receiver)
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
        state: State = self.state[()]
        self._settle(state.generation, owner, state.mark)
        self._transfer(state.generation, owner, self.address, shares)
        id = int(self.line[()].collecting)
        batch: Batch = self.batches[id]
        if batch.units == 0:
            batch = Batch(0, self.world.timestamp, state.generation)
        self.batches[id] = batch._replace(units=batch.units + shares)
        request: Request = self.requests[id, controller]
        self._issue(state.generation, controller, request.shares, request.mark, state.mark)
        self._add_request(id, controller, request.shares + shares, state.mark)
        self.emit("RedeemRequest", controller, owner, id, sender, shares)
        return id

    @external
    def withdraw(self, sender: str, assets: int, receiver: str, controller: str) -> int:
        """Take assets out, of requests or, without a cooldown, for shares; the shares, rounded up."""
        if self.cooldown:
            shares, _ = self._claim(MAX_UINT256, assets, controller)
        else:
            shares = self._to_burn(assets)
        self._leave(sender, assets, shares, receiver, controller)
        return shares

    @external
    def redeem(self, sender: str, shares: int, receiver: str, controller: str) -> int:
        """Take assets out for a number of shares, of requests or one's own; the assets, rounded down."""
        if self.cooldown:
            _, assets = self._claim(shares, MAX_UINT256, controller)
        else:
            assets = self._to_claim(shares)
        self._leave(sender, assets, shares, receiver, controller)
        return assets

    # ----------------------------------------------------------------------------------------------- ERC-20

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool:
        """Move the sender's shares; claims for losses before stay."""
        self._move(sender, to, amount)
        return True

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool:
        """Move shares on an allowance."""
        self._spend_allowance(owner, sender, amount)
        self._move(owner, to, amount)
        return True

    # ------------------------------------------------------------------------------------------------ views

    @view
    def totalAssets(self, sender: str) -> int:
        """Return the vested assets of the shares, before losses not covered yet."""
        return self._vested()

    @view
    def pending_losses(self, sender: str) -> int:
        """Return UL: the part of all vested assets that known losses will take, rounded up."""
        all_vested = self._all_vested()
        return all_vested - self._left(all_vested)

    @view
    def pendingRedeemRequest(self, sender: str, requestId: int, controller: str) -> int:
        """Return the shares of a request that wait, rounded up."""
        shares = int(self.requests[requestId, controller].shares)
        return shares - self._claimable(requestId, controller).all_shares

    @view
    def claimableRedeemRequest(self, sender: str, requestId: int, controller: str) -> int:
        """Return the shares of a request that may be claimed, rounded down."""
        return self._claimable(requestId, controller).shares

    @view
    def share(self, sender: str) -> str:
        """Return the token of the shares: this contract."""
        return self.address

    @view
    def supportsInterface(self, sender: str, interface_id: bytes) -> bool:
        """Tell which standards this pool keeps."""
        return interface_id in ALWAYS or (self.cooldown != 0 and interface_id in WITH_REQUESTS)

    @view
    def batch_of(self, sender: str, batch: int) -> BatchState:
        """Return the record of a batch."""
        record: Batch = self.batches[batch]
        over = self._is_over(batch)
        held = 0 if over else self._holds(batch)
        return BatchState(record.units, record.since, self.payments[batch].paid, held, over)

    @view
    def queue(self, sender: str) -> tuple[int, int, int]:
        """Return the first batch that is not over, the first whose cooldown has to pass, and the last."""
        return self.open_batches().start, self.settled_batches().stop, self.line[()].collecting

    @view
    def convertToShares(self, sender: str, assets: int) -> int:
        """Return the shares for assets at the entry price, rounded down."""
        return self._to_shares(assets)

    @view
    def convertToAssets(self, sender: str, shares: int) -> int:
        """Return the assets for shares at the entry price, rounded down."""
        supply, held = self._entry_terms()
        return mul(shares, held) // supply

    @view
    def maxMint(self, sender: str, receiver: str) -> int:
        """Return the shares for all that can be booked."""
        return self._to_shares(self._room())

    @view
    def maxWithdraw(self, sender: str, controller: str) -> int:
        """Return the assets that may be claimed or, without a cooldown, that the owner's shares are worth."""
        if self.cooldown:
            return sum(self._claimable(id, controller).assets for id in self.requests_of(controller))
        return self._to_claim(self.held(controller))

    @view
    def maxRedeem(self, sender: str, controller: str) -> int:
        """Return the shares that may be claimed or, without a cooldown, the owner's."""
        if self.cooldown:
            return sum(self._claimable(id, controller).shares for id in self.requests_of(controller))
        return self.held(controller)

    @view
    def previewDeposit(self, sender: str, assets: int) -> int:
        """Return the shares for a deposit, rounded down."""
        return self._to_shares(assets)

    @view
    def previewMint(self, sender: str, shares: int) -> int:
        """Return the assets for new shares, rounded up."""
        supply, held = self._entry_terms()
        return div_up(mul(shares, held), supply)

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

    def _enter(self, sender: str, assets: int, shares: int, receiver: str) -> None:
        require(shares != 0, "pool: no shares")
        self._check_receiver(receiver)
        self._check_room(assets)
        self._book(assets)
        state: State = self.state[()]
        self._settle(state.generation, receiver, state.mark)
        self._mint(state.generation, receiver, shares)
        self.emit("Deposit", sender, receiver, assets, shares)
        self._pull(sender, assets)

    def _leave(self, sender: str, assets: int, shares: int, receiver: str, owner: str) -> None:
        if self.cooldown:
            require(sender == owner or self.operators[owner, sender], "pool: not controller")
            queue: Queue = self.line[()]
            self.line[()] = queue._replace(owed=queue.owed - assets)
        else:
            require(assets != 0, "pool: no assets")
            if sender != owner:
                self._spend_allowance(owner, sender, shares)
            state: State = self.state[()]
            self._settle(state.generation, owner, state.mark)
            self._burn(state.generation, owner, shares)
            self._book(-assets)
        self.emit("Withdraw", sender, receiver, owner, assets, shares)
        self._push(receiver, assets)

    def _move(self, owner: str, to: str, amount: int) -> None:
        self._check_receiver(to)
        state: State = self.state[()]
        self._settle(state.generation, owner, state.mark)
        self._settle(state.generation, to, state.mark)
        self._transfer(state.generation, owner, to, amount)

    def _only_plain(self) -> None:
        require(self.cooldown == 0, "pool: request first")

    def cut_from(self) -> int:
        """Return when the batch that collects may be cut first [seconds]."""
        return int(self.batches[self.line[()].collecting].since) + min(self.cooldown, DAY)

    def matures_at(self, id: int) -> int:
        """Return when a batch that is cut may be settled first [seconds]."""
        return int(self.batches[id].since) + self.cooldown + bounds.LOOK

    def _claim(self, shares: int, assets: int, controller: str) -> tuple[int, int]:
        """Take shares, or assets, out of requests, oldest first, and hand over claims; what was taken.

        Where no shares are wanted, claims alone, of all requests.
        """
        shares_left, assets_left = shares, assets
        for id in self.requests_of(controller):
            if assets_left == 0 or (shares and shares_left == 0):
                break
            request: Request = self.requests[id, controller]
            part = self._claimable(id, controller)
            taken = min(part.shares, shares_left)
            paid = part.assets if taken == part.shares else part.assets * taken // part.shares
            if paid > assets_left:
                paid = assets_left
                taken = div_up(paid * part.shares, part.assets)
            shares_left -= taken
            assets_left -= paid
            if part.over and taken == part.shares:
                self._drop_first(id, controller)
            else:
                if request.mark != part.last:
                    self.requests[id, controller] = request._replace(mark=part.last)
                if taken:
                    before: Claimed = self.claimed[id, controller]
                    self.claimed[id, controller] = Claimed(before.assets + paid, before.shares + taken)
            self._issue(self.batches[id].generation, controller, request.shares, request.mark, part.last)
        require(shares_left == 0 or assets_left == 0, "pool: more than max")
        return shares - shares_left, assets - assets_left

    def _to_shares(self, assets: int) -> int:
        """Entry price, rounded down."""
        supply, held = self._entry_terms()
        return mul(assets, supply) // held

    def _to_claim(self, shares: int) -> int:
        """Exit price, rounded down."""
        supply = int(self.state[()].supply) + VIRTUAL_SHARES
        return mul(shares, self._left(self._all_vested()) + VIRTUAL_ASSETS) // supply

    def _to_burn(self, assets: int) -> int:
        """Shares for assets at the exit price, rounded up."""
        left = self._left(self._all_vested())
        return div_up(mul(assets, self.state[()].supply + VIRTUAL_SHARES), left + VIRTUAL_ASSETS)

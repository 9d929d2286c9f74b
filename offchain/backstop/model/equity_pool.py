"""Staked equity, which an auction slashes for losses and brings back unsold; see contracts/EquityPool.vy.

Shares of a batch stay members' until it is paid, in full, once no loss is known and nothing is under auction.
"""

from __future__ import annotations

from typing import cast

from backstop.model.arithmetic import add, mul
from backstop.model.exits import MOST_OPEN, Batch, Claimed, Queue, Request
from backstop.model.interfaces import IEquityAuction
from backstop.model.member_pool import VIRTUAL_ASSETS, VIRTUAL_SHARES, MemberPool, Part
from backstop.model.pool import void
from backstop.model.shares import State
from backstop.model.state import World, external, immutable, require, view


class EquityPool(MemberPool):
    """See contracts/EquityPool.vy."""

    KIND = "EquityPool"

    # The auction that slashes this pool: the stage of the waterfall in whose place losses come here.
    stage_address = immutable("STAGE", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        token_name: str,
        token_symbol: str,
        asset: str,
        loss_waterfall: str,
        stage: str,
        cooldown: int,
        vesting: int,
    ) -> None:
        token = asset, vesting, token_name, token_symbol
        super().__init__(world, name, address, *token, loss_waterfall, cooldown)
        self.stage_address = stage

    @property
    def stage(self) -> IEquityAuction:
        return cast(IEquityAuction, self.world.at(self.stage_address))

    # ------------------------------------------------------------------- entry

    def _enter(self, sender: str, assets: int, shares: int, receiver: str) -> None:
        if shares and self.state[()].supply and self._entry_terms()[0] == VIRTUAL_SHARES:
            self._check_receiver(receiver)
            self._new_generation()
        super()._enter(sender, assets, shares, receiver)

    # -------------------------------------------------------------------- exit

    @external
    def cut(self, sender: str) -> int:
        """End the collecting of a batch; its shares stay members' until they are paid; the batch."""
        state: State = self.state[()]
        queue: Queue = self.line[()]
        id = queue.collecting
        batch: Batch = self.batches[id]
        require(batch.units != 0, "pool: no requests")
        require(self.world.timestamp >= self.cut_from(), "pool: batch collects")
        require(state.open < MOST_OPEN, "pool: too many batches")
        self._set_open(state.open + 1)
        self.batches[id] = batch._replace(since=self.world.timestamp)
        self.line[()] = queue._replace(collecting=id + 1)
        self.emit("BatchCut", id, batch.units, 0)
        return id

    @external
    def settle(self, sender: str) -> None:
        """Pay the batches whose cooldown is over, in full, while no loss is known."""
        queue: Queue = self.line[()]
        first, unsettled = self.open_batches().start, self.settled_batches().stop
        while unsettled != queue.collecting and self.world.timestamp >= self.matures_at(unsettled):
            unsettled += 1
        require(first < unsettled, "pool: nothing to settle")
        self.line[()] = queue._replace(unsettled=unsettled)
        losses = self.loss_waterfall.losses_at_payment(self.address, self.stage_address)
        idle = losses == 0 and self.stage.under_auction(self.address) == 0
        require(idle, "pool: losses are open")
        self._pay_members()

    # ------------------------------------------------------------------ losses

    @external
    def slash(self, sender: str, assets: int, receiver: str) -> int:
        """Take vested assets to sell them for a loss; what was sent."""
        require(sender == self.stage_address, "pool: not its stage")
        sent = min(assets, self._all_vested())
        self._book(-sent)
        self.emit("Slashed", receiver, sent)
        self._push(receiver, sent)
        return sent

    @external
    def restore(self, sender: str, assets: int) -> None:
        """Bring back what was slashed and not sold."""
        require(sender == self.stage_address, "pool: not its stage")
        self._book(assets)
        self.emit("Restored", assets)
        self._pull(sender, assets)

    # ------------------------------------------------------------------- views

    @view
    def slashable(self, sender: str) -> int:
        """Return what can be slashed: all vested assets."""
        return self._all_vested()

    # ----------------------------------------------------------------- batches

    def _pay_members(self) -> None:
        """Pay batches whose shares are members' at the price of now, in full."""
        state: State = self.state[()]
        all_vested, supply, total = self._all_vested(), state.supply, 0
        settled = self.settled_batches()
        for id in settled:
            shares = self.batches[id].units
            paid = mul(shares, all_vested - total + VIRTUAL_ASSETS) // (supply + VIRTUAL_SHARES)
            supply -= shares
            total += paid
            self._pay(id, paid)
            self._end(id, 0)
            self.emit("BatchPaid", id, paid, 0)
        self._burn(state.generation, self.address, state.supply - supply)
        self._set_open(state.open - len(settled))
        self._book(-total)
        queue: Queue = self.line[()]
        self.line[()] = queue._replace(owed=queue.owed + total)

    def _is_over(self, id: int) -> bool:
        return bool(self.payments[id].ended) or self.batches[id].generation != self.state[()].generation

    def _claimable(self, id: int, controller: str) -> Part:
        """Return what may be claimed of a request: all or, before its batch is paid, nothing."""
        request: Request = self.requests[id, controller]
        if request.shares == 0 or not self._is_over(id):
            return Part(0, 0, 0, False, 0)
        claimed: Claimed = self.claimed[id, controller]
        shares, assets = request.shares - claimed.shares, 0
        if shares:
            paid = self.payments[id].paid
            assets = paid * request.shares // self.batches[id].units - claimed.assets
        return Part(request.shares, shares, assets, True, 0)

    # ------------------------------------------------------------------ prices

    def _vested(self) -> int:
        return self._all_vested()

    def _left(self, assets: int) -> int:
        losses = self.loss_waterfall.losses_beyond(self.address, self.stage_address)
        if losses == 0:
            return assets
        return assets - min(assets, self.stage.pending_assets(self.address, losses))

    def _entry_terms(self) -> tuple[int, int]:
        """Return the shares and assets that an entry is priced by: what is under auction may come back."""
        supply, held = int(self.state[()].supply), self._all_vested()
        if self.loss_waterfall.pending_total(self.address) != 0:
            held = add(held, self.stage.under_auction(self.address))
        if void(supply, held):
            supply = held = 0
        return supply + VIRTUAL_SHARES, held + VIRTUAL_ASSETS

    def _new_generation(self) -> None:
        """Void all shares, requests and batches; what is left stays here for good, as a donation does."""
        state: State = self.state[()]
        self._void_shares()
        queue: Queue = self.line[()]
        collecting = queue.collecting + (self.batches[queue.collecting].units != 0)
        self.line[()] = Queue(collecting, collecting, 0, queue.owed)
        rest = self._clear()
        self.emit("NewGeneration", state.generation + 1, state.supply, rest)

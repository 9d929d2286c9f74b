"""Staked equity, which an auction slashes for losses and brings back unsold; see contracts/EquityPool.vy.

Shares of a batch stay members' until it is paid. Shares past their cooldown are due in a round. All due
shares are paid in full, at one price, once no loss is known and nothing is under auction.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model.arithmetic import mul_uint256
from backstop.model.denominations import (
    LEAST_ASSETS,
    VIRTUAL_ASSETS,
    VIRTUAL_SHARES,
    VOID,
    convert_shares,
    count_generation_steps,
)
from backstop.model.interfaces import IEquityAuction
from backstop.model.member_pool import BatchState, ClaimableShare, MemberPool
from backstop.model.redeem_queue import Queue, Request
from backstop.model.shares import State


@declare_record_slot_bit_widths(96, 160)
class Round(NamedTuple):
    """Payment [wad] for all withdrawn shares that were due at the same time, and their number."""

    paid: int = 0  # wad
    shares: int = 0


@declare_record_slot_bit_widths(152, 104)
class Due(NamedTuple):
    """Withdrawn shares past their cooldown, and the share generation in which they are counted.

    A new generation starts when shares are divided after large losses.
    """

    shares: int = 0
    generation: int = 0


class EquityPool(MemberPool):
    """Pool of staked equity, which losses slash: an auction sells it, and unsold equity returns.

    Model of contracts/EquityPool.vy.
    """

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
        self.round = self.table("round")
        self.due = self.table("due", Due())
        self.rounds = self.table("rounds", Round())
        self.generations = self.table("generations")
        # Batches that wait for their time are in round 0.
        self.round[()] = 1

    @property
    def stage(self) -> IEquityAuction:
        return cast(IEquityAuction, self.world.at(self.stage_address))

    # -------------------------------------------------------------------- exit

    @external
    def cut(self, sender: str) -> int:
        """Close the present batch of withdrawal requests, and return its number.

        The next batch opens at once. Shares of a closed batch bear losses until they are paid. Any account
        may call this.
        """
        queue = self._mark_mature_batches_due()
        units = self._end_batch_collection(queue).units
        self.line[()] = queue._replace(collecting=queue.collecting + 1)
        self.emit("BatchCut", queue.collecting, units, 0)
        return int(queue.collecting)

    @external
    def settle(self, sender: str) -> None:
        """Pay all withdrawn shares past their cooldown, at one price. Any account may call this.

        Reverts while a loss is known, while equity is under auction, or if no shares are due.
        """
        queue, state, round = self._mark_mature_batches_due(), self.state[()], self.round[()]
        shares = self._count_due_shares()
        require(shares != 0, "pool: nothing to settle")
        losses = self.loss_waterfall.losses_at_payment(self.address, self.stage_address)
        idle = losses == 0 and self.stage.under_auction(self.address) == 0
        require(idle, "pool: losses are open")
        paid = mul_uint256(shares, self._compute_all_vested_assets() + VIRTUAL_ASSETS) // (
            state.supply + VIRTUAL_SHARES
        )
        self.rounds[round] = Round(paid, shares)
        if state.generation:
            self.generations[round] = state.generation
        self.due[()] = Due()
        self.round[()] = round + 1
        self._change_total_booked_assets(-paid)
        self.line[()] = queue._replace(owed=queue.owed + paid)
        self._renew_record(self.address, self.state[()].mark)
        self._burn_shares(self.address, shares)
        self.emit("RoundPaid", round, queue.unsettled, shares, paid)

    # ------------------------------------------------------------------ losses

    @external
    def slash(self, sender: str, assets: int, receiver: str) -> int:
        """Send vested equity to an auction that sells it for a loss, and return the amount sent [wad].

        At most the pool's vested assets are sent. Only the pool's auction stage may call this.
        """
        require(sender == self.stage_address, "pool: not its stage")
        sent = min(assets, self._compute_all_vested_assets())
        self._change_total_booked_assets(-sent)
        self.emit("Slashed", receiver, sent)
        self._send_asset_tokens(receiver, sent)
        return sent

    @external
    def restore(self, sender: str, assets: int) -> None:
        """Take back equity that was slashed and not sold [wad].

        Only the pool's auction stage may call this.
        """
        require(sender == self.stage_address, "pool: not its stage")
        self._change_total_booked_assets(assets)
        self.emit("Restored", assets)
        self._pull_assets(sender, assets)

    # ------------------------------------------------------------------- views

    @view
    def slashable(self, sender: str) -> int:
        """Return the equity that losses can slash [wad]: all vested assets."""
        return self._compute_all_vested_assets()

    @view
    def batch_of(self, sender: str, batch: int) -> BatchState:
        """Return the record of a batch of withdrawal requests: shares, time, amount paid, and state."""
        record = self.batches[batch]
        paid, over = self._compute_paid(batch, record.units, record.generation)
        return BatchState(record.units, record.since, paid, 0, over)

    @view
    def queue(self, sender: str) -> tuple[int, int, int]:
        """Return the first batch still in cooldown, the same number again, and the batch open for requests.

        The repetition keeps the form of the other pools' queue.
        """
        queue: Queue = self.line[()]
        return queue.unsettled, queue.unsettled, queue.collecting

    @view
    def shares_due(self, sender: str) -> int:
        """Return the withdrawn shares whose cooldown was over at the last update."""
        return self._count_due_shares()

    # ----------------------------------------------------------------- batches

    def get_earliest_batch_settlement_time(self) -> int:
        """Return the first time at which withdrawn shares can be paid [seconds]; 0 if some are due."""
        return 0 if self._count_due_shares() else super().get_earliest_batch_settlement_time()

    def _mark_mature_batches_due(self) -> Queue:
        """Mark the shares of batches past their cooldown as due, and return the queue without storing it."""
        queue: Queue = self.line[()]
        due, unsettled = self._count_due_shares(), queue.unsettled
        for id in self.list_unsettled_batches():
            if self.world.timestamp < self.get_maturity(id):
                break
            due += self.get_units(id)
            self.batches[id] = self.batches[id]._replace(link=self.round[()])
            unsettled = id + 1
        self.due[()] = Due(due, self.state[()].generation)
        return queue._replace(unsettled=unsettled)

    def _count_due_shares(self) -> int:
        """Return the withdrawn shares past their cooldown, rounded down.

        Shares that were divided since are counted after the division.
        """
        due: Due = self.due[()]
        return convert_shares(due.shares, due.generation, self.state[()].generation)

    def _compute_paid(self, id: int, shares: int, generation: int) -> tuple[int, bool]:
        """Return the payment for shares of a batch [wad, rounded down], and whether the batch is paid.

        `generation` is the number of share divisions before the shares were counted.
        """
        round = self.batches[id].link
        if round == 0 or round == self.round[()]:
            return 0, False
        record: Round = self.rounds[round]
        owed = convert_shares(shares, generation, self.generations[round])
        return mul_uint256(record.paid, owed) // record.shares, True

    def _compute_claimable(self, id: int, controller: str) -> ClaimableShare:
        """Return the part of a withdrawal request that can be claimed: all, or nothing before payment."""
        request: Request = self.requests[id, controller]
        paid, over = self._compute_paid(id, request.shares, request.generation)
        if not over:
            return ClaimableShare(0, 0, 0, False)
        claimed = self.claimed[id, controller]
        shares = request.shares - claimed.shares
        return ClaimableShare(request.shares, shares, paid - claimed.assets if shares else 0, True)

    def get_committed_shares(self, id: int, controller: str) -> int:
        return int(self.requests[id, controller].shares)

    # ------------------------------------------------------------------ prices

    def _get_vested_assets(self) -> int:
        return self._compute_all_vested_assets()

    def _compute_assets_left(self, assets: int) -> int:
        losses = self.loss_waterfall.losses_reaching(self.address, self.stage_address)
        if losses == 0:
            return assets
        return assets - min(assets, self.stage.pending_assets(self.address, losses))

    def _present_terms(self) -> tuple[int, int]:
        """Return the pool's shares and assets for pricing, including equity under auction, which may return.

        The virtual shares and assets are included.
        """
        held = self._compute_all_vested_assets() + self.stage.under_auction(self.address)
        return self.state[()].supply + VIRTUAL_SHARES, held + VIRTUAL_ASSETS

    def _entry_terms(self) -> tuple[int, int, int]:
        """Return the shares and assets that price a deposit, and the number of share divisions before it.

        The number is `VOID` if nearly nothing is left: all old shares then become void.
        """
        supply, held = (
            self.state[()].supply,
            self._compute_all_vested_assets() + self.stage.under_auction(self.address),
        )
        steps = count_generation_steps(supply, held)
        if supply and held < LEAST_ASSETS:
            steps, held = VOID, 0
        return convert_shares(supply, 0, steps) + VIRTUAL_SHARES, held + VIRTUAL_ASSETS, steps

    def _begin_entry(self) -> tuple[int, int]:
        """Divide or void shares if a deposit needs it, and return the shares and assets that price it.

        Assets of voided shares stay in the pool.
        """
        supply, held, steps = self._entry_terms()
        if steps:
            voided = self.state[()].supply
            begun: State = self._advance_share_generations(steps)
            if steps == VOID:
                self.emit("NewGeneration", begun.generation, voided, self._clear_and_count_booked_assets())
            else:
                self.emit("SharesDivided", begun.generation, steps)
        return supply, held

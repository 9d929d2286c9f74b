"""A pool of stablecoin: a stage that gives its members claims for losses; see contracts/Pool.vy.

A batch of leavers is cut at the price of a share, bears losses on, and is paid what no known loss can take.
An entry at a price that losses have driven towards zero divides all shares first; a loss that leaves nothing
voids them. Owners are due claims for the shares owned, those in batches with them, when a loss was borne:
each loss is a checkpoint, and owners are settled up to the last one before their shares change.
"""

from __future__ import annotations

from typing import cast

from backstop.contract_base import ZERO_ADDRESS, World, external, immutable, require, view
from backstop.model.arithmetic import MAX_UINT256, RAY, div_up, mul_uint256
from backstop.model.denominations import (
    LEAST_ASSETS,
    VIRTUAL_ASSETS,
    VIRTUAL_SHARES,
    VOID,
    convert_shares,
    count_generation_steps,
)
from backstop.model.exit_batches import SCALE, ExitBatches, ExitRun
from backstop.model.interfaces import IRecoveryClaims, IVaultEngine
from backstop.model.member_pool import BatchState, ClaimableShare, MemberPool
from backstop.model.redeem_queue import Queue, Request
from backstop.model.roles import STAGE
from backstop.model.shares import Balance, State


class Pool(MemberPool, ExitBatches):
    """Pool of stablecoin that absorbs losses and gives its members claims (model of contracts/Pool.vy).

    Assets are in wad, shares have 18 decimals.
    """

    KIND = "Pool"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    # The stage that takes unvested income; zero if there is none.
    clawback_address = immutable("CLAWBACK", str)
    # The claims that members get for losses; zero if there are none.
    claims_address = immutable("CLAIMS", str)

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
        token = asset, vesting, token_name, token_symbol
        super().__init__(world, name, address, *token, loss_waterfall, cooldown)
        self.vault_engine_address = vault_engine
        self.clawback_address = clawback
        self.claims_address = claims

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def claims(self) -> IRecoveryClaims:
        return cast(IRecoveryClaims, self.world.at(self.claims_address))

    # -------------------------------------------------------------------- exit

    @external
    def cut(self, sender: str) -> int:
        """Close the withdrawal batch that takes requests, and return its id.

        Its shares are burned at the current price of a share. The batch then holds assets, and goes on
        absorbing losses until it is paid. Income that has not vested on these shares goes to the protocol's
        reserve.
        """
        state: State = self.state[()]
        queue: Queue = self.line[()]
        id = queue.collecting
        batch = self._end_batch_collection(queue)
        back = self._part_of_unvested(batch.units)
        # What floor has cut off of what a group holds, and of what a run was paid.
        spare = max(0, self._get_vested_assets() + VIRTUAL_ASSETS - (2 * state.open - (id - queue.unsettled)))
        price = mul_uint256(spare, SCALE) // (state.supply + VIRTUAL_SHARES)
        if state.open == 0:
            self.index[()] = 0
        else:
            price = max(price, self.list_open_groups_by_ceiling()[-1].ceiling - self.index[()])
        self.ceilings[id] = self.index[()] + price
        held = mul_uint256(batch.units, price) // SCALE
        self.line[()] = queue._replace(collecting=id + 1, held=queue.held + held)
        if state.generation:
            self._renew_record(self.address, self.state[()].mark)
        self._burn_shares(self.address, batch.units)
        self._set_open_group_count(state.open + 1)
        self.emit("BatchCut", id, batch.units, held)
        self._give_unearned_income_to_reserve(back)
        return int(id)

    @external
    def settle(self, sender: str) -> None:
        """Pay withdrawal batches past their cooldown the assets that no known loss can take.

        The payment is rounded down.
        """
        losses = self.loss_waterfall.losses_at_payment(self.address, self.address)
        all_vested, shares = self._compute_all_vested_assets(), self.state[()].supply + VIRTUAL_SHARES
        level = self._compute_level(
            self.list_open_groups_by_ceiling(), shares, min(div_up(losses, RAY), all_vested)
        )
        price = mul_uint256(self._get_vested_assets() + VIRTUAL_ASSETS, SCALE) // shares
        self._change_total_booked_assets(-self._pay_and_merge_groups(level, price))

    # ------------------------------------------------------------------ losses

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Burn vested assets to pay for a loss of up to `amount` [rad]; return the rad covered, and 0.

        The assets burned are rounded up. The second number is the reservation, which this stage never makes.
        Only the loss waterfall may call.
        """
        require(sender == self.loss_waterfall_address, "pool: not loss waterfall")
        all_vested = self._compute_all_vested_assets()
        most = min(mul_uint256(all_vested, RAY), amount)
        assets = div_up(most, RAY)
        self._change_total_booked_assets(-assets)
        self.emit("LossAbsorbed", collateral_type, assets)
        supply, open = self.state[()].supply, self.state[()].open
        if open != 0:
            self._spread_loss_over_shares(assets)
        elif supply != 0:
            self._record_loss_checkpoint(supply + VIRTUAL_SHARES, assets)
        rest = 0
        if assets != 0 and all_vested - assets < LEAST_ASSETS and (supply != 0 or open != 0):
            rest = self._void_shares()
        covered = self.vault_engine.cover_from_tokens(self.address, collateral_type, self.address, most)
        if rest:
            self.vault_engine.give_to_reserve(self.address, rest)
        return covered, 0

    @external
    def claw_back(self, sender: str, collateral_type: int, amount: int) -> int:
        """Burn unvested income, rounded up, to pay for a loss of `amount` [rad]; return the rad covered.

        Only the clawback stage may call.
        """
        require(sender == self.clawback_address, "pool: not clawback stage")
        assets = div_up(amount, RAY)
        self._remove_unvested_income(assets)
        self.emit("IncomeClawedBack", collateral_type, assets)
        return self.vault_engine.cover_from_tokens(self.address, collateral_type, self.address, amount)

    @external
    def collect_claims(self, sender: str, owner: str) -> None:
        """Credit an owner with recovery claims for losses that shares and withdrawal requests absorbed."""
        require(owner != self.address, "pool: no member")
        self._settle_owner(owner)
        self._take_claims(0, MAX_UINT256, owner)

    # ------------------------------------------------------------------ ERC-20

    # ------------------------------------------------------------------- views

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return how much loss of any collateral type the pool can absorb now [rad].

        This is the value of all vested assets, including those of withdrawal batches.
        """
        return mul_uint256(self._compute_all_vested_assets(), RAY)

    # ----------------------------------------------------------------- helpers

    @view
    def batch_of(self, sender: str, batch: int) -> BatchState:
        """Return a withdrawal batch: shares, time, assets paid and held [wad], and whether it is over."""
        record = self.batches[batch]
        paid, held, over = self._compute_standing(batch, record.units)
        return BatchState(record.units, record.since, paid, held, over)

    @view
    def queue(self, sender: str) -> tuple[int, int, int]:
        """Return the first open batch, the first batch in its cooldown, and the batch that takes requests."""
        queue: Queue = self.line[()]
        waits = self.state[()].open == queue.collecting - queue.unsettled
        return (queue.unsettled if waits else self.first_run[()]), queue.unsettled, queue.collecting

    # ----------------------------------------------------------------- batches

    def _spread_loss_over_shares(self, assets: int) -> None:
        """Charge a loss [wad] pro rata to live shares and open withdrawal groups.

        A group left without assets ends.
        """
        queue, groups, open = self.line[()], self.list_open_groups_by_ceiling(), self.state[()].open
        shares = self.state[()].supply + VIRTUAL_SHARES
        level, index, left = self._compute_level(groups, shares, assets), self.index[()], assets
        shares += sum(group.units for group in groups)
        held, unsettled = 0, queue.unsettled
        for group in groups:
            if group.ceiling > level:
                held += mul_uint256(group.units, group.ceiling - level) // SCALE
                continue
            part = mul_uint256(group.ceiling - index, shares) // SCALE
            index = group.ceiling
            left -= part
            self._record_loss_checkpoint(shares, part)
            if group.id < unsettled:
                self.first_run[()] = self.batches[group.id].link
            else:
                unsettled = group.id + 1
            self._end_group(group, self.state[()].mark)
            shares -= group.units
            open -= 1
        self._record_loss_checkpoint(shares, left)
        self.index[()] = level
        if open != self.state[()].open:
            self._set_open_group_count(open)
        self.line[()] = queue._replace(unsettled=unsettled, held=held)

    def _part_of_unvested(self, shares: int) -> int:
        """Return the unvested income on shares to be withdrawn [wad], rounded down.

        If these are all shares, return all unvested income.
        """
        rest, supply = self.unvested(self.address), self.state[()].supply
        return rest if shares == supply else mul_uint256(rest, shares) // (supply + VIRTUAL_SHARES)

    def _give_unearned_income_to_reserve(self, assets: int) -> None:
        """Transfer unvested income of leaving shares to the reserve.

        Nothing moves in settlement, or if the pool does not have the role of a stage.
        """
        if not assets or self.vault_engine.in_settlement(self.address):
            return
        if self.vault_engine.has_role(self.address, STAGE, self.address):
            self._remove_unvested_income(assets)
            self.vault_engine.give_to_reserve(self.address, assets)

    # ---------------------------------------------------------------- requests

    def _find_last_batch_checkpoint(self, batch_id: int) -> tuple[int, int]:
        """Return share generation and number of the last loss that a withdrawal batch took part in.

        Each division of all shares begins a new generation.
        """
        state: State = self.state[()]
        if batch_id < self.line[()].unsettled:
            run: ExitRun = self.runs[self.find_first_batch_of_run(batch_id)]
            if run.ended:
                return run.generation, run.ended - 1
        return state.generation, state.mark

    def _compute_standing(self, id: int, shares: int) -> tuple[int, int, bool]:
        """Return the assets that shares of a batch were paid and still hold [wad], and if the batch is over.

        `shares` are as counted when the batch was closed.
        """
        queue: Queue = self.line[()]
        if id >= queue.collecting:
            return 0, 0, False
        first, paid, over, generation = id, 0, False, self.state[()].generation
        present = convert_shares(shares, self.batches[id].generation, generation)
        if id < queue.unsettled:
            first = self.find_first_batch_of_run(id)
            run: ExitRun = self.runs[first]
            over = run.ended != 0 or run.generation != generation
            paid = self._compute_paid(id, first, shares)
        held = (
            0 if over else mul_uint256(present, self.get_loss_index_ceiling(first) - self.index[()]) // SCALE
        )
        return paid, held, over

    def _compute_claimable(self, id: int, controller: str) -> ClaimableShare:
        """Return the claimable part of a controller's request in a batch.

        While the batch still holds assets, this is never the whole request.
        """
        committed = self.shares_at_cut(id, controller)
        paid, held, over = self._compute_standing(id, committed)
        all_shares = committed if over else committed * paid // (paid + held + 1)
        claimed = self.claimed[id, controller]
        shares = max(0, all_shares - claimed.shares)
        return ClaimableShare(all_shares, shares, max(0, paid - claimed.assets) if shares else 0, over)

    def _commit_shares(self, sender: str, shares: int, controller: str, owner: str) -> int:
        id, before = self._add_request_and_get_previous(sender, shares, controller, owner)
        state: State = self.state[()]
        self._issue_claims(controller, before.shares, before, (state.generation, state.mark))
        return id

    def _hand_claims(self, id: int, controller: str, is_done: bool) -> None:
        """Credit a controller with the claims of a request up to the batch's last loss checkpoint.

        The new checkpoint is stored, unless the request is done.
        """
        request: Request = self.requests[id, controller]
        committed, end = self.shares_at_cut(id, controller), self._find_last_batch_checkpoint(id)
        if not is_done and (request.generation, request.mark) != end:
            self.requests[id, controller] = request._replace(shares=committed, mark=end[1], generation=end[0])
        # Its shares as they were counted at the checkpoint up to which claims were handed over.
        cut, shares = self.get_share_generation_at_cut(id), request.shares
        if request.generation > cut:
            shares = convert_shares(committed, cut, request.generation)
        self._issue_claims(controller, shares, request, end)

    # ------------------------------------------------------------------ prices

    def _get_vested_assets(self) -> int:
        """Return the vested assets that belong to live shares [wad]."""
        return max(0, self._compute_all_vested_assets() - (self.line[()].held if self.state[()].open else 0))

    def _compute_assets_left(self, assets: int) -> int:
        """Return the assets left after all known losses [wad], rounded down."""
        losses = self.loss_waterfall.losses_reaching(self.address, self.address)
        if losses == 0:
            return assets
        return assets - min(assets, div_up(losses, RAY))

    def _entry_terms(self) -> tuple[int, int, int]:
        """Return shares, assets and generation steps by which a deposit is priced.

        Shares and assets include the virtual amounts. Each step divides all shares once.
        """
        supply, held = self.state[()].supply, self._get_vested_assets()
        steps = count_generation_steps(supply, held)
        return convert_shares(supply, 0, steps) + VIRTUAL_SHARES, held + VIRTUAL_ASSETS, steps

    def _begin_entry(self) -> tuple[int, int]:
        """Return the shares and assets that price a deposit.

        Before that, all shares are divided if losses have made their price too low.
        """
        supply, held, steps = self._entry_terms()
        if steps:
            queue: Queue = self.line[()]
            self.line[()] = queue._replace(held=self._rescale_exit_groups(steps))
            self.emit("SharesDivided", self._advance_share_generations(steps).generation, steps)
        return supply, held

    # ----------------------------------------------------- claims, generations

    def _settle_owner(self, owner: str) -> None:
        """Credit an owner with the claims of all losses since the owner's last checkpoint."""
        state: State = self.state[()]
        before = self._renew_record(owner, self.state[()].mark)
        self._issue_claims(owner, before.shares, before, (state.generation, state.mark))

    def _issue_claims(self, owner: str, shares: int, since: Balance | Request, end: tuple[int, int]) -> None:
        """Credit an owner with the claims of `shares` for losses from checkpoint `since` to `end`."""
        start = since.generation, since.mark
        if shares and start != end and self.claims_address != ZERO_ADDRESS:
            self.claims.issue(self.address, owner, shares, *start, *end)

    def _record_loss_checkpoint(self, shares: int, assets: int) -> None:
        """Record a loss of `assets` [wad] in the claims contract, absorbed by `shares`.

        The number of shares includes the virtual shares. Nothing happens without a claims contract.
        """
        if self.claims_address == ZERO_ADDRESS or shares == VIRTUAL_SHARES:
            return
        # Whatever it says fits: claims that are broken mark nothing else.
        mark = self.claims.record(self.address, self.state[()].generation, shares, assets) & (2**40 - 1)
        self._set_mark(mark)

    def _void_shares(self) -> int:
        """Void all shares and withdrawal requests after a total loss; return the remaining assets [wad].

        The caller gives the remainder to the reserve, so that it does not belong to the next depositor.
        """
        queue, voided = self.line[()], self.state[()].supply
        self.line[()] = Queue(queue.collecting, queue.collecting, 0, queue.owed)
        rest = self._clear_and_count_booked_assets()
        begun = self._advance_share_generations(VOID)
        self.emit("NewGeneration", begun.generation, voided, rest)
        return rest

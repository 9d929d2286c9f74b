"""A pool of stablecoin: a stage of the waterfall whose members get claims for losses; see contracts/Pool.vy.

A batch of leavers is cut at the price of a share, bears losses on, and is paid what no known loss can take. A
loss that leaves (nearly) nothing voids all shares: a new generation starts. Owners are due claims for the
shares owned, those in batches with them, when a loss was borne: each loss is a checkpoint, and owners are
settled up to the last one before their shares change.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model.arithmetic import MAX_UINT256, RAY, div_up, mul, sub
from backstop.model.exits import MOST_OPEN, SCALE, Batch, Claimed, Queue, Request
from backstop.model.interfaces import IRecoveryClaims, IVaultEngine
from backstop.model.member_pool import MOST_SHARES, VIRTUAL_ASSETS, VIRTUAL_SHARES, MemberPool, Part
from backstop.model.shares import Balance, State
from backstop.model.state import ZERO_ADDRESS, World, external, immutable, require, slot, view

LEAST_ASSETS = 10**6


@slot(224, 32)
class Checkpoint(NamedTuple):
    """What one share got up to a loss."""

    tokens: int = 0  # claims, ray
    series: int = 0  # the generation of the claims


class Pool(MemberPool):
    """See contracts/Pool.vy. Assets in wad, shares with 18 decimals."""

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
        self.checkpoints = self.table("checkpoints", Checkpoint())
        self.paid_before = self.table("paid_before")
        self.last_checkpoints = self.table("last_checkpoints")

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def claims(self) -> IRecoveryClaims:
        return cast(IRecoveryClaims, self.world.at(self.claims_address))

    # -------------------------------------------------------------------- exit

    @external
    def cut(self, sender: str) -> int:
        """End the collecting of a batch: its shares leave the live ones at one price; the batch."""
        state: State = self.state[()]
        queue: Queue = self.line[()]
        id = queue.collecting
        batch: Batch = self.batches[id]
        require(batch.units != 0, "pool: no requests")
        require(self.world.timestamp >= self.cut_from(), "pool: batch collects")
        require(state.open < MOST_OPEN, "pool: too many batches")
        spare = max(0, self._vested() + VIRTUAL_ASSETS - state.open)
        price = mul(spare, SCALE) // (state.supply + VIRTUAL_SHARES)
        if state.open == 0:
            self.index[()] = 0
        else:
            price = max(price, self.ceilings[id - 1] - self.index[()])
        self.ceilings[id] = self.index[()] + price
        held = mul(batch.units, price) // SCALE
        self._burn(state.generation, self.address, batch.units)
        self._set_open(state.open + 1)
        self.batches[id] = batch._replace(since=self.world.timestamp)
        self.line[()] = queue._replace(collecting=id + 1, held=queue.held + held)
        self.emit("BatchCut", id, batch.units, held)
        return id

    @external
    def settle(self, sender: str) -> None:
        """Pay the batches whose cooldown is over what no known loss can take of them."""
        queue: Queue = self.line[()]
        first, unsettled = self.open_batches().start, self.settled_batches().stop
        while unsettled != queue.collecting and self.world.timestamp >= self.matures_at(unsettled):
            unsettled += 1
        require(first < unsettled, "pool: nothing to settle")
        self.line[()] = queue._replace(unsettled=unsettled)
        self._pay_out(self.loss_waterfall.losses_at_payment(self.address, self.address))

    # ------------------------------------------------------------------ losses

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Pay for a loss (rad) by burning vested assets, rounded up; rad covered, nothing is reserved."""
        require(sender == self.loss_waterfall_address, "pool: not loss waterfall")
        all_vested = self._all_vested()
        most = min(mul(all_vested, RAY), amount)
        assets = div_up(most, RAY)
        self._book(-assets)
        self.emit("LossAbsorbed", collateral_type, assets)
        supply, live = self.state[()].supply, all_vested - assets
        if self.state[()].open != 0:
            live = sub(live, self._share(assets))
        elif supply != 0:
            self._add_checkpoint(supply + VIRTUAL_SHARES, assets)
        rest = 0
        if assets != 0 and supply != 0 and (all_vested - assets < LEAST_ASSETS or void(supply, live)):
            rest = self._new_generation()
        covered = self.vault_engine.cover_from_tokens(self.address, collateral_type, self.address, most)
        if rest:
            self.vault_engine.give_to_reserve(self.address, rest)
        return covered, 0

    @external
    def claw_back(self, sender: str, collateral_type: int, amount: int) -> int:
        """Pay for a loss (rad) with income that has not vested, rounded up; rad covered."""
        require(sender == self.clawback_address, "pool: not clawback stage")
        assets = div_up(amount, RAY)
        self._take_unvested(assets)
        self.emit("IncomeClawedBack", collateral_type, assets)
        return self.vault_engine.cover_from_tokens(self.address, collateral_type, self.address, amount)

    @external
    def collect_claims(self, sender: str, owner: str, generation: int) -> None:
        """Hand an owner the claims for losses borne, of requests too, also in a generation that is over."""
        require(owner != self.address, "pool: no member")
        state: State = self.state[()]
        last = state.mark if generation == state.generation else self.last_checkpoints[generation]
        self._settle(generation, owner, last)
        self._claim(0, MAX_UINT256, owner)

    # ------------------------------------------------------------------ ERC-20

    # ------------------------------------------------------------------- views

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return what losses of any type can take at once [rad]: all vested assets, also batches'."""
        return mul(self._all_vested(), RAY)

    # ----------------------------------------------------------------- helpers

    # ----------------------------------------------------------------- batches

    def _pay_out(self, losses: int) -> None:
        """Lower ceilings to where all known losses (rad) would take the index, and pay what is above."""
        state: State = self.state[()]
        all_vested, queue = self._all_vested(), self.line[()]
        level = self._level(state.supply + VIRTUAL_SHARES, min(div_up(losses, RAY), all_vested))
        index, total, ended = self.index[()], 0, 0
        for id in self.settled_batches():
            ceiling = self.ceilings[id]
            lower = min(ceiling, level)
            held = self._held(id, ceiling, index) // SCALE
            kept = self._held(id, lower, index)
            paid = held - min(held, div_up(kept, SCALE))
            kept //= SCALE
            if lower != ceiling:
                self.ceilings[id] = lower
                self._pay(id, paid)
                queue = queue._replace(held=queue.held - (held - kept), owed=queue.owed + paid)
                total += paid
                self.emit("BatchPaid", id, paid, kept)
            if lower == index:
                self._end(id, state.mark)
                ended += 1
        self._book(-total)
        self.line[()] = queue
        if ended:
            self._set_open(state.open - ended)

    def _share(self, assets: int) -> int:
        """Have live shares and open batches bear a loss, share for share; what batches hold on."""
        shares = self.state[()].supply + VIRTUAL_SHARES
        level, index, left = self._level(shares, assets), self.index[()], assets
        ids = self.open_batches()
        shares += sum(self.batches[id].units for id in ids)
        for id in ids:
            if self.ceilings[id] > level:
                break
            part = mul(self.ceilings[id] - index, shares) // SCALE
            index = self.ceilings[id]
            left -= part
            self._add_checkpoint(shares, part)
            self._end(id, self.state[()].mark)
            shares -= self.batches[id].units
            ids = range(id + 1, ids.stop)
        self._add_checkpoint(shares, left)
        self.index[()] = level
        self._set_open(len(ids))
        held = sum(self._held(id, self.ceilings[id], level) // SCALE for id in ids)
        self.line[()] = self.line[()]._replace(held=held)
        return held

    def _is_over(self, id: int) -> bool:
        return self._end_of(id)[0]

    def _end_of(self, id: int) -> tuple[bool, int]:
        """Return whether a batch is over, and the last checkpoint that its shares have a part in."""
        ended, state = self.payments[id].ended, self.state[()]
        if ended:
            return True, ended - 1
        generation = self.batches[id].generation
        if generation == state.generation:
            return False, state.mark
        return True, self.last_checkpoints[generation]

    # ---------------------------------------------------------------- requests

    def _claimable(self, id: int, controller: str) -> Part:
        """Return what may be claimed of a request: of a batch that holds something, never all its shares."""
        request: Request = self.requests[id, controller]
        if request.shares == 0:
            return Part(0, 0, 0, False, 0)
        paid, (over, last) = self.payments[id].paid, self._end_of(id)
        all_shares = request.shares if over else request.shares * paid // (paid + self._holds(id) + 1)
        claimed: Claimed = self.claimed[id, controller]
        shares, assets = all_shares - claimed.shares, 0
        if shares:
            assets = paid * request.shares // self.batches[id].units - claimed.assets
        return Part(all_shares, shares, assets, over, last)

    # ------------------------------------------------------------------ prices

    def _vested(self) -> int:
        """Return A: the assets that shares are worth."""
        held = self.line[()].held if self.state[()].open else 0
        return sub(self._all_vested(), held)

    def _left(self, assets: int) -> int:
        """Return what known losses will leave of assets, rounded down."""
        losses = self.loss_waterfall.losses_beyond(self.address, self.address)
        if losses == 0:
            return assets
        return assets - min(assets, div_up(losses, RAY))

    def _entry_terms(self) -> tuple[int, int]:
        """Return the shares and assets, the virtual ones included, that an entry is priced by."""
        return self.state[()].supply + VIRTUAL_SHARES, self._vested() + VIRTUAL_ASSETS

    # ----------------------------------------------------- claims, generations

    def _settle(self, generation: int, owner: str, last: int) -> None:
        """Hand an owner the claims up to the last checkpoint, for the shares owned since the one before."""
        balance: Balance = self.balances[generation, owner]
        if balance.mark == last:
            return
        self._set_mark_of(generation, owner, last)
        self._issue(generation, owner, balance.shares, balance.mark, last)

    def _issue(self, generation: int, owner: str, owned: int, mark: int, last: int) -> None:
        """Hand an owner the claims of so many shares, from a checkpoint to a later one."""
        if owned == 0 or mark == last:
            return
        end: Checkpoint = self.checkpoints[generation, last]
        before, paid = self._carry(generation, mark, end.series, up=True)
        tokens = mul(owned, end.tokens - before) // RAY
        # Rounded up, of either sign.
        paid = -(-owned * (self.paid_before[generation, last] - paid) // RAY)
        self.claims.issue(self.address, owner, end.series, tokens, paid)

    def _add_checkpoint(self, shares: int, assets: int) -> None:
        """Give the claims for what so many shares, the virtual ones included, bear of a loss."""
        state: State = self.state[()]
        members = shares - VIRTUAL_SHARES
        if self.claims_address == ZERO_ADDRESS or members == 0:
            return
        series, tokens, paid = self.claims.record(self.address, assets * members // shares)
        added = tokens * RAY // members
        if added == 0:
            return
        before, paid_before = self._carry(state.generation, state.mark, series, up=False)
        mark = state.mark + 1
        self.checkpoints[state.generation, mark] = Checkpoint(before + added, series)
        self.paid_before[state.generation, mark] = paid_before + div_up(added * paid, RAY)
        self._set_mark(mark)

    def _carry(self, generation: int, mark: int, series: int, up: bool) -> tuple[int, int]:
        """Move a checkpoint to a generation of claims: older tokens are gone, what they were paid is due."""
        checkpoint: Checkpoint = self.checkpoints[generation, mark]
        paid = self.paid_before[generation, mark]
        if checkpoint.series == series or checkpoint.tokens == 0:
            return checkpoint.tokens, paid
        due = checkpoint.tokens * self.claims.paid_per_token(self.address, checkpoint.series)
        return 0, paid - (div_up(due, RAY) if up else due // RAY)

    def _new_generation(self) -> int:
        """Void all shares, requests and batches; what is left, which is not the next depositor's."""
        state: State = self.state[()]
        self.last_checkpoints[state.generation] = state.mark
        self._void_shares()
        queue: Queue = self.line[()]
        collecting = queue.collecting + (self.batches[queue.collecting].units != 0)
        self.line[()] = Queue(collecting, collecting, 0, queue.owed)
        rest = self._clear()
        self.emit("NewGeneration", state.generation + 1, state.supply, rest)
        return rest


def void(supply: int, assets: int) -> bool:
    """Tell whether losses have left shares (nearly) worthless."""
    return supply + VIRTUAL_SHARES > (assets + VIRTUAL_ASSETS) * MOST_SHARES

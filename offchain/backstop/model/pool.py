"""An ERC-4626 vault whose members bear losses and earn income; leaving is request, batch, claim (ERC-7540).

With A the vested assets less what batches hold (see exits), and S the shares:

    entry   shares = floor(a * (S + 1e6) / (A + 1))
    exit    assets = floor(s * (A - UL + 1) / (S + 1e6)), never above A - UL since s <= S; without a cooldown

With one, a batch is cut at the price of a share, bears losses on, and is paid what no known loss can take. A
loss that leaves (nearly) nothing voids all shares: a new generation starts. Owners are due claims for the
shares owned, those in batches with them, when a loss was borne: each loss is a checkpoint, and owners are
settled up to the last one before their shares change.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, RAY, add, div_up, mul, sub
from backstop.model.exits import DAY, MOST_OPEN, SCALE, Batch, Claimed, Exits, Queue, Request
from backstop.model.interfaces import IERC20, IEquityAuction, ILossWaterfall, IRecoveryClaims, IVaultEngine
from backstop.model.shares import Balance, State
from backstop.model.state import ZERO_ADDRESS, World, external, immutable, require, slot, view

VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
LEAST_ASSETS = 10**6
MOST_SHARES = 10**15
MOST_ASSETS = 2**96 - 1


@slot(96, 96, 32, 32)
class Assets(NamedTuple):
    """What a pool holds, wad; times in seconds."""

    booked: int = 0  # all of them
    unvested: int = 0  # income that had not vested at `vested_at`
    vested_at: int = 0
    ends_at: int = 0  # when all is vested


@slot(224, 32)
class Checkpoint(NamedTuple):
    """What one share got up to a loss."""

    tokens: int = 0  # claims, ray
    series: int = 0  # the generation of the claims


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


class Pool(Exits):
    """See contracts/Pool.vy. Assets in wad, shares with 18 decimals."""

    KIND = "Pool"

    asset_address = immutable("asset", str)
    vault_engine_address = immutable("VAULT_ENGINE", str)
    loss_waterfall_address = immutable("LOSS_WATERFALL", str)
    # The stage of the waterfall in whose place losses come here: this pool, or the auction that slashes it.
    stage_address = immutable("STAGE", str)
    # The stage that takes unvested income; zero if there is none.
    clawback_address = immutable("CLAWBACK", str)
    # The claims that members get for losses; zero if there are none.
    claims_address = immutable("CLAIMS", str)
    # Seconds from the cut of a batch to its first payment, but for bounds.LOOK. 0: leaving needs no request.
    cooldown = immutable("COOLDOWN", int)
    # Seconds over which income vests.
    vesting = immutable("VESTING", int)

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
        stage: str,
        clawback: str,
        claims: str,
        cooldown: int,
        vesting: int,
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol)
        self.asset_address = asset
        self.vault_engine_address = vault_engine
        self.loss_waterfall_address = loss_waterfall
        require(cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds")
        require(cooldown < self.loss_waterfall.CAP_DELAY(address), "pool: cooldown too long")
        require(vesting >= bounds.MIN_VESTING, "pool: short vesting")
        require(vesting <= bounds.MAX_VESTING, "pool: long vesting")
        self.stage_address = address if stage == ZERO_ADDRESS else stage
        self.clawback_address = clawback
        self.claims_address = claims
        self.cooldown = cooldown
        self.vesting = vesting
        self.assets = self.table("assets", Assets())
        self.checkpoints = self.table("checkpoints", Checkpoint())
        self.paid_before = self.table("paid_before")
        self.last_checkpoints = self.table("last_checkpoints")

    @property
    def token(self) -> IERC20:
        return cast(IERC20, self.world.at(self.asset_address))

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def loss_waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall_address))

    @property
    def stage(self) -> IEquityAuction:
        return cast(IEquityAuction, self.world.at(self.stage_address))

    @property
    def claims(self) -> IRecoveryClaims:
        return cast(IRecoveryClaims, self.world.at(self.claims_address))

    # ------------------------------------------------------------------- entry

    @external
    def deposit(self, sender: str, assets: int, receiver: str) -> int:
        """Put assets in; the shares, rounded down."""
        supply, held = self._entry_terms()
        shares = mul(assets, supply) // held
        self._enter(sender, supply, assets, shares, receiver)
        return shares

    @external
    def mint(self, sender: str, shares: int, receiver: str) -> int:
        """Put assets in for a number of shares; the assets, rounded up."""
        supply, held = self._entry_terms()
        assets = div_up(mul(shares, held), supply)
        self._enter(sender, supply, assets, shares, receiver)
        return assets

    # -------------------------------------------------------------------- exit

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
    def cut(self, sender: str) -> int:
        """End the collecting of a batch: its shares leave the live ones at one price; the batch."""
        state: State = self.state[()]
        queue: Queue = self.line[()]
        id = queue.collecting
        batch: Batch = self.batches[id]
        require(batch.units != 0, "pool: no requests")
        require(self.world.timestamp >= self.cut_from(), "pool: batch collects")
        require(state.open < MOST_OPEN, "pool: too many batches")
        held = 0
        if self.stage_address == self.address:
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
        losses = self.loss_waterfall.losses_at_payment(self.address, self.stage_address)
        if self.stage_address == self.address:
            self._pay_out(losses)
        else:
            idle = losses == 0 and self.stage.under_auction(self.address) == 0
            require(idle, "pool: losses are open")
            self._pay_members()

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

    # ------------------------------------------------------------------ income

    @external
    def add_income(self, sender: str, assets: int) -> None:
        """Give the members income, which vests evenly; its end is the weighted mean of old and new."""
        require(assets != 0, "pool: no income")
        held: Assets = self.assets[()]
        require(assets <= MOST_ASSETS - held.booked, "pool: too many assets")
        now = self.world.timestamp
        rest = unvested(held, self.world.timestamp)
        total = rest + assets
        ends_at = now + (rest * max(0, held.ends_at - now) + assets * self.vesting) // total
        self.assets[()] = Assets(held.booked + assets, total, now, ends_at)
        self.emit("IncomeAdded", sender, assets, ends_at)
        self._pull(sender, assets)

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
        held: Assets = self.assets[()]
        rest = unvested(held, self.world.timestamp)
        assets = div_up(amount, RAY)
        require(assets <= rest, "pool: vested already")
        self.assets[()] = held._replace(
            booked=held.booked - assets, unvested=rest - assets, vested_at=self.world.timestamp
        )
        self.emit("IncomeClawedBack", collateral_type, assets)
        return self.vault_engine.cover_from_tokens(self.address, collateral_type, self.address, amount)

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

    @external
    def collect_claims(self, sender: str, owner: str, generation: int) -> None:
        """Hand an owner the claims for losses borne, of requests too, also in a generation that is over."""
        require(owner != self.address, "pool: no member")
        state: State = self.state[()]
        last = state.mark if generation == state.generation else self.last_checkpoints[generation]
        self._settle(generation, owner, last)
        self._claim(0, MAX_UINT256, owner)

    # ------------------------------------------------------------------ ERC-20

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

    # ------------------------------------------------------------------- views

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return what losses of any type can take at once [rad]: all vested assets, also batches'."""
        return mul(self._all_vested(), RAY)

    @view
    def slashable(self, sender: str) -> int:
        """Return what can be slashed: all vested assets."""
        return self._all_vested()

    @view
    def unvested(self, sender: str) -> int:
        """Return the income that has not vested yet, rounded up."""
        return unvested(self.assets[()], self.world.timestamp)

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
        over, _ = self._end_of(batch)
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
    def maxDeposit(self, sender: str, receiver: str) -> int:
        """Return what can be booked: far more than there is."""
        return int(MOST_ASSETS - self.assets[()].booked)

    @view
    def maxMint(self, sender: str, receiver: str) -> int:
        """Return the shares for all that can be booked."""
        return self._to_shares(MOST_ASSETS - self.assets[()].booked)

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

    # ----------------------------------------------------------------- helpers

    def _enter(self, sender: str, supply: int, assets: int, shares: int, receiver: str) -> None:
        require(shares != 0, "pool: no shares")
        self._check_receiver(receiver)
        if supply == VIRTUAL_SHARES and self.state[()].supply != 0:
            self._new_generation()
        require(assets <= MOST_ASSETS - self.assets[()].booked, "pool: too many assets")
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

    def _pull(self, sender: str, assets: int) -> None:
        moved = self.token.transferFrom(self.address, sender, self.address, assets)
        require(moved is not False, "pool: transfer in failed")

    def _push(self, receiver: str, assets: int) -> None:
        moved = self.token.transfer(self.address, receiver, assets)
        require(moved is not False, "pool: transfer out failed")

    def _book(self, change: int) -> None:
        held: Assets = self.assets[()]
        self.assets[()] = held._replace(booked=held.booked + change)

    def _only_plain(self) -> None:
        require(self.cooldown == 0, "pool: request first")

    # ----------------------------------------------------------------- batches

    def cut_from(self) -> int:
        """Return when the batch that collects may be cut first [seconds]."""
        return int(self.batches[self.line[()].collecting].since) + min(self.cooldown, DAY)

    def matures_at(self, id: int) -> int:
        """Return when a batch that is cut may be settled first [seconds]."""
        return int(self.batches[id].since) + self.cooldown + bounds.LOOK

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
            self._end(id, state.mark)
            self.emit("BatchPaid", id, paid, 0)
        self._burn(state.generation, self.address, state.supply - supply)
        self._set_open(state.open - len(settled))
        self._book(-total)
        queue: Queue = self.line[()]
        self.line[()] = queue._replace(owed=queue.owed + total)

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

    # ------------------------------------------------------------------ prices

    def _all_vested(self) -> int:
        """Return the vested assets, those that batches hold with them."""
        return vested(self.assets[()], self.world.timestamp)

    def _vested(self) -> int:
        """Return A: the assets that shares are worth."""
        held = self.line[()].held if self.state[()].open else 0
        return sub(self._all_vested(), held)

    def _left(self, assets: int) -> int:
        """Return what known losses will leave of assets, rounded down."""
        losses = self.loss_waterfall.losses_beyond(self.address, self.stage_address)
        if losses == 0:
            return assets
        if self.stage_address == self.address:
            return assets - min(assets, div_up(losses, RAY))
        return assets - min(assets, self.stage.pending_assets(self.address, losses))

    def _entry_terms(self) -> tuple[int, int]:
        """Return the shares and assets, the virtual ones included, that an entry is priced by."""
        supply, held = int(self.state[()].supply), self._vested()
        if self.stage_address != self.address:
            if self.loss_waterfall.pending_total(self.address) != 0:
                held = add(held, self.stage.under_auction(self.address))
            if void(supply, held):
                supply = held = 0
        return supply + VIRTUAL_SHARES, held + VIRTUAL_ASSETS

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
        rest = int(self.assets[()].booked)
        self.assets[()] = Assets()
        self.emit("NewGeneration", state.generation + 1, state.supply, rest)
        return rest


def unvested(held: Assets, now: int) -> int:
    """Return the income that has not vested yet, rounded up."""
    if now >= held.ends_at:
        return 0
    return div_up(held.unvested * (held.ends_at - now), held.ends_at - held.vested_at)


def vested(held: Assets, now: int) -> int:
    """Return the assets that shares are worth."""
    return held.booked - unvested(held, now)


def void(supply: int, assets: int) -> bool:
    """Tell whether losses have left shares (nearly) worthless."""
    return supply + VIRTUAL_SHARES > (assets + VIRTUAL_ASSETS) * MOST_SHARES

"""An ERC-4626 vault whose members bear losses and earn income; leaving is request, then claim.

With A the vested assets, S the shares and UL the part of A that recognised losses will take:

    entry   shares = floor(a * (S + 1e6) / (A + 1))
    exit    assets = floor(s * (A - UL + 1) / (S + 1e6)), never above A - UL since s <= S

A loss that leaves (nearly) nothing voids all shares: a new generation starts. Owners are due claims for
the shares owned when a loss was borne: each loss is a checkpoint, and owners are settled up to the last
one before their shares change.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import RAY, add, div_up, mul
from backstop.model.interfaces import IERC20, IEquityAuction, ILossWaterfall, IRecoveryClaims, IVaultEngine
from backstop.model.shares import Balance, Shares, State
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


@slot(152, 32)
class Request(NamedTuple):
    """Shares in escrow, and when they were last added to."""

    shares: int = 0
    requested_at: int = 0


@slot(224, 32)
class Checkpoint(NamedTuple):
    """What one share got up to a loss."""

    tokens: int = 0  # claims, ray
    series: int = 0  # the generation of the claims


class Pool(Shares):
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
    # Seconds from a request to its maturity. 0: leaving needs no request, as in pools that take no care.
    cooldown = immutable("COOLDOWN", int)
    # Seconds for which a matured request can be claimed.
    window = immutable("WINDOW", int)
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
        window: int,
        vesting: int,
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol)
        self.asset_address = asset
        self.vault_engine_address = vault_engine
        self.loss_waterfall_address = loss_waterfall
        require(cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds")
        require(cooldown < self.loss_waterfall.CAP_DELAY(address), "pool: cooldown too long")
        if cooldown == 0:
            require(window == 0, "pool: window without cooldown")
        else:
            require(window >= bounds.MIN_EXIT_WINDOW, "pool: short window")
            require(window <= bounds.MAX_EXIT_WINDOW, "pool: long window")
        require(vesting >= bounds.MIN_VESTING, "pool: short vesting")
        require(vesting <= bounds.MAX_VESTING, "pool: long vesting")
        self.stage_address = address if stage == ZERO_ADDRESS else stage
        self.clawback_address = clawback
        self.claims_address = claims
        self.cooldown = cooldown
        self.window = window
        self.vesting = vesting
        self.assets = self.table("assets", Assets())
        self.requests = self.table("requests", Request())
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
    def request_redeem(self, sender: str, shares: int) -> None:
        """Announce an exit: shares go into escrow and keep bearing losses; the clock starts again."""
        require(self.cooldown != 0, "pool: no request needed")
        require(shares != 0, "pool: empty request")
        generation, now = self.state[()].generation, self.world.timestamp
        self._transfer(generation, sender, self.address, shares)
        requested = self.requests[generation, sender].shares + shares
        self.requests[generation, sender] = Request(requested, now)
        self.emit("RedeemRequested", sender, shares, now + self.cooldown)

    @external
    def cancel_request(self, sender: str) -> int:
        """Take the requested shares back."""
        generation = self.state[()].generation
        shares = int(self.requests[generation, sender].shares)
        require(shares != 0, "pool: no request")
        self.requests[generation, sender] = Request()
        self._transfer(generation, self.address, sender, shares)
        self.emit("RequestCancelled", sender, shares)
        return shares

    @external
    def withdraw(self, sender: str, assets: int, receiver: str, owner: str) -> int:
        """Take assets out for matured shares; the shares burned, rounded up."""
        supply = self.state[()].supply + VIRTUAL_SHARES
        left = self._left() + VIRTUAL_ASSETS
        require(assets <= mul(self._matured(owner), left) // supply, "pool: more than max withdraw")
        shares = div_up(mul(assets, supply), left)
        self._leave(sender, assets, shares, receiver, owner)
        return shares

    @external
    def redeem(self, sender: str, shares: int, receiver: str, owner: str) -> int:
        """Take assets out for a number of matured shares; the assets, rounded down."""
        require(shares <= self._matured(owner), "pool: more than max redeem")
        assets = self._to_claim(shares)
        self._leave(sender, assets, shares, receiver, owner)
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
        held = self._vested()
        most = min(mul(held, RAY), amount)
        assets = div_up(most, RAY)
        self._book(-assets)
        self.emit("LossAbsorbed", collateral_type, assets)
        supply, rest = self.state[()].supply, 0
        if supply != 0:
            if self.claims_address != ZERO_ADDRESS:
                self._add_checkpoint(assets)
            left = held - assets
            if left < LEAST_ASSETS or void(supply, left):
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
        sent = min(assets, self._vested())
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
        """Hand an owner the claims for losses borne, also in a generation of shares that is over."""
        require(owner != self.address, "pool: no member")
        state: State = self.state[()]
        last = state.mark if generation == state.generation else self.last_checkpoints[generation]
        self._settle(generation, owner, last)

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
        """Return what losses can take at once [rad]: all vested assets, whatever the type."""
        return mul(self._vested(), RAY)

    @view
    def slashable(self, sender: str) -> int:
        """Return what can be slashed: all vested assets."""
        return self._vested()

    @view
    def unvested(self, sender: str) -> int:
        """Return the income that has not vested yet, rounded up."""
        return unvested(self.assets[()], self.world.timestamp)

    @view
    def totalAssets(self, sender: str) -> int:
        """Return the vested assets, before losses not covered yet."""
        return self._vested()

    @view
    def pending_losses(self, sender: str) -> int:
        """Return UL: the part of the assets that recognised losses will take, rounded up."""
        return self._vested() - self._left()

    @view
    def requested_shares(self, sender: str, owner: str) -> int:
        """Return the owner's shares in escrow."""
        return int(self.requests[self.state[()].generation, owner].shares)

    @view
    def requested_at(self, sender: str, owner: str) -> int:
        """Return when the owner last requested [seconds]; 0 if no request is open."""
        return int(self.requests[self.state[()].generation, owner].requested_at)

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
    def maxWithdraw(self, sender: str, owner: str) -> int:
        """Return the assets that the owner's matured shares are worth, rounded down."""
        return self._to_claim(self._matured(owner))

    @view
    def maxRedeem(self, sender: str, owner: str) -> int:
        """Return the owner's matured shares."""
        return self._matured(owner)

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
        """Return the shares burned for assets at the exit price, rounded up, were they matured."""
        return div_up(mul(assets, self.state[()].supply + VIRTUAL_SHARES), self._left() + VIRTUAL_ASSETS)

    @view
    def previewRedeem(self, sender: str, shares: int) -> int:
        """Return the assets for shares at the exit price, rounded down, were they matured."""
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
        require(assets != 0, "pool: no assets")
        if sender != owner:
            self._spend_allowance(owner, sender, shares)
        state: State = self.state[()]
        self._settle(state.generation, owner, state.mark)
        if self.cooldown == 0:
            self._burn(state.generation, owner, shares)
        else:
            request: Request = self.requests[state.generation, owner]
            rest = request._replace(shares=request.shares - shares)
            self.requests[state.generation, owner] = rest if rest.shares else Request()
            self._burn(state.generation, self.address, shares)
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

    def _matured(self, owner: str) -> int:
        """Return the shares that can leave now."""
        generation = self.state[()].generation
        if self.cooldown == 0:
            return int(self.balances[generation, owner].shares)
        request: Request = self.requests[generation, owner]
        matures_at = request.requested_at + self.cooldown
        if not matures_at <= self.world.timestamp <= matures_at + self.window:
            return 0
        return request.shares

    # ------------------------------------------------------------------ prices

    def _vested(self) -> int:
        """Return A: the assets that shares are worth."""
        return vested(self.assets[()], self.world.timestamp)

    def _left(self) -> int:
        """Return A - UL, rounded down."""
        held = self._vested()
        losses = self.loss_waterfall.losses_beyond(self.address, self.stage_address)
        if losses == 0:
            return held
        if self.stage_address == self.address:
            return held - min(held, div_up(losses, RAY))
        return held - min(held, self.stage.pending_assets(self.address, losses))

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
        return mul(shares, self._left() + VIRTUAL_ASSETS) // supply

    # ----------------------------------------------------- claims, generations

    def _settle(self, generation: int, owner: str, last: int) -> None:
        """Hand an owner the claims up to the last checkpoint, for the shares owned since the one before."""
        balance: Balance = self.balances[generation, owner]
        if balance.mark == last:
            return
        self._set_mark_of(generation, owner, last)
        owned = balance.shares + self.requests[generation, owner].shares
        if owned == 0:
            return
        end: Checkpoint = self.checkpoints[generation, last]
        before, paid = self._carry(generation, balance.mark, end.series, up=True)
        tokens = mul(owned, end.tokens - before) // RAY
        # Rounded up, of either sign.
        paid = -(-owned * (self.paid_before[generation, last] - paid) // RAY)
        self.claims.issue(self.address, owner, end.series, tokens, paid)

    def _add_checkpoint(self, assets: int) -> None:
        """Share the claims for the members' part of a loss."""
        state: State = self.state[()]
        borne = assets * state.supply // (state.supply + VIRTUAL_SHARES)
        series, tokens, paid = self.claims.record(self.address, borne)
        added = tokens * RAY // state.supply
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
        """Void all shares and requests; what is left, which is not the next depositor's."""
        state: State = self.state[()]
        self.last_checkpoints[state.generation] = state.mark
        self._void_shares()
        rest = int(self.assets[()].booked)
        self.assets[()] = Assets()
        self.emit("NewGeneration", state.generation + 1, rest)
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
    return supply > assets * MOST_SHARES

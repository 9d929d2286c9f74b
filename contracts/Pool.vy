# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Pool
@license GNU Affero General Public License v3.0 only
@notice An ERC-4626 vault of an 18-decimal token of the protocol whose members bear losses and earn
        income. Leaving takes two steps: shares are requested, keep bearing losses for a cooldown, and
        can then be claimed for a while. A claim pays as if the losses already recognised had already
        been covered, so that leaving just before or just after the cover pays the same. Income vests
        over time. A pool of stablecoin is a stage of the waterfall itself, and may have a series of
        recovery claims, which its members get for losses; a pool of equity is slashed by an auction.
@dev With A the vested assets, S the shares and UL the part of A that recognised losses will take:
     entry   shares = floor(a * (S + 1e6) / (A + 1))
     exit    assets = floor(s * (A - UL + 1) / (S + 1e6))
     The exit takes the virtual share and asset into account as the entry does: with
     floor(s * (A - UL) / S) a holder of nearly all shares would be paid the virtual shares' part
     too, and entering and leaving could pay. As s <= S, it never pays more than A - UL.
     What a claim forfeits to UL stays in the pool, for those who stay and bear the loss. While slashed
     equity is under auction, A at the entry counts it: it may come back to those who were slashed.
     Assets are booked, so donations change nothing. State is written before every outside call:
     a price read in the middle of one is the price after it.
     When a loss leaves (nearly) nothing, a new generation of shares starts at the first price; those of
     the old one are void. So S <= 1e15 * A after every loss, and no other call raises S / A: with A
     under 2**96, shares stay under 2**147.
     An owner is due claims for the shares owned, those requested included, when a loss was borne. Each
     loss is a checkpoint of what one share got up to then; owners are settled up to the last one before
     their shares change. An owner's mark (see shares) is the checkpoint of the last time, the pool's mark
     the last checkpoint. Where there was no loss, this costs nothing.
"""
from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626
from snekmate.utils import math

from contracts.interfaces import IEquityAuction
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IPool
from contracts.interfaces import IRecoveryClaims
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import shares as token
from contracts.modules import units

implements: IERC20
implements: IERC4626
implements: IPool
implements: IStage

initializes: token

exports: (
    token.name,
    token.symbol,
    token.decimals,
    token.totalSupply,
    token.balanceOf,
    token.allowance,
    token.approve,
    token.permit,
    token.nonces,
    token.DOMAIN_SEPARATOR,
    token.eip712Domain,
    token.generation,
)


event RedeemRequested:
    owner: indexed(address)
    shares: uint256  # [shares]
    matures_at: uint256  # [timestamp]


event RequestCancelled:
    owner: indexed(address)
    shares: uint256  # [shares]


event LossAbsorbed:
    collateral_type: indexed(uint256)  # [id]
    assets: uint256  # [wad]


event IncomeAdded:
    payer: indexed(address)
    assets: uint256  # [wad]
    ends_at: uint256  # [timestamp]


event IncomeClawedBack:
    collateral_type: indexed(uint256)  # [id]
    assets: uint256  # [wad]


event Slashed:
    receiver: indexed(address)
    assets: uint256  # [wad]


event Restored:
    assets: uint256  # [wad]


event NewGeneration:
    generation: indexed(uint256)  # [generation]
    given_up: uint256  # [wad] left by the members of the last one


struct Assets:
    booked: uint256  # wad, all of them, 96 bits
    unvested: uint256  # wad of income that had not vested at `vested_at`, 96 bits
    vested_at: uint256  # seconds, 32 bits
    ends_at: uint256  # seconds, when all is vested, 32 bits


struct Request:
    shares: uint256  # in escrow here, 152 bits
    requested_at: uint256  # seconds, 32 bits


struct Checkpoint:
    tokens: uint256  # claims that one share got, ray, 224 bits
    series: uint256  # the generation of the claims, 32 bits


VIRTUAL_SHARES: constant(uint256) = 10**6
VIRTUAL_ASSETS: constant(uint256) = 1
# A loss that leaves less voids all shares, and so does one that leaves less than a share in 1e15 is worth.
LEAST_ASSETS: constant(uint256) = 10**6
MOST_SHARES: constant(uint256) = 10**15

MASK_32: constant(uint256) = 2**32 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_152: constant(uint256) = 2**152 - 1
MASK_224: constant(uint256) = 2**224 - 1

asset: public(immutable(address))
VAULT_ENGINE: public(immutable(IVaultEngine))
LOSS_WATERFALL: public(immutable(ILossWaterfall))
# The stage of the waterfall in whose place losses come here: this pool, or the auction that slashes it.
STAGE: public(immutable(address))
# The stage that takes unvested income; zero if there is none.
CLAWBACK: public(immutable(address))
# The claims that members get for losses; zero if there are none.
CLAIMS: public(immutable(IRecoveryClaims))
# Seconds from a request to its maturity. 0: leaving needs no request, as in pools that take no care.
COOLDOWN: public(immutable(uint256))
# Seconds for which a matured request can be claimed.
WINDOW: public(immutable(uint256))
# Seconds over which income vests.
VESTING: public(immutable(uint256))

# Assets
assets: uint256
# generation -> owner -> Request, one for each owner
requests: HashMap[uint256, HashMap[address, uint256]]
# generation -> checkpoint -> Checkpoint
checkpoints: HashMap[uint256, HashMap[uint256, uint256]]
# generation -> checkpoint -> what was paid to the claims of one share before it got them, less what is
# still due for generations of claims that are over; ray
paid_before: HashMap[uint256, HashMap[uint256, int256]]
# generation that is over -> its last checkpoint
last_checkpoints: HashMap[uint256, uint256]


@deploy
def __init__(
    token_name: String[25],
    token_symbol: String[5],
    asset_: address,
    vault_engine: address,
    loss_waterfall: address,
    stage: address,
    clawback: address,
    claims: address,
    cooldown: uint256,
    window: uint256,
    vesting: uint256,
):
    """
    @param token_name The shares' name, also of their EIP-712 domain.
    @param token_symbol The shares' symbol.
    @param asset_ The token held, 18 decimals: the stablecoin, or equity.
    @param vault_engine The ledger; a pool of stablecoin needs its STAGE role.
    @param loss_waterfall Where losses come from.
    @param stage The auction that slashes a pool of equity; zero for a pool that is a stage itself.
    @param clawback The stage that takes unvested income, or zero.
    @param claims The series of claims for losses, or zero.
    @param cooldown [seconds] From a request to its maturity; 0 for the naive pool, whose window is 0 too. To
                    be neutral it lasts at least as long as a loss takes from the price that shows it to its
                    recognition, and it is shorter than the delay of new caps.
    @param window [seconds] For which a matured request can be claimed.
    @param vesting [seconds] Over which income vests.
    """
    token.__init__(token_name, token_symbol)
    assert cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds"
    assert cooldown < staticcall ILossWaterfall(loss_waterfall).CAP_DELAY(), "pool: cooldown too long"
    if cooldown == 0:
        assert window == 0, "pool: window without cooldown"
    else:
        assert window >= bounds.MIN_EXIT_WINDOW, "pool: short window"
        assert window <= bounds.MAX_EXIT_WINDOW, "pool: long window"
    assert vesting >= bounds.MIN_VESTING, "pool: short vesting"
    assert vesting <= bounds.MAX_VESTING, "pool: long vesting"
    asset = asset_
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    STAGE = stage if stage != empty(address) else self
    CLAWBACK = clawback
    CLAIMS = IRecoveryClaims(claims)
    COOLDOWN = cooldown
    WINDOW = window
    VESTING = vesting


# -------------------------------------------------------------------- entry


@external
@nonreentrant
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Put assets in. Anyone, for anyone. Whoever enters while a recognised loss is not covered yet bears
            a part of it. Protects: the price is rounded against whoever enters.
    @param assets [wad] Pulled from the caller.
    @param receiver Who gets the shares.
    @return [shares] Created, rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._entry_terms()
    minted: uint256 = assets * supply // held
    self._enter(supply, assets, minted, receiver)
    return minted


@external
@nonreentrant
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Put assets in for a number of shares. Anyone, for anyone. Protects: the price is rounded against
            whoever enters.
    @param shares [shares] To be created.
    @param receiver Who gets the shares.
    @return [wad] Assets pulled from the caller, rounded up.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._entry_terms()
    assets: uint256 = units._div_up(shares * held, supply)
    self._enter(supply, assets, shares, receiver)
    return assets


# --------------------------------------------------------------------- exit


@external
def request_redeem(shares: uint256):
    """
    @notice Announce an exit. Owner of the shares. They move into escrow here and keep bearing losses; adding
            to an open request restarts its clock. Protects: nobody leaves ahead of a loss that is already
            under way.
    @param shares [shares] Moved into escrow.
    """
    assert COOLDOWN != 0, "pool: no request needed"
    assert shares != 0, "pool: empty request"
    generation: uint256 = token._load().generation
    token._transfer(generation, msg.sender, self, shares)
    # What is owned does not change: nothing is settled.
    requested: uint256 = self.requests[generation][msg.sender] & MASK_152
    self.requests[generation][msg.sender] = unsafe_add(requested, shares) | (block.timestamp << 152)
    log RedeemRequested(owner=msg.sender, shares=shares, matures_at=block.timestamp + COOLDOWN)


@external
def cancel_request() -> uint256:
    """
    @notice Take the requested shares back. Owner; at any time, also after the window.
    @return [shares] Returned to the owner.
    """
    generation: uint256 = token._load().generation
    shares: uint256 = self.requests[generation][msg.sender] & MASK_152
    assert shares != 0, "pool: no request"
    self.requests[generation][msg.sender] = 0
    token._transfer(generation, self, msg.sender, shares)
    log RequestCancelled(owner=msg.sender, shares=shares)
    return shares


@external
@nonreentrant
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Take assets out for matured shares. The owner, or a spender of the owner's shares: the ERC-20
            allowance counts for shares in escrow as for those held. Protects: leaving just before or just
            after a recognised loss is covered pays the same.
    @param assets [wad] To be sent.
    @param receiver Who gets the assets.
    @param owner Whose matured shares are burned.
    @return [shares] Burned, rounded up.
    """
    state: token.State = token._load()
    supply: uint256 = state.supply + VIRTUAL_SHARES
    left: uint256 = self._left() + VIRTUAL_ASSETS
    most: uint256 = self._matured(state.generation, owner) * left // supply
    assert assets <= most, "pool: more than max withdraw"
    burned: uint256 = units._div_up(assets * supply, left)
    self._leave(state, assets, burned, receiver, owner)
    return burned


@external
@nonreentrant
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Take assets out for a number of matured shares. The owner, or a spender of the owner's shares.
            Protects: leaving just before or just after a recognised loss is covered pays the same.
    @param shares [shares] To be burned.
    @param receiver Who gets the assets.
    @param owner Whose matured shares are burned.
    @return [wad] Assets sent, rounded down.
    """
    state: token.State = token._load()
    assert shares <= self._matured(state.generation, owner), "pool: more than max redeem"
    assets: uint256 = self._to_claim(state.supply, shares)
    self._leave(state, assets, shares, receiver, owner)
    return assets


# ------------------------------------------------------------------- income


@external
@nonreentrant
def add_income(assets: uint256):
    """
    @notice Give the members income. Anyone. It vests evenly over VESTING seconds; what has not vested yet
            goes on with it, up to the mean of both ends, weighted by the amounts. Protects: nobody earns by
            entering just before an income and leaving just after; dust prolongs nothing.
    @param assets [wad] Pulled from the caller.
    """
    assert assets != 0, "pool: no income"
    held: Assets = self._load_assets()
    self._check_room(held.booked, assets)
    unvested: uint256 = self._unvested(held)
    rest: uint256 = held.ends_at - min(held.ends_at, block.timestamp)
    total: uint256 = unvested + assets
    ends_at: uint256 = block.timestamp + (unvested * rest + assets * VESTING) // total
    self._store_assets(
        Assets(
            booked=held.booked + assets,
            unvested=total,
            vested_at=block.timestamp,
            ends_at=ends_at,
        )
    )
    log IncomeAdded(payer=msg.sender, assets=assets, ends_at=ends_at)
    self._pull(assets)


# -------------------------------------------------------------------- losses


@external
@nonreentrant
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Pay for a loss: vested assets are burned, members get claims. Loss waterfall only. Protects:
            nothing here can make coverage fail.
    @param collateral_type [id] The type that lost.
    @param amount [rad] At most this is covered; assets burned are rounded up.
    @return [rad] Covered.
    @return [rad] Reserved: always 0.
    """
    assert msg.sender == LOSS_WATERFALL.address, "pool: not loss waterfall"
    held: Assets = self._load_assets()
    vested: uint256 = held.booked - self._unvested(held)
    most: uint256 = min(vested * units.RAY, amount)
    assets: uint256 = units._div_up(most, units.RAY)
    self.assets -= assets
    log LossAbsorbed(collateral_type=collateral_type, assets=assets)
    rest: uint256 = 0
    state: token.State = token._load()
    if state.supply != 0:
        if CLAIMS.address != empty(address):
            self._add_checkpoint(state, assets)
        left: uint256 = vested - assets
        if left < LEAST_ASSETS or self._void(state.supply, left):
            rest = self._new_generation()
    covered: uint256 = extcall VAULT_ENGINE.cover_from_tokens(collateral_type, self, most)
    if rest != 0:
        extcall VAULT_ENGINE.give_to_reserve(rest)
    return covered, 0


@external
@nonreentrant
def claw_back(collateral_type: uint256, amount: uint256) -> uint256:
    """
    @notice Pay for a loss with income that has not vested. The clawback stage only. Members lose nothing that
            was theirs: the price of a share stays, no claims are due.
    @param collateral_type [id] The type that lost.
    @param amount [rad] At most what is not vested; assets burned are rounded up.
    @return [rad] Covered.
    """
    assert msg.sender == CLAWBACK, "pool: not clawback stage"
    held: Assets = self._load_assets()
    unvested: uint256 = self._unvested(held)
    assets: uint256 = units._div_up(amount, units.RAY)
    assert assets <= unvested, "pool: vested already"
    held.booked -= assets
    held.unvested = unvested - assets
    held.vested_at = block.timestamp
    self._store_assets(held)
    log IncomeClawedBack(collateral_type=collateral_type, assets=assets)
    return extcall VAULT_ENGINE.cover_from_tokens(collateral_type, self, amount)


@external
@nonreentrant
def slash(assets: uint256, receiver: address) -> uint256:
    """
    @notice Take vested assets to sell them for a loss. The auction only. Shares stay as they are: what is not
            sold comes back to them. Those that were left with nothing are void when somebody enters after the
            auction.
    @param assets [wad] Wanted.
    @param receiver Who gets them.
    @return [wad] Sent: at most what is vested.
    """
    self._only_stage()
    sent: uint256 = min(assets, self._vested())
    self.assets -= sent
    log Slashed(receiver=receiver, assets=sent)
    self._push(receiver, sent)
    return sent


@external
@nonreentrant
def restore(assets: uint256):
    """
    @notice Bring back what was slashed and not sold. The auction only.
    @param assets [wad] Pulled from the caller.
    """
    self._only_stage()
    # All equity that there is fits.
    self.assets += assets
    log Restored(assets=assets)
    self._pull(assets)


@external
def collect_claims(owner: address, generation: uint256):
    """
    @notice Hand an owner the claims for losses borne. Anyone, for anyone, also for a generation of shares
            that is over.
    @param owner Whose claims.
    @param generation [generation] Of the shares.
    """
    assert owner != self, "pool: no member"
    state: token.State = token._load()
    last: uint256 = state.mark
    if generation != state.generation:
        last = self.last_checkpoints[generation]
    self._settle(generation, owner, last)


# ------------------------------------------------------------------- ERC-20


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the caller's shares; claims for losses before stay the caller's. Owner.
    @param to Who gets the shares; neither this contract nor nobody.
    @param amount [shares] Moved.
    @return Always true.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Move shares on an allowance; claims for losses before stay the owner's. Spender.
    @param owner Whose shares.
    @param to Who gets the shares; neither this contract nor nobody.
    @param amount [shares] Moved.
    @return Always true.
    """
    token._spend_allowance(owner, msg.sender, amount)
    self._move(owner, to, amount)
    return True


# -------------------------------------------------------------------- views


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice What losses can take at once: all vested assets, whatever the type.
    @param collateral_type [id] Any; it makes no difference.
    @return [rad] Whole wei.
    """
    return self._vested() * units.RAY


@external
@view
def slashable() -> uint256:
    """
    @notice What can be slashed: all vested assets.
    @return [wad] Rounded down.
    """
    return self._vested()


@external
@view
def unvested() -> uint256:
    """
    @notice Income that has not vested yet.
    @return [wad] Rounded up.
    """
    return self._unvested(self._load_assets())


@external
@view
def totalAssets() -> uint256:
    """
    @notice Vested assets, before losses not covered yet.
    @return [wad] Rounded down.
    """
    return self._vested()


@external
@view
def pending_losses() -> uint256:
    """
    @notice UL: the part of the assets that recognised losses will take.
    @return [wad] Rounded up.
    """
    return self._vested() - self._left()


@external
@view
def requested_shares(owner: address) -> uint256:
    """
    @notice An owner's shares in escrow.
    @param owner Whose shares.
    @return [shares] 0 if no request is open.
    """
    return self.requests[token._load().generation][owner] & MASK_152


@external
@view
def requested_at(owner: address) -> uint256:
    """
    @notice Time of an owner's last request.
    @param owner Whose shares.
    @return [timestamp] 0 if none is open.
    """
    return self.requests[token._load().generation][owner] >> 152


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Shares for assets at the entry price.
    @param assets [wad] To be converted.
    @return [shares] Rounded down.
    """
    return self._to_shares(assets)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice Assets for shares at the entry price, which knows no loss that is not covered.
    @param shares [shares] To be converted.
    @return [wad] Rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._entry_terms()
    return shares * held // supply


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice What can still be booked: far more than there is.
    @param receiver Any; it makes no difference.
    @return [wad] The most that a deposit may be.
    """
    return MASK_96 - self._load_assets().booked


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice Shares for all that can still be booked.
    @param receiver Any; it makes no difference.
    @return [shares] The most that may be minted, rounded down.
    """
    return self._to_shares(MASK_96 - self._load_assets().booked)


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice Assets that an owner's matured shares are worth at the exit price.
    @param owner Whose shares.
    @return [wad] Rounded down.
    """
    state: token.State = token._load()
    return self._to_claim(state.supply, self._matured(state.generation, owner))


@external
@view
def maxRedeem(owner: address) -> uint256:
    """
    @notice An owner's matured shares.
    @param owner Whose shares.
    @return [shares] 0 outside the window.
    """
    return self._matured(token._load().generation, owner)


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice Shares that a deposit would create now.
    @param assets [wad] To be put in.
    @return [shares] Rounded down.
    """
    return self._to_shares(assets)


@external
@view
def previewMint(shares: uint256) -> uint256:
    """
    @notice Assets that new shares would cost now.
    @param shares [shares] To be created.
    @return [wad] Rounded up.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._entry_terms()
    return units._div_up(shares * held, supply)


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice Shares that a withdrawal would burn now at the exit price, were they matured.
    @param assets [wad] To be taken out.
    @return [shares] Rounded up.
    """
    return units._div_up(assets * (token._load().supply + VIRTUAL_SHARES), self._left() + VIRTUAL_ASSETS)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice Assets that shares would bring now at the exit price, were they matured.
    @param shares [shares] To be burned.
    @return [wad] Rounded down.
    """
    return self._to_claim(token._load().supply, shares)


# ------------------------------------------------------------------ helpers


@internal
def _enter(supply: uint256, assets: uint256, shares: uint256, receiver: address):
    """
    @dev Books the assets and creates the shares, then pulls the assets. The supply is that of the entry
         terms: without any share it is that of a new generation.
    """
    assert shares != 0, "pool: no shares"
    token._check_receiver(receiver)
    state: token.State = token._load()
    if supply == VIRTUAL_SHARES and state.supply != 0:
        # What equity is left stays here for good, as a donation does.
        self._new_generation()
        state = token._load()
    word: uint256 = self.assets
    self._check_room(word & MASK_96, assets)
    self.assets = unsafe_add(word, assets)
    self._settle(state.generation, receiver, state.mark)
    token._mint(state.generation, receiver, shares)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    self._pull(assets)


@internal
def _leave(state: token.State, assets: uint256, shares: uint256, receiver: address, owner: address):
    """
    @dev Burns matured shares and books the assets out, then sends them.
    """
    assert assets != 0, "pool: no assets"
    if msg.sender != owner:
        token._spend_allowance(owner, msg.sender, shares)
    self._settle(state.generation, owner, state.mark)
    if COOLDOWN == 0:
        token._burn(state.generation, owner, shares)
    else:
        # At most the shares requested; without any the time goes as well.
        word: uint256 = self.requests[state.generation][owner]
        self.requests[state.generation][owner] = 0 if word & MASK_152 == shares else word - shares
        token._burn(state.generation, self, shares)
    self.assets -= assets
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    self._push(receiver, assets)


@internal
def _move(owner: address, to: address, amount: uint256):
    token._check_receiver(to)
    state: token.State = token._load()
    self._settle(state.generation, owner, state.mark)
    self._settle(state.generation, to, state.mark)
    token._transfer(state.generation, owner, to, amount)


@internal
@view
def _only_stage():
    assert msg.sender == STAGE, "pool: not its stage"


@internal
@pure
def _check_room(booked: uint256, assets: uint256):
    assert assets <= MASK_96 - booked, "pool: too many assets"


@internal
def _pull(assets: uint256):
    assert extcall IERC20(asset).transferFrom(
        msg.sender, self, assets, default_return_value=True
    ), "pool: transfer in failed"


@internal
def _push(receiver: address, assets: uint256):
    assert extcall IERC20(asset).transfer(
        receiver, assets, default_return_value=True
    ), "pool: transfer out failed"


@internal
@view
def _matured(generation: uint256, owner: address) -> uint256:
    """
    @dev Shares that can leave now.
    """
    if COOLDOWN == 0:
        return token._balance(generation, owner).shares
    word: uint256 = self.requests[generation][owner]
    matures_at: uint256 = (word >> 152) + COOLDOWN
    if block.timestamp < matures_at or block.timestamp > matures_at + WINDOW:
        return 0
    return word & MASK_152


# ------------------------------------------------------------------- prices


@internal
@view
def _unvested(held: Assets) -> uint256:
    """
    @dev Wad, rounded up.
    """
    if block.timestamp >= held.ends_at:
        return 0
    # 96 + 32 bits.
    return units._div_up(
        unsafe_mul(held.unvested, unsafe_sub(held.ends_at, block.timestamp)),
        unsafe_sub(held.ends_at, held.vested_at),
    )


@internal
@view
def _vested() -> uint256:
    """
    @dev A: assets that shares are worth, wad.
    """
    held: Assets = self._load_assets()
    return unsafe_sub(held.booked, self._unvested(held))


@internal
@view
def _left() -> uint256:
    """
    @dev A - UL: assets that recognised losses will leave, wad, rounded down.
    """
    vested: uint256 = self._vested()
    losses: uint256 = staticcall LOSS_WATERFALL.losses_beyond(STAGE)
    if losses == 0:
        return vested
    if STAGE == self:
        return vested - min(vested, units._div_up(losses, units.RAY))
    return vested - min(vested, staticcall IEquityAuction(STAGE).pending_assets(losses))


@internal
@view
def _entry_terms() -> (uint256, uint256):
    """
    @dev Shares and assets, the virtual ones included, that an entry is priced by. Under auction there can
         only be something while losses are pending.
    """
    supply: uint256 = token._load().supply
    held: uint256 = self._vested()
    if STAGE != self:
        if staticcall LOSS_WATERFALL.pending_total() != 0:
            held += staticcall IEquityAuction(STAGE).under_auction()
        if self._void(supply, held):
            supply = 0
            held = 0
    return supply + VIRTUAL_SHARES, held + VIRTUAL_ASSETS


@internal
@pure
def _void(supply: uint256, assets: uint256) -> bool:
    """
    @dev Whether losses have left shares (nearly) worthless.
    """
    return supply > assets * MOST_SHARES


@internal
@view
def _to_shares(assets: uint256) -> uint256:
    """
    @dev Entry price, rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._entry_terms()
    return assets * supply // held


@internal
@view
def _to_claim(supply: uint256, shares: uint256) -> uint256:
    """
    @dev Exit price, rounded down.
    """
    return shares * (self._left() + VIRTUAL_ASSETS) // (supply + VIRTUAL_SHARES)


@internal
@view
def _load_assets() -> Assets:
    word: uint256 = self.assets
    return Assets(
        booked=word & MASK_96,
        unvested=(word >> 96) & MASK_96,
        vested_at=(word >> 192) & MASK_32,
        ends_at=word >> 224,
    )


@internal
def _store_assets(held: Assets):
    self.assets = held.booked | (held.unvested << 96) | (held.vested_at << 192) | (held.ends_at << 224)


# ------------------------------------------------------- claims, generations


@internal
def _settle(generation: uint256, owner: address, last: uint256):
    """
    @dev Hand an owner the claims up to the last checkpoint, for the shares owned since the one before.
    """
    # Where nothing was lost yet, nothing has to be looked up.
    if last == 0:
        return
    balance: token.Balance = token._balance(generation, owner)
    if balance.mark == last:
        return
    token._set_mark_of(generation, owner, last)
    owned: uint256 = balance.shares + (self.requests[generation][owner] & MASK_152)
    if owned == 0:
        return
    tokens: uint256 = 0
    paid: int256 = 0
    end: Checkpoint = self._load_checkpoint(generation, last)
    tokens, paid = self._carry(generation, balance.mark, end.series, True)
    # What an owner had was a part of what each loss was shared by: the product is under 2**235.
    tokens = owned * (end.tokens - tokens) // units.RAY
    paid = self.paid_before[generation][last] - paid
    if paid > 0:
        paid = convert(math._mul_div(owned, convert(paid, uint256), units.RAY, True), int256)
    else:
        paid = -convert(math._mul_div(owned, convert(-paid, uint256), units.RAY, False), int256)
    extcall CLAIMS.issue(owner, end.series, tokens, paid)


@internal
def _add_checkpoint(state: token.State, assets: uint256):
    """
    @dev Share the claims for the members' part of a loss. One share gets at most
         assets * 2**40 * RAY / VIRTUAL_SHARES < 2**207 in a loss, which leaves room for 2**17 such losses
         in one generation of claims.
    """
    borne: uint256 = assets * state.supply // (state.supply + VIRTUAL_SHARES)
    series: uint256 = 0
    tokens: uint256 = 0
    paid: uint256 = 0
    series, tokens, paid = extcall CLAIMS.record(borne)
    added: uint256 = tokens * units.RAY // state.supply
    if added == 0:
        return
    before: uint256 = 0
    paid_before: int256 = 0
    before, paid_before = self._carry(state.generation, state.mark, series, False)
    mark: uint256 = state.mark + 1
    self.checkpoints[state.generation][mark] = (before + added) | (series << 224)
    self.paid_before[state.generation][mark] = paid_before + convert(
        math._mul_div(added, paid, units.RAY, True), int256
    )
    token._set_mark(mark)


@internal
@view
def _carry(generation: uint256, mark: uint256, series: uint256, up: bool) -> (uint256, int256):
    """
    @dev A checkpoint as a generation of claims sees it: tokens of an older one are gone, and what they
         were paid in all is due.
    """
    checkpoint: Checkpoint = self._load_checkpoint(generation, mark)
    paid: int256 = self.paid_before[generation][mark]
    if checkpoint.series == series or checkpoint.tokens == 0:
        return checkpoint.tokens, paid
    due: uint256 = math._mul_div(
        checkpoint.tokens, staticcall CLAIMS.paid_per_token(checkpoint.series), units.RAY, up
    )
    return 0, paid - convert(due, int256)


@internal
@view
def _load_checkpoint(generation: uint256, mark: uint256) -> Checkpoint:
    word: uint256 = self.checkpoints[generation][mark]
    return Checkpoint(tokens=word & MASK_224, series=word >> 224)


@internal
def _new_generation() -> uint256:
    """
    @dev All shares and requests are void. What is left, income that has not vested with it, is returned: nobody
         alive has earned it, so it is not the next depositor's.
    """
    state: token.State = token._load()
    self.last_checkpoints[state.generation] = state.mark
    token._new_generation()
    rest: uint256 = self.assets & MASK_96
    self.assets = 0
    log NewGeneration(generation=state.generation + 1, given_up=rest)
    return rest

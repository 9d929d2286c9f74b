# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title Pool
@license GNU Affero General Public License v3.0 only
@notice A pool of stablecoin: an ERC-4626 vault, with a cooldown an ERC-7540 one, whose members bear losses
        and earn income. It is a stage of the waterfall, and may have a series of recovery claims, which its
        members get for losses. Leaving takes time: a request commits shares to the batch of the day, a batch
        is cut at one price and earns nothing from then on, and after a cooldown it is paid out, but for what
        the losses known then could take of it; that is paid as they turn out smaller. Until then a batch
        bears what its shares would bear as members'. Income vests over time. Equity is staked in EquityPool.
@dev With A the vested assets less what batches hold (see exits), and S the shares:
     entry   shares = floor(a * (S + 1e6) / (A + 1))
     cut     assets = floor(units * floor-price of a share), the virtual share and asset counted as at the
             entry
     exit    assets = floor(s * (A - UL + 1) / (S + 1e6)), without a cooldown; UL is the part of A that known
             losses will take
     When a loss leaves (nearly) nothing, a new generation of shares starts at the first price; those of
     the old one are void, batches with them, and what is left goes to the reserve. After every loss
     S + 1e6 <= 1e15 * (A + 1), and no other call raises S / A: with A under 2**96, shares stay under 2**147.
     An owner is due claims for the shares owned, and for those in batches, when a loss was borne. Each
     loss is a checkpoint of what one share got up to then, and a batch that ends inside one makes one more;
     owners are settled up to the last one before their shares change. An owner's mark (see shares) is the
     checkpoint of the last time, the pool's mark the last checkpoint. Where there was no loss, this costs
     nothing. What the pool has open (see shares) are batches that are cut and not over.
"""
from ethereum.ercs import IERC165
from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IPool
from contracts.interfaces import IRecoveryClaims
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import exits
from contracts.modules import shares as token
from contracts.modules import units
from contracts.modules import vesting_assets as funds

implements: IERC165
implements: IERC20
implements: IERC4626
implements: IPool
implements: IStage

initializes: exits
initializes: token
initializes: funds

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
    exits.setOperator,
    exits.isOperator,
    funds.asset,
    funds.VESTING,
    funds.add_income,
    funds.unvested,
    funds.maxDeposit,
)


event RedeemRequest:
    controller: indexed(address)
    owner: indexed(address)
    requestId: indexed(uint256)  # [id] the batch
    sender: address
    shares: uint256  # [shares]


event BatchCut:
    batch: indexed(uint256)  # [id]
    shares: uint256  # [shares]
    assets: uint256  # [wad] held; 0 where they stay members'


event BatchPaid:
    batch: indexed(uint256)  # [id]
    assets: uint256  # [wad] to be claimed by its members
    held: uint256  # [wad] that losses may still take


event LossAbsorbed:
    collateral_type: indexed(uint256)  # [id]
    assets: uint256  # [wad]


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
    voided: uint256  # [shares] the supply of the last one: every balance is 0 from here on
    given_up: uint256  # [wad] left by the members of the last one


struct Checkpoint:
    tokens: uint256  # claims that one share got, ray, 224 bits
    series: uint256  # the generation of the claims, 32 bits


struct BatchState:
    shares: uint256  # [shares]
    since: uint256  # [timestamp] of the first request, then of the cut
    paid: uint256  # [wad] to all its members so far
    held: uint256  # [wad] that losses may still take
    over: bool  # whether all was paid or lost


struct Part:
    request: exits.Request
    generation: uint256  # of the shares
    last: uint256  # the last checkpoint that the shares have a part in
    over: bool  # whether all was paid or lost
    all_shares: uint256  # as many of the shares as the batch was paid for
    shares: uint256  # those of them that are not claimed yet
    assets: uint256  # wad, for these


# Interfaces, by what ERC-165 calls them.
ERC165: constant(uint256) = 33_540_519  # 0x01ffc9a7
ERC7575: constant(uint256) = 789_190_853  # 0x2f0a18c5
ERC7540_REDEEM: constant(uint256) = 1_645_144_292  # 0x620ee8e4
ERC7540_OPERATORS: constant(uint256) = 3_820_768_869  # 0xe3bc4e65

VIRTUAL_SHARES: constant(uint256) = 10**6
VIRTUAL_ASSETS: constant(uint256) = 1
# A loss that leaves less voids all shares, and so does one that leaves less than a share in 1e15 is worth.
LEAST_ASSETS: constant(uint256) = 10**6
MOST_SHARES: constant(uint256) = 10**15

MASK_32: constant(uint256) = 2**32 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_152: constant(uint256) = 2**152 - 1
MASK_224: constant(uint256) = 2**224 - 1

VAULT_ENGINE: public(immutable(IVaultEngine))
LOSS_WATERFALL: public(immutable(ILossWaterfall))
# The stage that takes unvested income; zero if there is none.
CLAWBACK: public(immutable(address))
# The claims that members get for losses; zero if there are none.
CLAIMS: public(immutable(IRecoveryClaims))
# Seconds from the cut of a batch to its first payment, but for bounds.LOOK. 0: leaving needs no request, as
# in pools that take no care.
COOLDOWN: public(immutable(uint256))

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
    clawback: address,
    claims: address,
    cooldown: uint256,
    vesting: uint256,
):
    """
    @param token_name The shares' name, also of their EIP-712 domain.
    @param token_symbol The shares' symbol.
    @param asset_ The token held: the stablecoin.
    @param vault_engine The ledger; the pool needs its STAGE role.
    @param loss_waterfall Where losses come from.
    @param clawback The stage that takes unvested income, or zero.
    @param claims The series of claims for losses, or zero.
    @param cooldown [seconds] From the cut of a batch to its first payment; 0: leaving needs no request. It
                    is shorter than the delay of new caps.
    @param vesting [seconds] Over which income vests.
    """
    token.__init__(token_name, token_symbol)
    exits.__init__()
    funds.__init__(asset_, vesting)
    assert cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds"
    assert cooldown < staticcall ILossWaterfall(loss_waterfall).CAP_DELAY(), "pool: cooldown too long"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    CLAWBACK = clawback
    CLAIMS = IRecoveryClaims(claims)
    COOLDOWN = cooldown


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
    minted: uint256 = units._mul_div(assets, supply, held)
    self._enter(assets, minted, receiver)
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
    self._enter(assets, shares, receiver)
    return assets


# --------------------------------------------------------------------- exit


@external
def requestRedeem(shares: uint256, controller: address, owner: address) -> uint256:
    """
    @notice Commit shares to the batch that collects now (ERC-7540). The owner, an operator of the owner's, or
            a spender of the owner's shares; there is no way back. They move into escrow here, and go on as a
            member's until the batch is cut. Protects: who may leave has no choice left, neither whether nor
            when.
    @param shares [shares] Moved into escrow.
    @param controller Whose request it is: what is paid for it, and claims for what it bears, are the
                      controller's.
    @param owner Whose shares.
    @return [id] The batch.
    """
    assert COOLDOWN != 0, "pool: no request needed"
    assert shares != 0, "pool: empty request"
    token._check_receiver(controller)
    if msg.sender != owner and not exits.isOperator[owner][msg.sender]:
        token._spend_allowance(owner, msg.sender, shares)
    state: token.State = token._load()
    self._settle(state.generation, owner, state.mark)
    token._transfer(state.generation, owner, self, shares)
    id: uint256 = exits._load_queue().collecting
    batch: exits.Batch = exits._load_batch(id)
    if batch.units == 0:
        batch.since = block.timestamp
        batch.generation = state.generation
    # At most all shares.
    batch.units += shares
    exits._store_batch(id, batch)
    before: exits.Request = exits._load_request(id, controller)
    self._issue(state.generation, controller, before.shares, before.mark, state.mark)
    exits._add_request(id, controller, before.shares + shares, state.mark)
    log RedeemRequest(controller=controller, owner=owner, requestId=id, sender=msg.sender, shares=shares)
    return id


@external
@nonreentrant
def cut() -> uint256:
    """
    @notice End the collecting of a batch, a day after its first request or a cooldown if that is shorter.
            Anyone. Its shares leave the live ones at one price, earn nothing from now on and bear losses as
            before. Protects: who leaves does not earn while the others wait for what they do not know.
    @return [id] The batch.
    """
    state: token.State = token._load()
    queue: exits.Queue = exits._load_queue()
    id: uint256 = queue.collecting
    batch: exits.Batch = exits._load_batch(id)
    assert batch.units != 0, "pool: no requests"
    assert block.timestamp >= batch.since + min(COOLDOWN, exits.DAY), "pool: batch collects"
    assert state.open < exits.MOST_OPEN, "pool: too many batches"
    # One wei for each open batch: what floor has cut off of what it holds may yet be the pool's to give.
    spare: uint256 = self._live(state.open, queue.held) + VIRTUAL_ASSETS
    spare -= min(spare, state.open)
    price: uint256 = units._mul_div(spare, exits.SCALE, state.supply + VIRTUAL_SHARES)
    if state.open == 0:
        exits._set_index(0)
    else:
        price = max(price, exits.ceilings[id - 1] - exits.index)
    exits._set_ceiling(id, exits.index + price)
    held: uint256 = units._mul_div(batch.units, price, exits.SCALE)
    queue.held += held
    token._burn(state.generation, self, batch.units)
    token._set_open(state.open + 1)
    batch.since = block.timestamp
    exits._store_batch(id, batch)
    queue.collecting = id + 1
    exits._store_queue(queue)
    log BatchCut(batch=id, shares=batch.units, assets=held)
    return id


@external
@nonreentrant
def settle():
    """
    @notice Pay the batches whose cooldown is over what no known loss can take of them. Anyone, at once when
            it is over, and again whenever less is known to be lost; claims are open from then on. Nothing is
            paid while what a price has just shown may not be flagged yet. Protects: whoever has left bears of
            every loss known now what those bear who stay, and nobody chooses the moment.
    """
    state: token.State = token._load()
    queue: exits.Queue = exits._load_queue()
    first: uint256 = queue.collecting - state.open
    queue.unsettled = max(queue.unsettled, first)
    for _: uint256 in range(state.open, bound=exits.MOST_OPEN):
        if queue.unsettled == queue.collecting or (
            block.timestamp < exits._load_batch(queue.unsettled).since + COOLDOWN + bounds.LOOK
        ):
            break
        queue.unsettled += 1
    assert first < queue.unsettled, "pool: nothing to settle"
    losses: uint256 = staticcall LOSS_WATERFALL.losses_at_payment(self)
    self._pay_out(state, queue, first, losses)


@external
@nonreentrant
def withdraw(assets: uint256, receiver: address, controller: address) -> uint256:
    """
    @notice Take assets out: with a cooldown those that were paid to the controller's batches, the oldest
            first, else those of the owner's shares. The controller, or an operator; without a cooldown the
            owner, or a spender of the owner's shares. Protects: without a cooldown, leaving just before or
            just after a recognised loss is covered pays the same.
    @param assets [wad] To be sent.
    @param receiver Who gets the assets.
    @param controller Whose requests; without a cooldown the owner, whose shares are burned.
    @return [shares] Claimed or burned, rounded up.
    """
    burned: uint256 = 0
    if COOLDOWN != 0:
        burned = self._claim(max_value(uint256), assets, controller)[0]
    else:
        burned = self._to_burn(assets)
    self._leave(assets, burned, receiver, controller)
    return burned


@external
@nonreentrant
def redeem(shares: uint256, receiver: address, controller: address) -> uint256:
    """
    @notice Take assets out for a number of shares: with a cooldown those of the controller's batches that are
            claimable, the oldest first, else the owner's. The controller, or an operator; without a cooldown
            the owner, or a spender of the owner's shares. Protects: without a cooldown, leaving just before
            or just after a recognised loss is covered pays the same.
    @param shares [shares] To be claimed or burned.
    @param receiver Who gets the assets.
    @param controller Whose requests; without a cooldown the owner, whose shares are burned.
    @return [wad] Assets sent, rounded down.
    """
    assets: uint256 = 0
    if COOLDOWN != 0:
        assets = self._claim(shares, max_value(uint256), controller)[1]
    else:
        assets = self._to_claim(token._load().supply, shares)
    self._leave(assets, shares, receiver, controller)
    return assets


# ------------------------------------------------------------------- income


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
    held: funds.Assets = funds._load()
    vested: uint256 = held.booked - funds._unvested(held)
    most: uint256 = min(vested * units.RAY, amount)
    assets: uint256 = units._div_up(most, units.RAY)
    funds.assets -= assets
    log LossAbsorbed(collateral_type=collateral_type, assets=assets)
    state: token.State = token._load()
    live: uint256 = vested - assets
    if state.open != 0:
        live -= self._share(state, assets)
    elif state.supply != 0 and CLAIMS.address != empty(address):
        self._add_checkpoint(state.generation, state.supply + VIRTUAL_SHARES, assets)
    rest: uint256 = 0
    # Who pays nothing, as a stage that proves itself, is left as it is.
    if (
        assets != 0
        and state.supply != 0
        and (vested - assets < LEAST_ASSETS or self._void(state.supply, live))
    ):
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
    assets: uint256 = units._div_up(amount, units.RAY)
    funds._take_unvested(assets)
    log IncomeClawedBack(collateral_type=collateral_type, assets=assets)
    return extcall VAULT_ENGINE.cover_from_tokens(collateral_type, self, amount)


@external
def collect_claims(owner: address, generation: uint256):
    """
    @notice Hand an owner the claims for losses borne, those of the owner's requests with them. Anyone, for
            anyone, also for a generation of shares that is over.
    @param owner Whose claims.
    @param generation [generation] Of the shares.
    """
    assert owner != self, "pool: no member"
    state: token.State = token._load()
    last: uint256 = state.mark
    if generation != state.generation:
        last = self.last_checkpoints[generation]
    self._settle(generation, owner, last)
    self._claim(0, max_value(uint256), owner)


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
    @notice What losses can take at once: all vested assets, those that batches hold with them, whatever the
            type.
    @param collateral_type [id] Any; it makes no difference.
    @return [rad] Whole wei.
    """
    return funds._vested() * units.RAY


@external
@view
def totalAssets() -> uint256:
    """
    @notice Vested assets of the shares, before losses not covered yet; those that batches hold are not
            theirs.
    @return [wad] Rounded down.
    """
    return self._vested(token._load().open)


@external
@view
def pending_losses() -> uint256:
    """
    @notice UL: the part of all vested assets, those that batches hold with them, that known losses will take.
    @return [wad] Rounded up.
    """
    vested: uint256 = funds._vested()
    return vested - self._left(vested)


@external
@view
def pendingRedeemRequest(requestId: uint256, controller: address) -> uint256:
    """
    @notice Shares of a request that wait: for the cut, the cooldown, or what losses may still take.
    @param requestId [id] The batch.
    @param controller Whose request.
    @return [shares] Rounded up; those that are claimable do not count.
    """
    part: Part = self._claimable(requestId, controller)
    return part.request.shares - part.all_shares


@external
@view
def claimableRedeemRequest(requestId: uint256, controller: address) -> uint256:
    """
    @notice Shares of a request that may be claimed by `redeem` or `withdraw`: of a batch that was paid in
            part, that part of its shares.
    @param requestId [id] The batch.
    @param controller Whose request.
    @return [shares] Rounded down; those that were claimed do not count.
    """
    return self._claimable(requestId, controller).shares


@external
@view
def share() -> address:
    """
    @notice The token of the shares (ERC-7575).
    @return This contract.
    """
    return self


@external
@view
def supportsInterface(interface_id: bytes4) -> bool:
    """
    @notice Which standards this pool keeps (ERC-165): ERC-7575, and with a cooldown ERC-7540.
    @param interface_id Of the standard.
    @return Whether it is kept.
    """
    id: uint256 = convert(interface_id, uint256)
    if id == ERC165 or id == ERC7575:
        return True
    return COOLDOWN != 0 and (id == ERC7540_REDEEM or id == ERC7540_OPERATORS)


@external
@view
def batch_of(batch: uint256) -> BatchState:
    """
    @notice The record of a batch.
    @param batch [id] The batch, from 1.
    @return What it has, what it was paid and what losses may still take.
    """
    record: exits.Batch = exits._load_batch(batch)
    payment: exits.Payment = exits._load_payment(batch)
    over: bool = False
    last: uint256 = 0
    over, last = self._end_of(record.generation, payment.ended)
    held: uint256 = 0
    if not over:
        held = exits._holds(batch)
    return BatchState(shares=record.units, since=record.since, paid=payment.paid, held=held, over=over)


@external
@view
def queue() -> (uint256, uint256, uint256):
    """
    @notice Which batches there are: those that are over, then open ones, the last one collects.
    @return [id] The first that is cut and not over.
    @return [id] The first whose cooldown has to pass.
    @return [id] The one that collects.
    """
    queue: exits.Queue = exits._load_queue()
    first: uint256 = queue.collecting - token._load().open
    return first, max(first, queue.unsettled), queue.collecting


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
    return units._mul_div(shares, held, supply)


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice Shares for all that can still be booked.
    @param receiver Any; it makes no difference.
    @return [shares] The most that may be minted, rounded down.
    """
    return self._to_shares(funds._room())


@external
@view
def maxWithdraw(controller: address) -> uint256:
    """
    @notice Assets that may be taken out: those paid to the controller's batches, without a cooldown those
            that the owner's shares are worth at the exit price.
    @param controller Whose requests, or shares.
    @return [wad] Rounded down.
    """
    if COOLDOWN != 0:
        return self._all_claimable(controller)[1]
    state: token.State = token._load()
    return self._to_claim(state.supply, token._balance(state.generation, controller).shares)


@external
@view
def maxRedeem(controller: address) -> uint256:
    """
    @notice Shares that may be redeemed: those of the controller's batches that are claimable, without a
            cooldown all of the owner's.
    @param controller Whose requests, or shares.
    @return [shares] Rounded down.
    """
    if COOLDOWN != 0:
        return self._all_claimable(controller)[0]
    return token._balance(token._load().generation, controller).shares


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
    @notice Shares that a withdrawal would burn now, where there is no cooldown.
    @param assets [wad] To be taken out.
    @return [shares] Rounded up.
    """
    self._only_plain()
    return self._to_burn(assets)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice Assets that shares would bring now, where there is no cooldown.
    @param shares [shares] To be burned.
    @return [wad] Rounded down.
    """
    self._only_plain()
    return self._to_claim(token._load().supply, shares)


# ------------------------------------------------------------------ helpers


@internal
def _enter(assets: uint256, shares: uint256, receiver: address):
    """
    @dev Books the assets and creates the shares, then pulls the assets.
    """
    assert shares != 0, "pool: no shares"
    token._check_receiver(receiver)
    state: token.State = token._load()
    funds._add(assets)
    self._settle(state.generation, receiver, state.mark)
    token._mint(state.generation, receiver, shares)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    funds._pull(assets)


@internal
def _leave(assets: uint256, shares: uint256, receiver: address, owner: address):
    """
    @dev Books out assets that were claimed, or burns shares for them; then sends them.
    """
    if COOLDOWN != 0:
        assert msg.sender == owner or exits.isOperator[owner][msg.sender], "pool: not controller"
        queue: exits.Queue = exits._load_queue()
        queue.owed -= assets
        exits._store_queue(queue)
    else:
        assert assets != 0, "pool: no assets"
        if msg.sender != owner:
            token._spend_allowance(owner, msg.sender, shares)
        state: token.State = token._load()
        self._settle(state.generation, owner, state.mark)
        token._burn(state.generation, owner, shares)
        funds.assets -= assets
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    funds._push(receiver, assets)


@internal
def _move(owner: address, to: address, amount: uint256):
    token._check_receiver(to)
    state: token.State = token._load()
    self._settle(state.generation, owner, state.mark)
    self._settle(state.generation, to, state.mark)
    token._transfer(state.generation, owner, to, amount)


@internal
@view
def _only_plain():
    assert COOLDOWN == 0, "pool: request first"


# ------------------------------------------------------------------ batches


@internal
def _pay_out(state: token.State, before: exits.Queue, first: uint256, losses: uint256):
    """
    @dev Lower the ceilings of settled batches to where all known losses would take the index, and pay what
         lies above. What is paid is rounded down, what is held on is too, and the wei between goes to the
         live shares.
    """
    queue: exits.Queue = before
    vested: uint256 = funds._vested()
    level: uint256 = exits._level(
        first, state.open, state.supply + VIRTUAL_SHARES, min(units._div_up(losses, units.RAY), vested)
    )
    index: uint256 = exits.index
    open: uint256 = state.open
    total: uint256 = 0
    for id: uint256 in range(first, queue.unsettled, bound=exits.MOST_OPEN):
        ceiling: uint256 = exits.ceilings[id]
        lower: uint256 = min(ceiling, level)
        held: uint256 = exits._held(id, ceiling, index) // exits.SCALE
        kept: uint256 = exits._held(id, lower, index)
        paid: uint256 = held - min(held, units._div_up(kept, exits.SCALE))
        kept //= exits.SCALE
        if lower != ceiling:
            exits._set_ceiling(id, lower)
            exits._pay(id, paid)
            queue.held -= held - kept
            queue.owed += paid
            total += paid
            log BatchPaid(batch=id, assets=paid, held=kept)
        if lower == index:
            exits._end(id, state.mark)
            open -= 1
    funds.assets -= total
    exits._store_queue(queue)
    if open != state.open:
        token._set_open(open)


@internal
def _share(state: token.State, assets: uint256) -> uint256:
    """
    @dev Have live shares and open batches bear a loss, share for share; batches whose ceiling it reaches are
         over. What batches hold on, wad.
    """
    queue: exits.Queue = exits._load_queue()
    id: uint256 = queue.collecting - state.open
    all_shares: uint256 = state.supply + VIRTUAL_SHARES
    level: uint256 = exits._level(id, state.open, all_shares, assets)
    index: uint256 = exits.index
    for k: uint256 in range(id, queue.collecting, bound=exits.MOST_OPEN):
        all_shares += exits._load_batch(k).units
    left: uint256 = assets
    mark: uint256 = state.mark
    for _: uint256 in range(exits.MOST_OPEN):
        if id == queue.collecting or exits.ceilings[id] > level:
            break
        part: uint256 = units._mul_div(exits.ceilings[id] - index, all_shares, exits.SCALE)
        index = exits.ceilings[id]
        left -= part
        mark = self._add_checkpoint(state.generation, all_shares, part)
        exits._end(id, mark)
        all_shares -= exits._load_batch(id).units
        id += 1
    self._add_checkpoint(state.generation, all_shares, left)
    exits._set_index(level)
    token._set_open(queue.collecting - id)
    held: uint256 = 0
    for k: uint256 in range(id, queue.collecting, bound=exits.MOST_OPEN):
        held += exits._held(k, exits.ceilings[k], level) // exits.SCALE
    queue.held = held
    exits._store_queue(queue)
    return held


@internal
@view
def _end_of(generation: uint256, ended: uint256) -> (bool, uint256):
    """
    @dev Whether a batch is over, and the last checkpoint that its shares have a part in.
    """
    if ended != 0:
        return True, ended - 1
    state: token.State = token._load()
    if generation == state.generation:
        return False, state.mark
    return True, self.last_checkpoints[generation]


# ----------------------------------------------------------------- requests


@internal
@view
def _claimable(batch: uint256, controller: address) -> Part:
    """
    @dev What may be claimed of a request. Of a batch that holds something yet as many of its shares as were
         paid at its price: what it was paid over all it has; never all of them.
    """
    part: Part = empty(Part)
    part.request = exits._load_request(batch, controller)
    shares: uint256 = part.request.shares
    if shares == 0:
        return part
    payment: exits.Payment = exits._load_payment(batch)
    record: exits.Batch = exits._load_batch(batch)
    part.generation = record.generation
    part.over, part.last = self._end_of(record.generation, payment.ended)
    part.all_shares = shares
    if not part.over:
        part.all_shares = units._mul_div(shares, payment.paid, payment.paid + exits._holds(batch) + 1)
    claimed: uint256 = exits.claimed[batch][controller]
    part.shares = part.all_shares - (claimed >> 96)
    if part.shares != 0:
        part.assets = units._mul_div(payment.paid, shares, record.units) - (claimed & MASK_96)
    return part


@internal
@view
def _all_claimable(controller: address) -> (uint256, uint256):
    """
    @dev Shares and assets that may be claimed at once.
    """
    all_shares: uint256 = 0
    all_assets: uint256 = 0
    batch: uint256 = exits._first(controller)
    for _: uint256 in range(exits.MOST_AT_ONCE):
        if batch == 0:
            break
        part: Part = self._claimable(batch, controller)
        all_shares += part.shares
        all_assets += part.assets
        batch = part.request.next
    return all_shares, all_assets


@internal
def _claim(shares: uint256, assets: uint256, controller: address) -> (uint256, uint256):
    """
    @dev Take so many shares, or so many assets, out of a controller's requests, the oldest first, and hand
         over the claims of those it comes by: of all of them, if no shares are wanted. Shares and assets that
         were taken: of a part of a request assets are rounded down, or shares up.
    """
    shares_left: uint256 = shares
    assets_left: uint256 = assets
    batch: uint256 = exits._first(controller)
    for _: uint256 in range(exits.MOST_AT_ONCE):
        if batch == 0 or assets_left == 0 or (shares_left == 0 and shares != 0):
            break
        part: Part = self._claimable(batch, controller)
        taken: uint256 = min(part.shares, shares_left)
        paid: uint256 = part.assets
        if taken != part.shares:
            paid = units._mul_div(paid, taken, part.shares)
        if paid > assets_left:
            paid = assets_left
            taken = units._div_up(paid * part.shares, part.assets)
        shares_left -= taken
        assets_left -= paid
        if part.over and taken == part.shares:
            # Batches are over in their order, and those before this one were taken whole: it is the first.
            exits._drop_first(batch, controller, part.request.next)
        else:
            exits._set_mark(batch, controller, part.request, part.last)
            exits._count_claimed(batch, controller, paid, taken)
        self._issue(part.generation, controller, part.request.shares, part.request.mark, part.last)
        batch = part.request.next
    assert shares_left == 0 or assets_left == 0, "pool: more than max"
    return shares - shares_left, assets - assets_left


# ------------------------------------------------------------------- prices


@internal
@view
def _live(open: uint256, held: uint256) -> uint256:
    return funds._vested() - (held if open != 0 else 0)


@internal
@view
def _vested(open: uint256) -> uint256:
    """
    @dev A: assets that shares are worth, wad. What batches hold is looked up where there are any.
    """
    vested: uint256 = funds._vested()
    if open != 0:
        vested -= exits._load_queue().held
    return vested


@internal
@view
def _left(vested: uint256) -> uint256:
    """
    @dev What known losses will leave of assets, wad, rounded down.
    """
    losses: uint256 = staticcall LOSS_WATERFALL.losses_beyond(self)
    if losses == 0:
        return vested
    return vested - min(vested, units._div_up(losses, units.RAY))


@internal
@view
def _entry_terms() -> (uint256, uint256):
    """
    @dev Shares and assets, the virtual ones included, that an entry is priced by.
    """
    state: token.State = token._load()
    return state.supply + VIRTUAL_SHARES, self._vested(state.open) + VIRTUAL_ASSETS


@internal
@pure
def _void(supply: uint256, assets: uint256) -> bool:
    """
    @dev Whether losses have left shares (nearly) worthless, the virtual ones counted: batches are then as
         well.
    """
    return supply + VIRTUAL_SHARES > (assets + VIRTUAL_ASSETS) * MOST_SHARES


@internal
@view
def _to_shares(assets: uint256) -> uint256:
    """
    @dev Entry price, rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._entry_terms()
    return units._mul_div(assets, supply, held)


@internal
@view
def _to_claim(supply: uint256, shares: uint256) -> uint256:
    """
    @dev Exit price, rounded down.
    """
    return units._mul_div(shares, self._left(funds._vested()) + VIRTUAL_ASSETS, supply + VIRTUAL_SHARES)


@internal
@view
def _to_burn(assets: uint256) -> uint256:
    """
    @dev Shares for assets at the exit price, rounded up.
    """
    left: uint256 = self._left(funds._vested())
    return units._div_up(assets * (token._load().supply + VIRTUAL_SHARES), left + VIRTUAL_ASSETS)


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
    self._issue(generation, owner, balance.shares, balance.mark, last)


@internal
def _issue(generation: uint256, owner: address, owned: uint256, mark: uint256, last: uint256):
    """
    @dev Hand an owner the claims of so many shares, from a checkpoint to a later one.
    """
    if owned == 0 or mark == last:
        return
    tokens: uint256 = 0
    paid: int256 = 0
    end: Checkpoint = self._load_checkpoint(generation, last)
    tokens, paid = self._carry(generation, mark, end.series, True)
    # What an owner had was a part of what each loss was shared by: the product is under 2**235.
    tokens = units._mul_div(owned, end.tokens - tokens, units.RAY)
    paid = self.paid_before[generation][last] - paid
    if paid > 0:
        paid = convert(units._ray_mul(owned, convert(paid, uint256), True), int256)
    else:
        paid = -convert(units._ray_mul(owned, convert(-paid, uint256), False), int256)
    extcall CLAIMS.issue(owner, end.series, tokens, paid)


@internal
def _add_checkpoint(generation: uint256, shares: uint256, assets: uint256) -> uint256:
    """
    @dev Give the claims for what so many shares, the virtual ones included, bear of a loss; the last
         checkpoint. One share gets at most assets * 2**40 * RAY / VIRTUAL_SHARES < 2**207 in a loss, which
         leaves room for 2**17 such losses in one generation of claims.
    """
    mark: uint256 = token._load().mark
    members: uint256 = shares - VIRTUAL_SHARES
    if CLAIMS.address == empty(address) or members == 0:
        return mark
    series: uint256 = 0
    tokens: uint256 = 0
    paid: uint256 = 0
    series, tokens, paid = extcall CLAIMS.record(units._mul_div(assets, members, shares))
    added: uint256 = units._mul_div(tokens, units.RAY, members)
    if added == 0:
        return mark
    before: uint256 = 0
    paid_before: int256 = 0
    before, paid_before = self._carry(generation, mark, series, False)
    mark += 1
    self.checkpoints[generation][mark] = (before + added) | (series << 224)
    self.paid_before[generation][mark] = paid_before + convert(units._ray_mul(added, paid, True), int256)
    token._set_mark(mark)
    return mark


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
    due: uint256 = units._ray_mul(checkpoint.tokens, staticcall CLAIMS.paid_per_token(checkpoint.series), up)
    return 0, paid - convert(due, int256)


@internal
@view
def _load_checkpoint(generation: uint256, mark: uint256) -> Checkpoint:
    word: uint256 = self.checkpoints[generation][mark]
    return Checkpoint(tokens=word & MASK_224, series=word >> 224)


@internal
def _new_generation() -> uint256:
    """
    @dev All shares, requests and batches are void. What is left, income that has not vested with it, is
         returned: nobody alive has earned it, so it is not the next depositor's.
    """
    state: token.State = token._load()
    self.last_checkpoints[state.generation] = state.mark
    token._new_generation()
    queue: exits.Queue = exits._load_queue()
    if exits._load_batch(queue.collecting).units != 0:
        queue.collecting += 1
    queue.unsettled = queue.collecting
    queue.held = 0
    exits._store_queue(queue)
    rest: uint256 = funds._clear()
    log NewGeneration(generation=state.generation + 1, voided=state.supply, given_up=rest)
    return rest

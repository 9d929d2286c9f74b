# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title EquityPool
@license GNU Affero General Public License v3.0 only
@notice Staked equity: an ERC-4626 vault, with a cooldown an ERC-7540 one, of the protocol's equity. An
        auction slashes it to sell equity for losses, and brings back what it did not sell. Members earn
        income, which vests over time. Leaving takes time: a request commits shares to the batch of the day,
        and a batch is paid after a cooldown, in full, once no loss is known and nothing is under auction;
        until then its shares stay members'.
@dev With A the vested assets, and S the shares, those of batches with them:
     entry   shares = floor(a * (S + 1e6) / (A + 1))
     exit    assets = floor(s * (A - UL + 1) / (S + 1e6)), without a cooldown; UL is the part of A that known
             losses will take
     While slashed equity is under auction, A at the entry counts it: it may come back to those who were
     slashed. Those that were left with nothing are void when somebody enters after the auction: a new
     generation of shares starts at the first price, and what is left stays here as a donation does. With A
     under 2**96, shares stay under 2**147. What the pool has open (see shares) are batches that are cut.
"""
from ethereum.ercs import IERC165
from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

from contracts.interfaces import IEquityAuction
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IEquityPool
from contracts.modules import bounds
from contracts.modules import exits
from contracts.modules import shares as token
from contracts.modules import units
from contracts.modules import vesting_assets as funds

implements: IERC165
implements: IERC20
implements: IERC4626
implements: IEquityPool

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
    assets: uint256  # [wad] 0: they stay members'


event BatchPaid:
    batch: indexed(uint256)  # [id]
    assets: uint256  # [wad] to be claimed by its members
    held: uint256  # [wad] 0: all is paid


event Slashed:
    receiver: indexed(address)
    assets: uint256  # [wad]


event Restored:
    assets: uint256  # [wad]


event NewGeneration:
    generation: indexed(uint256)  # [generation]
    voided: uint256  # [shares] the supply of the last one: every balance is 0 from here on
    given_up: uint256  # [wad] left by the members of the last one


struct BatchState:
    shares: uint256  # [shares]
    since: uint256  # [timestamp] of the first request, then of the cut
    paid: uint256  # [wad] to all its members so far
    held: uint256  # [wad] 0: its shares are members' until it is paid
    over: bool  # whether it was paid, or its shares are void


struct Part:
    request: exits.Request
    over: bool  # whether the batch is
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
# Shares of which one in 1e15 is worth less than a wei are void.
MOST_SHARES: constant(uint256) = 10**15

MASK_96: constant(uint256) = 2**96 - 1

LOSS_WATERFALL: public(immutable(ILossWaterfall))
# The auction that slashes this pool: the stage of the waterfall in whose place losses come here.
STAGE: public(immutable(address))
# Seconds from the cut of a batch to its first payment, but for bounds.LOOK. 0: leaving needs no request, as
# in pools that take no care.
COOLDOWN: public(immutable(uint256))


@deploy
def __init__(
    token_name: String[25],
    token_symbol: String[5],
    asset_: address,
    loss_waterfall: address,
    stage: address,
    cooldown: uint256,
    vesting: uint256,
):
    """
    @param token_name The shares' name, also of their EIP-712 domain.
    @param token_symbol The shares' symbol.
    @param asset_ The token held: equity.
    @param loss_waterfall Where losses come from.
    @param stage The auction that slashes it.
    @param cooldown [seconds] From the cut of a batch to its first payment; 0: leaving needs no request. It
                    is shorter than the delay of new caps.
    @param vesting [seconds] Over which income vests.
    """
    token.__init__(token_name, token_symbol)
    exits.__init__()
    funds.__init__(asset_, vesting)
    assert cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds"
    assert cooldown < staticcall ILossWaterfall(loss_waterfall).CAP_DELAY(), "pool: cooldown too long"
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    STAGE = stage
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
    exits._add_request(id, controller, before.shares + shares, 0)
    log RedeemRequest(controller=controller, owner=owner, requestId=id, sender=msg.sender, shares=shares)
    return id


@external
@nonreentrant
def cut() -> uint256:
    """
    @notice End the collecting of a batch, a day after its first request or a cooldown if that is shorter.
            Anyone. Its shares stay members' until they are paid. Protects: who leaves waits a cooldown for
            losses that are not known yet.
    @return [id] The batch.
    """
    state: token.State = token._load()
    queue: exits.Queue = exits._load_queue()
    id: uint256 = queue.collecting
    batch: exits.Batch = exits._load_batch(id)
    assert batch.units != 0, "pool: no requests"
    assert block.timestamp >= batch.since + min(COOLDOWN, exits.DAY), "pool: batch collects"
    assert state.open < exits.MOST_OPEN, "pool: too many batches"
    token._set_open(state.open + 1)
    batch.since = block.timestamp
    exits._store_batch(id, batch)
    queue.collecting = id + 1
    exits._store_queue(queue)
    log BatchCut(batch=id, shares=batch.units, assets=0)
    return id


@external
@nonreentrant
def settle():
    """
    @notice Pay the batches whose cooldown is over, in full. Anyone, while no loss is known, nothing is under
            auction, and what a price has just shown may have been flagged. Protects: whoever has left bears
            of every loss known now what those bear who stay, and nobody chooses the moment.
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
    losses: uint256 = staticcall LOSS_WATERFALL.losses_at_payment(STAGE)
    assert (losses == 0 and staticcall IEquityAuction(STAGE).under_auction() == 0), "pool: losses are open"
    self._pay_members(state, queue, first)


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
    sent: uint256 = min(assets, funds._vested())
    funds.assets -= sent
    log Slashed(receiver=receiver, assets=sent)
    funds._push(receiver, sent)
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
    funds.assets += assets
    log Restored(assets=assets)
    funds._pull(assets)


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
def slashable() -> uint256:
    """
    @notice What can be slashed: all vested assets.
    @return [wad] Rounded down.
    """
    return funds._vested()


@external
@view
def totalAssets() -> uint256:
    """
    @notice Vested assets of the shares, before losses not covered yet; those that batches hold are not
            theirs.
    @return [wad] Rounded down.
    """
    return funds._vested()


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
    @return What it has and what it was paid.
    """
    record: exits.Batch = exits._load_batch(batch)
    payment: exits.Payment = exits._load_payment(batch)
    over: bool = payment.ended != 0 or record.generation != token._load().generation
    return BatchState(shares=record.units, since=record.since, paid=payment.paid, held=0, over=over)


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
def _enter(supply: uint256, assets: uint256, shares: uint256, receiver: address):
    """
    @dev Books the assets and creates the shares, then pulls the assets. The supply is that of the entry
         terms: without any share it is that of a new generation.
    """
    assert shares != 0, "pool: no shares"
    token._check_receiver(receiver)
    state: token.State = token._load()
    if supply == VIRTUAL_SHARES and state.supply != 0:
        self._new_generation()
        state = token._load()
    funds._add(assets)
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
        token._burn(state.generation, owner, shares)
        funds.assets -= assets
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    funds._push(receiver, assets)


@internal
def _move(owner: address, to: address, amount: uint256):
    token._check_receiver(to)
    token._transfer(token._load().generation, owner, to, amount)


@internal
@view
def _only_stage():
    assert msg.sender == STAGE, "pool: not its stage"


@internal
@view
def _only_plain():
    assert COOLDOWN == 0, "pool: request first"


# ------------------------------------------------------------------ batches


@internal
def _pay_members(state: token.State, before: exits.Queue, first: uint256):
    """
    @dev Pay batches whose shares are members' at the price of now, in full.
    """
    queue: exits.Queue = before
    vested: uint256 = funds._vested()
    supply: uint256 = state.supply
    total: uint256 = 0
    for id: uint256 in range(first, queue.unsettled, bound=exits.MOST_OPEN):
        shares: uint256 = exits._load_batch(id).units
        paid: uint256 = units._mul_div(shares, vested - total + VIRTUAL_ASSETS, supply + VIRTUAL_SHARES)
        supply -= shares
        total += paid
        exits._pay(id, paid)
        exits._end(id, 0)
        log BatchPaid(batch=id, assets=paid, held=0)
    token._burn(state.generation, self, state.supply - supply)
    token._set_open(queue.collecting - queue.unsettled)
    funds.assets -= total
    queue.owed += total
    exits._store_queue(queue)


# ----------------------------------------------------------------- requests


@internal
@view
def _claimable(batch: uint256, controller: address) -> Part:
    """
    @dev What may be claimed of a request: all or, before its batch is paid, nothing.
    """
    part: Part = empty(Part)
    part.request = exits._load_request(batch, controller)
    shares: uint256 = part.request.shares
    if shares == 0:
        return part
    payment: exits.Payment = exits._load_payment(batch)
    record: exits.Batch = exits._load_batch(batch)
    part.over = payment.ended != 0 or record.generation != token._load().generation
    if not part.over:
        return part
    part.all_shares = shares
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
    @dev Take so many shares, or so many assets, out of a controller's requests, the oldest first. Shares and
         assets that were taken: of a part of a request assets are rounded down, or shares up.
    """
    shares_left: uint256 = shares
    assets_left: uint256 = assets
    batch: uint256 = exits._first(controller)
    for _: uint256 in range(exits.MOST_AT_ONCE):
        if batch == 0 or assets_left == 0 or shares_left == 0:
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
            exits._count_claimed(batch, controller, paid, taken)
        batch = part.request.next
    assert shares_left == 0 or assets_left == 0, "pool: more than max"
    return shares - shares_left, assets - assets_left


# ------------------------------------------------------------------- prices


@internal
@view
def _left(vested: uint256) -> uint256:
    """
    @dev What known losses will leave of assets, wad, rounded down.
    """
    losses: uint256 = staticcall LOSS_WATERFALL.losses_beyond(STAGE)
    if losses == 0:
        return vested
    return vested - min(vested, staticcall IEquityAuction(STAGE).pending_assets(losses))


@internal
@view
def _entry_terms() -> (uint256, uint256):
    """
    @dev Shares and assets, the virtual ones included, that an entry is priced by. Under auction there can
         only be something while losses are pending.
    """
    state: token.State = token._load()
    supply: uint256 = state.supply
    held: uint256 = funds._vested()
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


@internal
def _new_generation():
    """
    @dev All shares, requests and batches are void. What is left, income that has not vested with it, stays
         here for good, as a donation does: nobody alive has earned it, so it is not the next depositor's.
    """
    state: token.State = token._load()
    token._new_generation()
    queue: exits.Queue = exits._load_queue()
    if exits._load_batch(queue.collecting).units != 0:
        queue.collecting += 1
    queue.unsettled = queue.collecting
    queue.held = 0
    exits._store_queue(queue)
    rest: uint256 = funds._clear()
    log NewGeneration(generation=state.generation + 1, voided=state.supply, given_up=rest)

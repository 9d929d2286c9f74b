# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title EquityPool
@license GNU Affero General Public License v3.0 only
@notice Staked equity: an ERC-4626 vault, with a cooldown an ERC-7540 one, of the protocol's equity. An
        auction slashes it to sell equity for losses, and returns the unsold part. Members earn income, which
        vests over time. Leaving takes time: a request commits shares to the batch of the day. After a
        cooldown the shares of a batch are due, and all that are due are paid in full, at one price, once no
        loss is known and nothing is under auction; until then they stay members'.
@dev With A the vested assets and the equity under auction, and S the shares, those of batches with them:
     entry   shares = floor(a * (S + 1e6) / (A + 1))
     exit    assets = floor(s * (A' - UL + 1) / (S + 1e6)), without a cooldown; A' are the vested assets, UL
             the part of them that known losses will take
     Equity under auction counts at every entry: unsold equity returns to the slashed members, however late.
     An entry that would meet a price driven to zero divides all shares first (see denominations). Where less
     than LEAST_ASSETS are left in all, the next deposit voids shares, and the remaining assets stay here as a
     donation does. Due batches leave their places for a round, so that any number of them holds up no other
     batch.
"""
from ethereum.ercs import IERC165
from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

from contracts.interfaces import IEquityAuction
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IEquityPool
from contracts.modules import denominations
from contracts.modules import redeem_queue as line
from contracts.modules import revert_reason
from contracts.modules import shares as token
from contracts.modules import units
from contracts.modules import vesting_assets as funds

implements: IERC165
implements: IERC20
implements: IERC4626
implements: IEquityPool

initializes: line
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
    line.COOLDOWN,
    line.setOperator,
    line.isOperator,
    funds.asset,
    funds.VESTING,
    funds.add_income,
    funds.unvested,
    funds.maxDeposit,
)


event RoundPaid:
    round: indexed(uint256)  # [id]
    until: indexed(uint256)  # [id] the first batch after those that are paid in it
    shares: uint256  # [shares]
    assets: uint256  # [wad] to be claimed by its members


event Slashed:
    receiver: indexed(address)
    assets: uint256  # [wad]


event Restored:
    assets: uint256  # [wad]


event NewGeneration:
    generation: indexed(uint256)  # [generation]
    voided: uint256  # [shares] the supply of the last one: every balance is 0 from here on
    given_up: uint256  # [wad] left by the members of the last one


event SharesDivided:
    generation: indexed(uint256)  # [generation]
    steps: uint256  # [count] a share is now worth STEP to the power of that of the last generation


struct Round:
    paid: uint256  # wad, to all its shares, 96 bits
    shares: uint256  # 152 bits


struct BatchState:
    shares: uint256  # [shares]
    since: uint256  # [timestamp] of the first request, then of the cut
    paid: uint256  # [wad] to all its members so far
    held: uint256  # [wad] 0: its shares are members' until it is paid
    over: bool  # whether it was paid, or its shares are void


struct ClaimableShare:
    request: line.Request
    over: bool  # whether it was paid
    all_shares: uint256  # all of the request's, if so
    shares: uint256  # those of them that are not claimed yet
    assets: uint256  # wad, for these


# Interfaces, by what ERC-165 calls them.
ERC165: constant(uint256) = 33_540_519  # 0x01ffc9a7
ERC7575: constant(uint256) = 789_190_853  # 0x2f0a18c5
ERC7540_REDEEM: constant(uint256) = 1_645_144_292  # 0x620ee8e4
ERC7540_OPERATORS: constant(uint256) = 3_820_768_869  # 0xe3bc4e65

VIRTUAL_SHARES: constant(uint256) = denominations.VIRTUAL_SHARES
VIRTUAL_ASSETS: constant(uint256) = denominations.VIRTUAL_ASSETS
# Where less is left, wad, shares are void when somebody enters.
LEAST_ASSETS: constant(uint256) = 10**6

MASK_96: constant(uint256) = 2**96 - 1
MASK_152: constant(uint256) = 2**152 - 1

LOSS_WATERFALL: public(immutable(ILossWaterfall))
# The auction that slashes this pool: the stage of the waterfall in whose place losses come here.
STAGE: public(immutable(address))

# The round that takes batches whose cooldown is over: those before it were paid
round: uint256
# Shares that are due in it (152 bits) | their generation
due: uint256
# round -> Round
rounds: HashMap[uint256, uint256]
# round -> the generation in which its shares are counted
generations: HashMap[uint256, uint256]


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
    @param cooldown [seconds] From the cut of a batch to its payment; 0: leaving needs no request. With the
                    time in which a batch collects it is shorter than the delay of new caps.
    @param vesting [seconds] Over which income vests.
    """
    token.__init__(token_name, token_symbol)
    funds.__init__(asset_, vesting)
    line.__init__(cooldown, staticcall ILossWaterfall(loss_waterfall).CAP_DELAY())
    # Batches that wait for their time are in round 0.
    self.round = 1
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    STAGE = stage


# -------------------------------------------------------------------- entry


@external
@nonreentrant
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Put assets in. Anyone, for anyone. A depositor bears a part of each recognised loss that is not
            covered yet. Protects: the price is rounded against the depositor.
    @param assets [wad] Pulled from the caller.
    @param receiver Receiver of the shares.
    @return [shares] Created, rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._begin_entry()
    minted: uint256 = units._mul_div(assets, supply, held)
    self._enter_pool(assets, minted, receiver)
    return minted


@external
@nonreentrant
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Put assets in for a number of shares. Anyone, for anyone. Protects: the price is rounded against
            the depositor.
    @param shares [shares] To be created.
    @param receiver Receiver of the shares.
    @return [wad] Assets pulled from the caller, rounded up.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._begin_entry()
    assets: uint256 = units._div_up(shares * held, supply)
    self._enter_pool(assets, shares, receiver)
    return assets


# --------------------------------------------------------------------- exit


@external
def requestRedeem(shares: uint256, controller: address, owner: address) -> uint256:
    """
    @notice Commit shares to the batch that collects now (ERC-7540). The owner, an operator of the owner's, or
            a spender of the owner's shares; there is no way back. They move into escrow here, and go on as a
            member's until the batch is cut. Protects: a member with a request has no choice left, neither
            whether nor when.
    @param shares [shares] Moved into escrow.
    @param controller Controller of the request: receives its payment, and the claims for its losses.
    @param owner Owner of the shares.
    @return [id] The batch.
    """
    assert line.COOLDOWN != 0, "pool: no request needed"
    assert shares != 0, "pool: empty request"
    token._check_receiver(controller)
    if not line._acts_for(msg.sender, owner):
        token.permits._spend_allowance(owner, msg.sender, shares)
    state: token.State = token._load()
    token._renew_record(owner, state.generation, 0)
    token._renew_record(self, state.generation, 0)
    token._transfer_shares(owner, self, shares)
    id: uint256 = 0
    before: line.Request = empty(line.Request)
    id, before = line._add_request_and_get_previous(
        msg.sender, shares, controller, owner, 0, state.generation
    )
    return id


@external
def cut() -> uint256:
    """
    @notice End the collecting of a batch, a day after its first request or a cooldown if that is shorter, but
            an eighth of the cooldown at least. Anyone. Its shares stay members' until they are paid.
            Protects: a member that leaves waits a cooldown for losses that are not known yet.
    @return [id] The batch.
    """
    queue: line.Queue = self._mark_mature_batches_due()
    id: uint256 = queue.collecting
    shares: uint256 = line._end_batch_collection(queue, token._load().generation).units
    queue.collecting = id + 1
    line._store_queue(queue)
    log line.BatchCut(batch=id, shares=shares, assets=0)
    return id


@external
@nonreentrant
def settle():
    """
    @notice Pay all due shares in full: those of batches past their cooldown. Anyone, while no loss is known,
            nothing is under auction, and there was time to flag vaults after the latest price drop. Protects:
            members that leave bear the same part of every loss known now as those that stay, and no account
            chooses the moment.
    """
    queue: line.Queue = self._mark_mature_batches_due()
    state: token.State = token._load()
    round: uint256 = self.round
    shares: uint256 = self._count_due_shares(state.generation)
    assert shares != 0, "pool: nothing to settle"
    assert (
        staticcall LOSS_WATERFALL.losses_at_payment(STAGE) == 0
        and staticcall IEquityAuction(STAGE).under_auction() == 0
    ), "pool: losses are open"
    paid: uint256 = units._mul_div(
        shares, funds._get_vested_assets() + VIRTUAL_ASSETS, state.supply + VIRTUAL_SHARES
    )
    self.rounds[round] = paid | (shares << 96)
    if state.generation != 0:
        self.generations[round] = state.generation
    self.due = 0
    self.round = round + 1
    funds._book_out(paid)
    queue.owed += paid
    line._store_queue(queue)
    token._renew_record(self, state.generation, 0)
    token._burn_shares(self, shares)
    log RoundPaid(round=round, until=queue.unsettled, shares=shares, assets=paid)


@external
@nonreentrant
def withdraw(assets: uint256, receiver: address, controller: address) -> uint256:
    """
    @notice Take assets out: with a cooldown the assets paid to the controller's batches, the oldest first,
            else the assets of the owner's shares. The controller, or an operator; without a cooldown the
            owner, or a spender of the owner's shares. Protects: without a cooldown, leaving just before or
            just after a recognised loss is covered pays the same.
    @param assets [wad] To be sent.
    @param receiver Receiver of the assets.
    @param controller Controller of the requests; without a cooldown the owner of the burned shares.
    @return [shares] Claimed or burned, rounded up.
    """
    burned: uint256 = 0
    if line.COOLDOWN != 0:
        burned = self._take_claims(max_value(uint256), assets, controller)[0]
    else:
        burned = self._to_burn(assets)
    self._leave_pool(assets, burned, receiver, controller)
    return burned


@external
@nonreentrant
def redeem(shares: uint256, receiver: address, controller: address) -> uint256:
    """
    @notice Take assets out for a number of shares: with a cooldown the claimable shares of the controller's
            batches, the oldest first, else the owner's. The controller, or an operator; without a cooldown
            the owner, or a spender of the owner's shares. Protects: without a cooldown, leaving just before
            or just after a recognised loss is covered pays the same.
    @param shares [shares] To be claimed or burned.
    @param receiver Receiver of the assets.
    @param controller Controller of the requests; without a cooldown the owner of the burned shares.
    @return [wad] Assets sent, rounded down.
    """
    assets: uint256 = 0
    if line.COOLDOWN != 0:
        assets = self._take_claims(shares, max_value(uint256), controller)[1]
    else:
        assets = self._to_claim(token._load().supply, shares)
    self._leave_pool(assets, shares, receiver, controller)
    return assets


# ------------------------------------------------------------------- income


# -------------------------------------------------------------------- losses


@external
@nonreentrant
def slash(assets: uint256, receiver: address) -> uint256:
    """
    @notice Take vested assets to sell them for a loss. The auction only. The number of shares stays: unsold
            assets come back to them. Shares without assets are void at the first deposit after the auction.
    @param assets [wad] Wanted.
    @param receiver Receiver of the assets.
    @return [wad] Sent: at most the vested assets.
    """
    self._only_stage()
    sent: uint256 = min(assets, funds._get_vested_assets())
    funds._book_out(sent)
    log Slashed(receiver=receiver, assets=sent)
    funds._send_asset_tokens(receiver, sent)
    return sent


@external
@nonreentrant
def restore(assets: uint256):
    """
    @notice Return equity that was slashed and not sold. The auction only.
    @param assets [wad] Pulled from the caller.
    """
    self._only_stage()
    # All equity that there is fits.
    funds._book_in(assets)
    log Restored(assets=assets)
    funds._pull_assets(assets)


# ------------------------------------------------------------------- ERC-20


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the caller's shares; claims for losses before stay the caller's. Owner.
    @param to Receiver of the shares; neither this contract nor the zero address.
    @param amount [shares] Moved.
    @return Always true.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Move shares on an allowance; claims for losses before stay the owner's. Spender.
    @param owner Owner of the shares.
    @param to Receiver of the shares; neither this contract nor the zero address.
    @param amount [shares] Moved.
    @return Always true.
    """
    token.permits._spend_allowance(owner, msg.sender, amount)
    self._move(owner, to, amount)
    return True


# -------------------------------------------------------------------- views


@external
@view
def slashable() -> uint256:
    """
    @notice Return the assets that can be slashed: all vested ones.
    @return [wad] Rounded down.
    """
    return funds._get_vested_assets()


@external
@view
def totalAssets() -> uint256:
    """
    @notice Return the vested assets of the shares, before losses not covered yet and without the assets of
            batches.
    @return [wad] Rounded down.
    """
    return funds._get_vested_assets()


@external
@view
def pending_losses() -> uint256:
    """
    @notice Return UL: the part of all vested assets, with the assets of batches, that known losses will take.
    @return [wad] Rounded up.
    """
    vested: uint256 = funds._get_vested_assets()
    return vested - self._compute_assets_left(vested)


@external
@view
def pendingRedeemRequest(requestId: uint256, controller: address) -> uint256:
    """
    @notice Shares of a request that wait: for the cut, the cooldown, or the end of losses that may still take
            them.
    @param requestId [id] The batch.
    @param controller Controller of the request.
    @return [shares] Rounded up; claimable shares do not count.
    """
    part: ClaimableShare = self._compute_claimable(requestId, controller)
    return part.request.shares - part.all_shares


@external
@view
def claimableRedeemRequest(requestId: uint256, controller: address) -> uint256:
    """
    @notice Shares of a request that may be claimed by `redeem` or `withdraw`: of a batch that was paid in
            part, that part of its shares.
    @param requestId [id] The batch.
    @param controller Controller of the request.
    @return [shares] Rounded down; claimed shares do not count.
    """
    return self._compute_claimable(requestId, controller).shares


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
    return line.COOLDOWN != 0 and (id == ERC7540_REDEEM or id == ERC7540_OPERATORS)


@external
@view
def batch_of(batch: uint256) -> BatchState:
    """
    @notice The record of a batch.
    @param batch [id] The batch, from 1.
    @return The batch's holdings and payments.
    """
    record: line.Batch = line._load_batch(batch)
    paid: uint256 = 0
    over: bool = False
    paid, over = self._compute_paid(record, record.units, record.generation)
    return BatchState(shares=record.units, since=record.since, paid=paid, held=0, over=over)


@external
@view
def queue() -> (uint256, uint256, uint256):
    """
    @notice Return the list of batches: due or paid batches, then waiting ones, the last one collects.
    @return [id] The first that waits for its time.
    @return [id] The same: nothing of a batch is open after it was paid.
    @return [id] The one that collects.
    """
    queue: line.Queue = line._load_queue()
    return queue.unsettled, queue.unsettled, queue.collecting


@external
@view
def shares_due() -> uint256:
    """
    @notice Return the shares that were past their cooldown at the last update; `settle` pays them and all
            shares that became due since.
    @return [shares] Members own them until then.
    """
    return self._count_due_shares(token._load().generation)


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Return shares for assets at the current price. An entry may divide shares first: `previewDeposit`
            returns the number that it creates.
    @param assets [wad] To be converted.
    @return [shares] Rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._present_terms()
    return units._mul_div(assets, supply, held)


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
    supply, held = self._present_terms()
    return units._mul_div(shares, held, supply)


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice Shares for all that can still be booked.
    @param receiver Any; it makes no difference.
    @return [shares] The most that may be minted, rounded down.
    """
    return self._to_shares(funds._compute_room())


@external
@view
def maxWithdraw(controller: address) -> uint256:
    """
    @notice Return the assets that may be taken out: the assets paid to the controller's batches, without a
            cooldown the worth of the owner's shares at the exit price.
    @param controller Controller of the requests, or owner of the shares.
    @return [wad] Rounded down.
    """
    if line.COOLDOWN != 0:
        return self._all_claimable(controller)[1]
    return self._to_claim(token._load().supply, token._shares_of(controller))


@external
@view
def maxRedeem(controller: address) -> uint256:
    """
    @notice Return the shares that may be redeemed: the claimable shares of the controller's batches, without
            a cooldown all of the owner's.
    @param controller Controller of the requests, or owner of the shares.
    @return [shares] Rounded down.
    """
    if line.COOLDOWN != 0:
        return self._all_claimable(controller)[0]
    return token._shares_of(controller)


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
    steps: uint256 = 0
    supply, held, steps = self._entry_terms()
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
def _enter_pool(assets: uint256, shares: uint256, receiver: address):
    """
    @dev Books the assets and creates the shares, then pulls the assets.
    """
    assert shares != 0, "pool: no shares"
    token._check_receiver(receiver)
    funds._add(assets)
    token._renew_record(receiver, token._load().generation, 0)
    token._mint_shares(receiver, shares)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    funds._pull_assets(assets)


@internal
def _leave_pool(assets: uint256, shares: uint256, receiver: address, owner: address):
    """
    @dev Books out assets that were claimed, or burns shares for them; then sends them.
    """
    if line.COOLDOWN != 0:
        assert line._acts_for(msg.sender, owner), "pool: not controller"
        queue: line.Queue = line._load_queue()
        queue.owed -= assets
        line._store_queue(queue)
    else:
        assert assets != 0, "pool: no assets"
        if msg.sender != owner:
            token.permits._spend_allowance(owner, msg.sender, shares)
        token._renew_record(owner, token._load().generation, 0)
        token._burn_shares(owner, shares)
        funds._book_out(assets)
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    funds._send_asset_tokens(receiver, assets)


@internal
def _move(owner: address, to: address, amount: uint256):
    token._check_receiver(to)
    state: token.State = token._load()
    token._renew_record(owner, state.generation, 0)
    token._renew_record(to, state.generation, 0)
    token._transfer_shares(owner, to, amount)


@internal
@view
def _only_stage():
    assert msg.sender == STAGE, "pool: not its stage"


@internal
@view
def _only_plain():
    assert line.COOLDOWN == 0, "pool: request first"


# ------------------------------------------------------------------ batches


@internal
def _mark_mature_batches_due() -> line.Queue:
    """
    @dev Move the shares of batches past their cooldown to the due ones; the queue, not stored.
    """
    queue: line.Queue = line._load_queue()
    generation: uint256 = token._load().generation
    due: uint256 = self._count_due_shares(generation)
    for id: uint256 in range(queue.unsettled, queue.collecting, bound=line.MOST_UNSETTLED):
        batch: line.Batch = line._load_batch(id)
        if not line._is_ripe(batch):
            break
        due += denominations._convert(batch.units, batch.generation, generation)
        batch.link = self.round
        line._store_batch(id, batch)
        queue.unsettled = id + 1
    self.due = due | (generation << 152)
    return queue


@internal
@view
def _count_due_shares(generation: uint256) -> uint256:
    """
    @dev Shares that are due, in this generation, rounded down.
    """
    word: uint256 = self.due
    return denominations._convert(word & MASK_152, word >> 152, generation)


@internal
@view
def _compute_paid(batch: line.Batch, shares: uint256, generation: uint256) -> (uint256, bool):
    """
    @dev The payment for shares of a batch, of that generation, wad, rounded down; and whether they were paid.
    """
    round: uint256 = batch.link
    if round == 0 or round == self.round:
        return 0, False
    word: uint256 = self.rounds[round]
    owed: uint256 = denominations._convert(shares, generation, self.generations[round])
    return units._mul_div(word & MASK_96, owed, word >> 96), True


# ----------------------------------------------------------------- requests


@internal
@view
def _compute_claimable(batch: uint256, controller: address) -> ClaimableShare:
    """
    @dev The claimable part of a request: all or, before its batch is paid, nothing.
    """
    part: ClaimableShare = empty(ClaimableShare)
    part.request = line._load_request(batch, controller)
    paid: uint256 = 0
    paid, part.over = self._compute_paid(
        line._load_batch(batch), part.request.shares, part.request.generation
    )
    if part.over:
        claimed: uint256 = 0
        claimed_shares: uint256 = 0
        claimed, claimed_shares = line._claimed(batch, controller, part.request)
        part.all_shares = part.request.shares
        part.shares = part.all_shares - claimed_shares
        if part.shares != 0:
            part.assets = paid - claimed
    return part


@internal
@view
def _all_claimable(controller: address) -> (uint256, uint256):
    """
    @dev Shares and assets that may be claimed at once.
    """
    all_shares: uint256 = 0
    all_assets: uint256 = 0
    batch: uint256 = line._first(controller)
    for _: uint256 in range(line.MOST_AT_ONCE):
        if batch == 0:
            break
        part: ClaimableShare = self._compute_claimable(batch, controller)
        all_shares += part.shares
        all_assets += part.assets
        batch = part.request.next
    return all_shares, all_assets


@internal
def _take_claims(shares: uint256, assets: uint256, controller: address) -> (uint256, uint256):
    """
    @dev Take so many shares, or so many assets, out of a controller's requests, the oldest first. Shares and
         assets that were taken: of a part of a request assets are rounded down, or shares up.
    """
    shares_left: uint256 = shares
    assets_left: uint256 = assets
    batch: uint256 = line._first(controller)
    for _: uint256 in range(line.MOST_AT_ONCE):
        if batch == 0 or assets_left == 0 or shares_left == 0:
            break
        part: ClaimableShare = self._compute_claimable(batch, controller)
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
            line._drop_first(batch, controller, part.request)
        else:
            line._count_claimed(batch, controller, part.request, paid, taken)
        batch = part.request.next
    assert shares_left == 0 or assets_left == 0, "pool: more than max"
    return shares - shares_left, assets - assets_left


# ------------------------------------------------------------------- prices


@internal
@view
def _compute_assets_left(vested: uint256) -> uint256:
    """
    @dev The assets that known losses will leave, wad, rounded down.
    """
    losses: uint256 = staticcall LOSS_WATERFALL.losses_reaching(STAGE)
    if losses == 0:
        return vested
    return vested - min(vested, staticcall IEquityAuction(STAGE).pending_assets(losses))


@internal
@view
def _present_terms() -> (uint256, uint256):
    """
    @dev Shares and assets, the virtual ones included, as they are counted now.
    """
    held: uint256 = funds._get_vested_assets() + staticcall IEquityAuction(STAGE).under_auction()
    return token._load().supply + VIRTUAL_SHARES, held + VIRTUAL_ASSETS


@internal
@view
def _entry_terms() -> (uint256, uint256, uint256):
    """
    @dev Shares and assets, the virtual ones included, that an entry is priced by, and how many generations it
         goes on by first.
    """
    supply: uint256 = 0
    held: uint256 = 0
    supply, held = self._present_terms()
    steps: uint256 = denominations._steps(supply - VIRTUAL_SHARES, held - VIRTUAL_ASSETS)
    if supply != VIRTUAL_SHARES and held - VIRTUAL_ASSETS < LEAST_ASSETS:
        steps = denominations.VOID
        held = VIRTUAL_ASSETS
    if steps != 0:
        supply = denominations._convert(supply - VIRTUAL_SHARES, 0, steps) + VIRTUAL_SHARES
    return supply, held, steps


@internal
def _begin_entry() -> (uint256, uint256):
    """
    @dev Shares and assets of the entry terms, after shares were divided or voided. The remaining assets, with
         income that has not vested, then stay here for good, as a donation does. No present member has earned
         them.
    """
    supply: uint256 = 0
    held: uint256 = 0
    steps: uint256 = 0
    supply, held, steps = self._entry_terms()
    if steps != 0:
        state: token.State = token._load()
        begun: token.State = token._advance_share_generations(state, steps)
        if steps == denominations.VOID:
            log NewGeneration(
                generation=begun.generation,
                voided=state.supply,
                given_up=funds._clear_and_count_booked_assets(),
            )
        else:
            log SharesDivided(generation=begun.generation, steps=steps)
    return supply, held


@internal
@view
def _to_shares(assets: uint256) -> uint256:
    """
    @dev Entry price, rounded down.
    """
    supply: uint256 = 0
    held: uint256 = 0
    steps: uint256 = 0
    supply, held, steps = self._entry_terms()
    return units._mul_div(assets, supply, held)


@internal
@view
def _to_claim(supply: uint256, shares: uint256) -> uint256:
    """
    @dev Exit price, rounded down.
    """
    return units._mul_div(
        shares,
        self._compute_assets_left(funds._get_vested_assets()) + VIRTUAL_ASSETS,
        supply + VIRTUAL_SHARES,
    )


@internal
@view
def _to_burn(assets: uint256) -> uint256:
    """
    @dev Shares for assets at the exit price, rounded up.
    """
    left: uint256 = self._compute_assets_left(funds._get_vested_assets())
    return units._div_up(assets * (token._load().supply + VIRTUAL_SHARES), left + VIRTUAL_ASSETS)

# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title Pool
@license GNU Affero General Public License v3.0 only
@notice A pool of stablecoin: an ERC-4626 vault, with a cooldown an ERC-7540 one. Its members bear losses and
        earn income. It is a stage of the waterfall, and may have a series of recovery claims, which its
        members get for losses. Leaving takes time: a request commits shares to the batch of the day. A batch
        is cut at one price, and gives the income that has not vested on its shares to the reserve. After a
        cooldown it is paid out, but for the amount that the losses known then could take of it; that is paid
        as they turn out smaller. Until then a batch bears the same losses as members' shares. Equity is
        staked in EquityPool.
@dev With A the vested assets less the assets of batches (see exits), and S the shares:
     entry   shares = floor(a * (S + 1e6) / (A + 1))
     cut     assets = floor(units * floor-price of a share), the virtual share and asset counted as at the
             entry
     exit    assets = floor(s * (A - UL + 1) / (S + 1e6)), without a cooldown; UL is the part of A that known
             losses will take
     Assets are booked, so donations change nothing. State is written before every outside call: a price read
     in the middle of one is the price after it.
     An entry that would meet a price driven towards zero divides all shares first (see denominations). A loss
     voids shares only where it leaves less than LEAST_ASSETS in all: the remainder goes to the reserve.
     An owner is due claims for the shares owned, and for those in batches, when a loss was borne. Each loss
     is a checkpoint of one share's total up to then, and a group that ends inside one makes one more; owners
     are settled up to the last one before their shares change. An owner's mark (see shares) is the checkpoint
     of the last time, the pool's mark the last checkpoint. Where there was no loss, this costs nothing. The
     pool's open items (see shares) are the groups of exits.
"""
from ethereum.ercs import IERC165
from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IPool
from contracts.interfaces import IRecoveryClaims
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import denominations
from contracts.modules import exit_batches
from contracts.modules import redeem_queue as line
from contracts.modules import revert_reason
from contracts.modules import shares as token
from contracts.modules import roles
from contracts.modules import units
from contracts.modules import vesting_assets as funds

implements: IERC165
implements: IERC20
implements: IERC4626
implements: IPool
implements: IStage

initializes: line
initializes: exit_batches[line := line]
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


event SharesDivided:
    generation: indexed(uint256)  # [generation]
    steps: uint256  # [count] a share is now worth STEP to the power of that of the last generation


struct BatchState:
    shares: uint256  # [shares]
    since: uint256  # [timestamp] of the first request, then of the cut
    paid: uint256  # [wad] to all its members so far
    held: uint256  # [wad] that losses may still take
    over: bool  # whether all was paid or lost


struct ClaimableShare:
    request: line.Request
    cut: uint256  # the generation of its batch's cut; the present one, if that collects
    committed: uint256  # the shares, as they were counted then
    generation: uint256  # of the last checkpoint that they have a part in
    last: uint256  # that checkpoint
    over: bool  # whether all was paid or lost
    all_shares: uint256  # as many of the shares as the batch was paid for
    shares: uint256  # those of them that are not claimed yet
    assets: uint256  # wad, for these


# Interfaces, by what ERC-165 calls them.
ERC165: constant(uint256) = 33_540_519  # 0x01ffc9a7
ERC7575: constant(uint256) = 789_190_853  # 0x2f0a18c5
ERC7540_REDEEM: constant(uint256) = 1_645_144_292  # 0x620ee8e4
ERC7540_OPERATORS: constant(uint256) = 3_820_768_869  # 0xe3bc4e65

VIRTUAL_SHARES: constant(uint256) = denominations.VIRTUAL_SHARES
VIRTUAL_ASSETS: constant(uint256) = denominations.VIRTUAL_ASSETS
# A loss that leaves less, wad, voids all shares.
LEAST_ASSETS: constant(uint256) = 10**6

VAULT_ENGINE: public(immutable(IVaultEngine))
LOSS_WATERFALL: public(immutable(ILossWaterfall))
# The stage that takes unvested income; zero if there is none.
CLAWBACK: public(immutable(address))
# The claims that members get for losses; zero if there are none.
CLAIMS: public(immutable(IRecoveryClaims))


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
    @param cooldown [seconds] From the cut of a batch to its first payment; 0: leaving needs no request. With
                    the time in which a batch collects it is shorter than the delay of new caps.
    @param vesting [seconds] Over which income vests.
    """
    token.__init__(token_name, token_symbol)
    funds.__init__(asset_, vesting)
    line.__init__(cooldown, staticcall ILossWaterfall(loss_waterfall).CAP_DELAY())
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    CLAWBACK = clawback
    CLAIMS = IRecoveryClaims(claims)


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
            a spender of the owner's shares, for the owner's account, their own, or that of a controller with
            the caller as operator; there is no way back. They move into escrow here, and go on as a member's
            until the batch is cut. Protects: a member with a request has no choice left, neither whether nor
            when.
    @param shares [shares] Moved into escrow.
    @param controller Controller of the request: receives its payment, and the claims for its losses.
    @param owner Owner of the shares.
    @return [id] The batch.
    """
    if line.COOLDOWN == 0:
        revert_reason._raise("pool: no request needed")
    if shares == 0:
        revert_reason._raise("pool: empty request")
    token._check_receiver(controller)
    if not line._acts_for(msg.sender, owner):
        token.permits._spend_allowance(owner, msg.sender, shares)
    state: token.State = token._load()
    self._settle_owner(owner, state)
    if state.generation != 0:
        token._renew_record(self, state.generation, state.mark)
    token._transfer_shares(owner, self, shares)
    id: uint256 = 0
    before: line.Request = empty(line.Request)
    id, before = line._add_request_and_get_previous(
        msg.sender, shares, controller, owner, state.mark, state.generation
    )
    self._issue_claims(
        controller, before.shares, before.generation, before.mark, state.generation, state.mark
    )
    return id


@external
@nonreentrant
def cut() -> uint256:
    """
    @notice End the collecting of a batch, a day after its first request or a cooldown if that is shorter.
            Anyone. Its shares leave the live ones at one price, earn nothing from now on and bear losses as
            before. Protects: a leaving member does not earn while the others wait for an uncertain outcome.
    @return [id] The batch.
    """
    state: token.State = token._load()
    queue: line.Queue = line._load_queue()
    id: uint256 = queue.collecting
    batch: line.Batch = line._end_batch_collection(queue, state.generation)
    shares: uint256 = state.supply + VIRTUAL_SHARES
    back: uint256 = self._part_of_unvested(batch.units, state.supply)
    # One wei for what floor has cut off of what a group holds, and one for what each run was paid: they may
    # yet be the pool's to give.
    spare: uint256 = self._load_state_before_settlement(state.open, queue.held) + VIRTUAL_ASSETS
    spare -= min(spare, 2 * state.open - (id - queue.unsettled))
    price: uint256 = units._mul_div(spare, exit_batches.SCALE, shares)
    if state.open == 0:
        exit_batches._set_index(0)
    else:
        groups: DynArray[exit_batches.ExitGroup, exit_batches.MOST_GROUPS] = exit_batches._list_groups(
            state.open, queue, state.generation
        )
        price = max(price, groups[len(groups) - 1].ceiling - exit_batches.index)
    exit_batches._set_ceiling(id, exit_batches.index + price)
    held: uint256 = units._mul_div(batch.units, price, exit_batches.SCALE)
    queue.held += held
    queue.collecting = id + 1
    line._store_queue(queue)
    if state.generation != 0:
        token._renew_record(self, state.generation, state.mark)
    token._burn_shares(self, batch.units)
    token._set_open_group_count(state.open + 1)
    log line.BatchCut(batch=id, shares=batch.units, assets=held)
    self._give_unearned_income_to_reserve(back)
    return id


@external
@nonreentrant
def settle():
    """
    @notice Pay the batches past their cooldown the amount that no known loss can take of them, but for half
            as much again. Anyone, at once when it is over, and again whenever less is known to be lost;
            claims are open from then on. Nothing is paid while a price drop is so recent that its vaults may
            not be flagged yet. Protects: members that leave bear the same part of every loss known now as
            those that stay, and no account chooses the moment.
    """
    state: token.State = token._load()
    queue: line.Queue = line._load_queue()
    groups: DynArray[exit_batches.ExitGroup, exit_batches.MOST_GROUPS] = exit_batches._list_groups(
        state.open, queue, state.generation
    )
    losses: uint256 = staticcall LOSS_WATERFALL.losses_at_payment(self)
    vested: uint256 = funds._get_vested_assets()
    shares: uint256 = state.supply + VIRTUAL_SHARES
    level: uint256 = exit_batches._compute_level(
        groups, shares, min(units._div_up(losses, units.RAY), vested)
    )
    price: uint256 = units._mul_div(
        self._load_state_before_settlement(state.open, queue.held) + VIRTUAL_ASSETS,
        exit_batches.SCALE,
        shares,
    )
    paid: uint256 = 0
    open: uint256 = 0
    paid, open = exit_batches._settle(groups, queue, state.generation, state.mark, level, price)
    funds._book_out(paid)
    if open != state.open:
        token._set_open_group_count(open)


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
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Pay for a loss: vested assets are burned, members get claims. Loss waterfall only. Protects:
            nothing here can make coverage fail.
    @param collateral_type [id] The type that lost.
    @param amount [rad] At most this is covered; assets burned are rounded up.
    @return [rad] Covered.
    @return [rad] Reserved: always 0.
    """
    if msg.sender != LOSS_WATERFALL.address:
        revert_reason._raise("pool: not loss waterfall")
    held: funds.Assets = funds._load()
    vested: uint256 = held.booked - funds._compute_unvested(held)
    most: uint256 = min(vested * units.RAY, amount)
    assets: uint256 = units._div_up(most, units.RAY)
    funds._book_out(assets)
    log LossAbsorbed(collateral_type=collateral_type, assets=assets)
    state: token.State = token._load()
    if state.open != 0:
        self._spread_loss_over_shares(state, assets)
    elif state.supply != 0:
        self._record_loss_checkpoint(state.generation, state.supply + VIRTUAL_SHARES, assets)
    rest: uint256 = 0
    # Who pays nothing, as a stage that proves itself, is left as it is.
    if assets != 0 and vested - assets < LEAST_ASSETS and (state.supply != 0 or state.open != 0):
        rest = self._void_shares()
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
    @param amount [rad] At most the unvested assets; assets burned are rounded up.
    @return [rad] Covered.
    """
    if msg.sender != CLAWBACK:
        revert_reason._raise("pool: not clawback stage")
    assets: uint256 = units._div_up(amount, units.RAY)
    funds._remove_unvested_income(assets)
    log IncomeClawedBack(collateral_type=collateral_type, assets=assets)
    return extcall VAULT_ENGINE.cover_from_tokens(collateral_type, self, amount)


@external
def collect_claims(owner: address):
    """
    @notice Hand an owner the claims for losses borne, with the claims of the owner's requests. Anyone, for
            anyone.
    @param owner Owner of the claims.
    """
    if owner == self:
        revert_reason._raise("pool: no member")
    self._settle_owner(owner, token._load())
    self._take_claims(0, max_value(uint256), owner)


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
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice Return the amount that losses can take at once: all vested assets, and the assets of batches, for
            any type.
    @param collateral_type [id] Any; it makes no difference.
    @return [rad] Whole wei.
    """
    return funds._get_vested_assets() * units.RAY


@external
@view
def totalAssets() -> uint256:
    """
    @notice Return the vested assets of the shares, before losses not covered yet and without the assets of
            batches.
    @return [wad] Rounded down.
    """
    return self._load_state_before_settlement(token._load().open, line._load_queue().held)


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
    return part.committed - part.all_shares


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
    @return The batch's holdings, its payments, and the amount that losses may still take.
    """
    record: line.Batch = line._load_batch(batch)
    part: ClaimableShare = self._compute_standing(batch, record, record.units)
    return BatchState(
        shares=record.units, since=record.since, paid=part.assets, held=part.shares, over=part.over
    )


@external
@view
def queue() -> (uint256, uint256, uint256):
    """
    @notice Return the list of batches: batches that are over, then open ones, the last one collects.
    @return [id] The first batch that is cut and not over: of the first run, or that waits for its time.
    @return [id] The first that waits for its time.
    @return [id] The one that collects.
    """
    queue: line.Queue = line._load_queue()
    first: uint256 = queue.unsettled
    if token._load().open != queue.collecting - first:
        first = exit_batches.first_run
    return first, queue.unsettled, queue.collecting


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
    if shares == 0:
        revert_reason._raise("pool: no shares")
    token._check_receiver(receiver)
    funds._add(assets)
    self._settle_owner(receiver, token._load())
    token._mint_shares(receiver, shares)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    funds._pull_assets(assets)


@internal
def _leave_pool(assets: uint256, shares: uint256, receiver: address, owner: address):
    """
    @dev Books out assets that were claimed, or burns shares for them; then sends them.
    """
    back: uint256 = 0
    if line.COOLDOWN != 0:
        if not line._acts_for(msg.sender, owner):
            revert_reason._raise("pool: not controller")
        queue: line.Queue = line._load_queue()
        queue.owed -= assets
        line._store_queue(queue)
    else:
        if assets == 0:
            revert_reason._raise("pool: no assets")
        if msg.sender != owner:
            token.permits._spend_allowance(owner, msg.sender, shares)
        state: token.State = token._load()
        self._settle_owner(owner, state)
        back = self._part_of_unvested(shares, state.supply)
        token._burn_shares(owner, shares)
        funds._book_out(assets)
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    self._give_unearned_income_to_reserve(back)
    funds._send_asset_tokens(receiver, assets)


@internal
def _move(owner: address, to: address, amount: uint256):
    token._check_receiver(to)
    state: token.State = token._load()
    self._settle_owner(owner, state)
    self._settle_owner(to, state)
    token._transfer_shares(owner, to, amount)


@internal
@view
def _only_plain():
    if line.COOLDOWN != 0:
        revert_reason._raise("pool: request first")


# ------------------------------------------------------------------ batches


@internal
def _spread_loss_over_shares(state: token.State, assets: uint256):
    """
    @dev Spread a loss over live shares and open groups, share for share; groups that reach their ceiling are
         over.
    """
    queue: line.Queue = line._load_queue()
    groups: DynArray[exit_batches.ExitGroup, exit_batches.MOST_GROUPS] = exit_batches._list_groups(
        state.open, queue, state.generation
    )
    all_shares: uint256 = state.supply + VIRTUAL_SHARES
    level: uint256 = exit_batches._compute_level(groups, all_shares, assets)
    for group: exit_batches.ExitGroup in groups:
        all_shares += group.units
    index: uint256 = exit_batches.index
    left: uint256 = assets
    mark: uint256 = state.mark
    open: uint256 = state.open
    queue.held = 0
    for group: exit_batches.ExitGroup in groups:
        if group.ceiling > level:
            queue.held += exit_batches._held(group, level)
            continue
        part: uint256 = units._mul_div(group.ceiling - index, all_shares, exit_batches.SCALE)
        index = group.ceiling
        left -= part
        mark = self._record_loss_checkpoint(state.generation, all_shares, part)
        if group.id < queue.unsettled:
            exit_batches._set_first_run(line._load_batch(group.id).link)
        else:
            queue.unsettled = group.id + 1
        exit_batches._end_group(group, state.generation, mark)
        all_shares -= group.units
        open -= 1
    self._record_loss_checkpoint(state.generation, all_shares, left)
    exit_batches._set_index(level)
    if open != state.open:
        token._set_open_group_count(open)
    line._store_queue(queue)


@internal
@view
def _part_of_unvested(shares: uint256, supply: uint256) -> uint256:
    """
    @dev Income that has not vested on shares of so many, wad, rounded down; all of it if they are all.
    """
    unvested: uint256 = funds._compute_unvested(funds._load())
    if shares == supply:
        return unvested
    return units._mul_div(unvested, shares, supply + VIRTUAL_SHARES)


@internal
def _give_unearned_income_to_reserve(assets: uint256):
    """
    @dev Unearned income of leavers goes to the reserve, where the pool may give it: neither members that stay
         nor new ones get it. A pool that is no stage keeps it; so do all in settlement, which closes the
         reserve.
    """
    if assets == 0 or staticcall VAULT_ENGINE.in_settlement():
        return
    if staticcall VAULT_ENGINE.has_role(roles.STAGE, self):
        funds._remove_unvested_income(assets)
        extcall VAULT_ENGINE.give_to_reserve(assets)


# ----------------------------------------------------------------- requests


@internal
@view
def _compute_standing(batch: uint256, record: line.Batch, shares: uint256) -> ClaimableShare:
    """
    @dev The payment for some of a batch's shares, and their holdings: `assets` and `shares` are wad here,
         paid and held.
    """
    part: ClaimableShare = empty(ClaimableShare)
    queue: uint256 = line.queue
    is_settled: bool = batch < (queue >> 32) & line.MASK_32
    first: uint256 = batch
    run: exit_batches.ExitRun = empty(exit_batches.ExitRun)
    if is_settled:
        first = exit_batches._find_run(batch, record.link)
        run = exit_batches._load_run(first)
        part.assets = exit_batches._compute_paid(batch, record.generation, first, run.generation, shares)
        if run.ended != 0:
            part.over = True
            part.generation = run.generation
            part.last = run.ended - 1
            return part
    state: token.State = token._load()
    part.generation = state.generation
    part.last = state.mark
    part.over = is_settled and run.generation != state.generation
    if not part.over and batch < queue & line.MASK_32:
        part.shares = exit_batches._holds(
            first, denominations._convert(shares, record.generation, state.generation)
        )
    return part


@internal
@view
def _compute_claimable(batch: uint256, controller: address) -> ClaimableShare:
    """
    @dev The claimable part of a request. Of a batch that still holds assets, as many of its shares as were
         paid at its price: its payment over all its assets; never all of them.
    """
    record: line.Batch = line._load_batch(batch)
    request: line.Request = line._load_request(batch, controller)
    cut: uint256 = record.generation
    if batch == line.queue & line.MASK_32:
        cut = token._load().generation
    committed: uint256 = line._shares_at_cut(request, cut)
    part: ClaimableShare = self._compute_standing(batch, record, committed)
    part.request = request
    part.cut = cut
    part.committed = committed
    part.all_shares = committed
    if not part.over:
        part.all_shares = units._mul_div(committed, part.assets, part.assets + part.shares + 1)
    claimed: uint256 = 0
    claimed_shares: uint256 = 0
    claimed, claimed_shares = line._claimed(batch, controller, request)
    # Where shares were divided since, a part of before may be a wei more.
    part.shares = part.all_shares - min(part.all_shares, claimed_shares)
    part.assets = part.assets - min(part.assets, claimed) if part.shares != 0 else 0
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
    @dev Take so many shares, or so many assets, out of a controller's requests, the oldest first, and hand
         over the claims of the requests passed: of all of them, if no shares are wanted. Shares and assets
         that were taken: of a part of a request assets are rounded down, or shares up.
    """
    shares_left: uint256 = shares
    assets_left: uint256 = assets
    is_first: bool = True
    batch: uint256 = line._first(controller)
    for _: uint256 in range(line.MOST_AT_ONCE):
        if batch == 0 or assets_left == 0 or (shares_left == 0 and shares != 0):
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
        # Where claims alone are wanted, a request with nothing to take may follow one with something.
        is_first = is_first and part.over and taken == part.shares
        if is_first:
            line._drop_first(batch, controller, part.request)
        else:
            line._set_mark(batch, controller, part.request, part.committed, part.last, part.generation)
            line._count_claimed(batch, controller, part.request, paid, taken)
        # Its shares as they were counted at the checkpoint up to which claims were handed over.
        present: uint256 = part.request.shares
        if part.request.generation > part.cut:
            present = denominations._convert(part.committed, part.cut, part.request.generation)
        self._issue_claims(
            controller, present, part.request.generation, part.request.mark, part.generation, part.last
        )
        batch = part.request.next
    if shares_left != 0 and assets_left != 0:
        revert_reason._raise("pool: more than max")
    return shares - shares_left, assets - assets_left


# ------------------------------------------------------------------- prices


@internal
@view
def _load_state_before_settlement(open: uint256, held: uint256) -> uint256:
    """
    @dev A: assets that shares are worth, wad. Where shares were divided, groups may hold a wei too much.
    """
    vested: uint256 = funds._get_vested_assets()
    if open == 0:
        return vested
    return vested - min(vested, held)


@internal
@view
def _compute_assets_left(vested: uint256) -> uint256:
    """
    @dev The assets that known losses will leave, wad, rounded down.
    """
    losses: uint256 = staticcall LOSS_WATERFALL.losses_reaching(self)
    if losses == 0:
        return vested
    return vested - min(vested, units._div_up(losses, units.RAY))


@internal
@view
def _present_terms() -> (uint256, uint256):
    """
    @dev Shares and assets, the virtual ones included, as they are counted now.
    """
    state: token.State = token._load()
    held: uint256 = self._load_state_before_settlement(
        state.open, line._load_queue().held if state.open != 0 else 0
    )
    return state.supply + VIRTUAL_SHARES, held + VIRTUAL_ASSETS


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
    if steps != 0:
        supply = denominations._convert(supply - VIRTUAL_SHARES, 0, steps) + VIRTUAL_SHARES
    return supply, held, steps


@internal
def _begin_entry() -> (uint256, uint256):
    """
    @dev The shares and assets of the entry terms, after shares were divided.
    """
    supply: uint256 = 0
    held: uint256 = 0
    steps: uint256 = 0
    supply, held, steps = self._entry_terms()
    if steps != 0:
        state: token.State = token._load()
        queue: line.Queue = line._load_queue()
        queue.held = exit_batches._rescale_exit_groups(
            exit_batches._list_groups(state.open, queue, state.generation),
            queue.unsettled,
            state.generation,
            steps,
        )
        line._store_queue(queue)
        state = token._advance_share_generations(state, steps)
        log SharesDivided(generation=state.generation, steps=steps)
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


# ------------------------------------------------------- claims, generations


@internal
def _settle_owner(owner: address, state: token.State):
    """
    @dev Hand an owner the claims up to the last checkpoint, for the shares owned since the one before.
    """
    # Where nothing was lost yet, nothing has to be looked up.
    if state.mark == 0 and state.generation == 0:
        return
    before: token.Balance = token._renew_record(owner, state.generation, state.mark)
    self._issue_claims(owner, before.shares, before.generation, before.mark, state.generation, state.mark)


@internal
def _issue_claims(
    owner: address, shares: uint256, generation: uint256, mark: uint256, end: uint256, last: uint256
):
    """
    @dev Have an owner handed the claims of shares of a generation, from a checkpoint of it to one of a later.
    """
    if shares == 0 or (generation == end and mark == last) or CLAIMS.address == empty(address):
        return
    extcall CLAIMS.issue(owner, shares, generation, mark, end, last)


@internal
def _record_loss_checkpoint(generation: uint256, shares: uint256, assets: uint256) -> uint256:
    """
    @dev Record the claims for the burden of a loss on so many shares, the virtual ones included; the last
         checkpoint.
    """
    if CLAIMS.address == empty(address) or shares == VIRTUAL_SHARES:
        return token._load().mark
    # Whatever it says fits: claims that are broken mark nothing else.
    mark: uint256 = (extcall CLAIMS.record(generation, shares, assets)) & line.MASK_40
    token._set_mark(mark)
    return mark


@internal
def _void_shares() -> uint256:
    """
    @dev All shares, requests and groups are void. The remainder, with income that has not vested, is
         returned: no present member has earned it, so it is not the next depositor's.
    """
    state: token.State = token._load()
    queue: line.Queue = line._load_queue()
    queue.unsettled = queue.collecting
    queue.held = 0
    line._store_queue(queue)
    rest: uint256 = funds._clear_and_count_booked_assets()
    begun: token.State = token._advance_share_generations(state, denominations.VOID)
    log NewGeneration(generation=begun.generation, voided=state.supply, given_up=rest)
    return rest

# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title StabilityPool
@license GNU Affero General Public License v3.0 only
@notice The liquidation mechanism of Liquity: members' stablecoin repays the debt of unsafe vaults of one
        collateral type, and the members get the collateral that the debt stood for, with a penalty, in the
        same call. The collateral beyond that stays with the vault's owner. The caller of a liquidation gets
        a part of the collateral, and needs no capital.
@dev With D a vault's debt, W its collateral's worth, and R the coins that may be offset:
         price       collateral for D * (1 + PENALTY), up to the token's unit, at most all of it
         reward      REWARD of that collateral, down to the unit, for the liquidator
         paid        D, but no more than the rest of that collateral is worth; D less `paid` is a loss
     Where R is less than that, the pool pays R for a part of the vault that leaves the rest no worse, between
     two debt floors, or none; the rest may go to an auction. Where WRITES_OFF is set all of the vault goes:
     the debt that the pool cannot pay is a loss, and the collateral that stood for it is salvage.
     Shares of members are those of the module product_sum. A deposit takes no part before it has waited for
     ENTRY_DELAY, up to twice that, and a withdrawal waits for COOLDOWN. Neither happens while a vault of the
     type is flagged, nor just after a fall of a price.
"""
from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import ILiquidationMechanism
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import product_sum
from contracts.modules import units
from contracts.modules import vesting_assets as funds

implements: ILiquidationMechanism

initializes: product_sum
initializes: funds

exports: (
    funds.VESTING,
    funds.asset,
    funds.add_income,
    funds.unvested,
)


event Deposited:
    owner: indexed(address)
    amount: uint256  # [wad]
    epoch: uint256  # [count] of ENTRY_DELAY; it takes part two later


event EntriesAdmitted:
    amount: uint256  # [wad]


event WithdrawalRequested:
    owner: indexed(address)
    amount: uint256  # [wad] in all
    ready_at: uint256  # [timestamp]


event Withdrawn:
    owner: indexed(address)
    amount: uint256  # [wad]


event GainsClaimed:
    owner: indexed(address)
    collateral: uint256  # [wad]
    income: uint256  # [wad]


struct Entries:
    older_epoch: uint256  # 32 bits
    older: uint256  # wad that came in then, 96 bits
    newer_epoch: uint256  # 32 bits
    newer: uint256  # wad, 96 bits


struct Requests:
    entry: uint256  # wad that waits to take part, 96 bits
    epoch: uint256  # in which it came in, 32 bits
    withdrawal: uint256  # wad that is to be withdrawn, 96 bits
    ready_at: uint256  # seconds, 32 bits


struct Gains:
    collateral: uint256  # wad, 128 bits
    income: uint256  # wad, 128 bits


struct Member:
    coins: uint256  # wad that take part
    entry: uint256  # wad that wait to take part
    withdrawal: uint256  # wad that are to be withdrawn
    ready_at: uint256  # seconds from which on they may be
    collateral: uint256  # wad to be claimed
    income: uint256  # wad to be claimed


MAX_VAULTS: constant(uint256) = 32
# Ids of batches of entries begin here; ids of members are their addresses.
BATCHES: constant(uint256) = 2**160
MASK_32: constant(uint256) = 2**32 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_128: constant(uint256) = 2**128 - 1

VAULT_ENGINE: public(immutable(IVaultEngine))
PRICE_FEED: public(immutable(IPriceFeed))
LIQUIDATION_ENGINE: public(immutable(address))
COLLATERAL: public(immutable(IERC20))
COLLATERAL_TYPE: public(immutable(uint256))
# wad of one raw unit of the collateral's token
UNIT: public(immutable(uint256))
# Basis points of a debt, in collateral, on top of it.
PENALTY: public(immutable(uint256))
# Basis points of the collateral that a liquidation moves, for the liquidator.
REWARD: public(immutable(uint256))
# Whether debt that the pool cannot pay is written off; otherwise it may be auctioned.
WRITES_OFF: public(immutable(bool))
# Seconds; a deposit takes part after one to two of them.
ENTRY_DELAY: public(immutable(uint256))
# Seconds from a request to a withdrawal.
COOLDOWN: public(immutable(uint256))

# Entries that take no part yet
waiting_entries: uint256
# member -> Requests
member_requests: HashMap[address, uint256]
# member -> Gains that were counted
member_gains: HashMap[address, uint256]


@deploy
def __init__(
    vault_engine: address,
    price_feed: address,
    liquidation_engine: address,
    stablecoin: address,
    collateral: address,
    collateral_type: uint256,
    penalty: uint256,
    reward: uint256,
    writes_off: bool,
    entry_delay: uint256,
    cooldown: uint256,
    vesting: uint256,
):
    """
    @notice Wire the pool to one collateral type and set its terms, for good.
    @param vault_engine The ledger.
    @param price_feed The source of prices.
    @param liquidation_engine Decides which vaults are unsafe, and books the sales to the pool.
    @param stablecoin The coin that members put in.
    @param collateral The type's token.
    @param collateral_type [id] The collateral type.
    @param penalty [basis points] Collateral on top of a debt.
    @param reward [basis points] Of the collateral that a liquidation moves, of which the penalty has to be
                  worth more.
    @param writes_off Whether debt that the pool cannot pay is a loss at once, rather than auctioned.
    @param entry_delay [seconds] A deposit takes part after one to two of them.
    @param cooldown [seconds] From a request to a withdrawal.
    @param vesting [seconds] Over which income vests.
    """
    # Members get the debt's worth at least, however much of the penalty is the reward.
    assert (
        penalty <= bounds.MAX_LIQUIDATION_BONUS
        and reward <= units.BASIS_POINTS
        and (units.BASIS_POINTS + penalty) * (units.BASIS_POINTS - reward) >= units.BASIS_POINTS**2
    ), "stability_pool: penalty bounds"
    assert (
        entry_delay >= bounds.MIN_COOLDOWN and entry_delay <= bounds.MAX_COOLDOWN
    ), "stability_pool: delay bounds"
    assert cooldown <= bounds.MAX_COOLDOWN, "stability_pool: cooldown bounds"
    product_sum.__init__()
    funds.__init__(stablecoin, vesting)
    VAULT_ENGINE = IVaultEngine(vault_engine)
    PRICE_FEED = IPriceFeed(price_feed)
    LIQUIDATION_ENGINE = liquidation_engine
    COLLATERAL = IERC20(collateral)
    COLLATERAL_TYPE = collateral_type
    UNIT = 10**(18 - convert(staticcall IERC20Detailed(collateral).decimals(), uint256))
    PENALTY = penalty
    REWARD = reward
    WRITES_OFF = writes_off
    ENTRY_DELAY = entry_delay
    COOLDOWN = cooldown


# ------------------------------------------------------------------ members


@external
@nonreentrant
def deposit(amount: uint256):
    """
    @notice Deposit coins. Anyone, for oneself, while no debt of the type is at risk. The coins take part
            after one to two ENTRY_DELAY, without a further call. Protects: a new member has no share of a
            gain that was visible before the deposit.
    @param amount [wad] Pulled from the caller.
    """
    assert amount != 0, "stability_pool: empty deposit"
    self._check_entries_open()
    state: product_sum.State = self._admit_entries(product_sum._load_state(), False)
    self._count_gains(state, msg.sender)
    self._add_entry(state, msg.sender, amount)
    state.has_entries = 1
    product_sum._store_state(state)
    funds._pull_assets(amount)


@external
@nonreentrant
def request_withdrawal(amount: uint256):
    """
    @notice Request a withdrawal. Member. The coins may be paid after COOLDOWN, and until then they repay
            debt and earn as all others do. A further request adds to the first, and the later time counts.
            Protects: a member cannot withdraw at the moment of a crash, nor request coins that wait.
    @param amount [wad] Coins; in all at most the coins that take part now.
    """
    requests: Requests = self._load_requests(msg.sender)
    coins: uint256 = self._sum_stake_balances(product_sum._load_state(), msg.sender, requests).coins
    wanted: uint256 = min(amount, coins - min(coins, requests.withdrawal))
    assert wanted != 0, "stability_pool: empty request"
    requests.withdrawal += wanted
    # Not sooner than a deposit has made an open request wait.
    requests.ready_at = max(requests.ready_at, block.timestamp + COOLDOWN)
    self._store_requests(msg.sender, requests)
    log WithdrawalRequested(owner=msg.sender, amount=requests.withdrawal, ready_at=requests.ready_at)


@external
@nonreentrant
def withdraw(owner: address) -> uint256:
    """
    @notice Pay a member's request. Anyone, to the member, once the cooldown is over and no debt of the type
            is at risk. In settlement all coins of the member are paid at once, with the coins that wait to
            take part. Protects: a member with a request cannot choose the moment, since anyone may pay it.
    @param owner The member.
    @return [wad] Coins paid: at most the member's coins, and all coins of the pool but one.
    """
    requests: Requests = self._load_requests(owner)
    is_settling: bool = self._is_settling()
    if not is_settling:
        assert requests.withdrawal != 0, "stability_pool: no request"
        assert block.timestamp >= requests.ready_at, "stability_pool: cooldown runs"
        self._check_not_at_risk()
    state: product_sum.State = self._admit_entries(product_sum._load_state(), is_settling)
    coins: uint256 = self._count_gains(state, owner)
    requests = self._load_requests(owner)
    paid: uint256 = coins
    if not is_settling:
        paid = min(min(requests.withdrawal, coins), product_sum._compute_offset_room(state.coins))
    requests.withdrawal = 0
    requests.ready_at = 0
    self._store_requests(owner, requests)
    state.coins -= paid
    product_sum._mark_stake(state, convert(owner, uint256), coins - paid)
    product_sum._store_state(state)
    log Withdrawn(owner=owner, amount=paid)
    funds._send_asset_tokens(owner, paid)
    return paid


@external
@nonreentrant
def claim(receiver: address, has_reinvestment: bool) -> (uint256, uint256):
    """
    @notice Take collateral and income out. Member, at any time.
    @param receiver The account that gets collateral and income.
    @param has_reinvestment Whether the income is put in again, as a deposit is and when one may be, rather
                            than sent.
    @return [wad] Collateral sent, whole units of its token; the rest stays.
    @return [wad] Income.
    """
    state: product_sum.State = self._admit_entries(product_sum._load_state(), False)
    self._count_gains(state, msg.sender)
    gains: Gains = self._load_gains(msg.sender)
    collateral: uint256 = gains.collateral - gains.collateral % UNIT
    self._store_gains(msg.sender, Gains(collateral=gains.collateral - collateral, income=0))
    if has_reinvestment and gains.income != 0:
        self._check_entries_open()
        self._add_entry(state, msg.sender, gains.income)
        state.has_entries = 1
    product_sum._store_state(state)
    log GainsClaimed(owner=msg.sender, collateral=collateral, income=gains.income)
    if collateral != 0:
        self._send_collateral(receiver, collateral)
    if not has_reinvestment and gains.income != 0:
        funds._send_asset_tokens(receiver, gains.income)
    return collateral, gains.income


@external
@nonreentrant
def admit():
    """
    @notice Admit deposits that have waited, as every other call does. Anyone; no effect while debt of the
            type is at risk.
    """
    product_sum._store_state(self._admit_entries(product_sum._load_state(), False))


# -------------------------------------------------------------- liquidations


@external
@nonreentrant
def liquidate(owners: DynArray[address, MAX_VAULTS], reward_receiver: address) -> uint256:
    """
    @notice Offset the debt of unsafe vaults, one after the other, as far as the pool's coins go. Anyone. A
            vault that cannot be liquidated is left out; where none can be, the last one's reason is given.
            Protects: members pay at most the worth of their new collateral at the feed's price.
    @param owners The vaults' owners.
    @param reward_receiver The account that gets the reward, collateral.
    @return [count] Vaults that were liquidated.
    """
    state: product_sum.State = self._admit_entries(product_sum._load_state(), False)
    done: uint256 = 0
    rewards: uint256 = 0
    answer: Bytes[132] = b""
    for owner: address in owners:
        success: bool = False
        success, answer = raw_call(
            LIQUIDATION_ENGINE,
            abi_encode(
                COLLATERAL_TYPE,
                owner,
                max_value(uint256),
                product_sum._compute_offset_room(state.coins),
                max_value(uint256),
                self,
                b"",
                method_id=method_id(
                    "liquidate_and_buy(uint256,address,uint256,uint256,uint256,address,bytes)"
                ),
            ),
            max_outsize=132,
            revert_on_failure=False,
        )
        if not success:
            continue
        done += 1
        collateral: uint256 = 0
        paid: uint256 = 0
        collateral, paid = abi_decode(answer, (uint256, uint256))
        reward: uint256 = self._compute_reward(collateral)
        rewards += reward
        # Collateral comes for a payment, and only then; a vault that is written off whole has neither.
        if paid != 0:
            product_sum._add_collateral(state, collateral - reward)
            state = product_sum._offset(state, paid)
    if done == 0:
        raw_revert(answer)
    product_sum._store_state(state)
    if rewards != 0:
        self._send_collateral(reward_receiver, rewards)
    return done


# -------------------------------------------------------------------- views


@external
@view
def plan_sale(
    collateral_type: uint256,
    position: ILiquidationMechanism.Position,
    max_collateral: uint256,
    max_repay: uint256,
) -> ILiquidationMechanism.Sale:
    """
    @notice Return the sale of an unsafe vault to the pool for at most `max_repay`. Anyone; the pool is the
            only buyer. Protects: a partial sale leaves the vault with no less collateral for each unit of
            debt than before, and with a debt of the floor at least.
    @param collateral_type [id] The pool's.
    @param position The vault as it stands, its fee charged, and the price.
    @param max_collateral [wad] Not looked at.
    @param max_repay [wad] The most that the pool pays.
    @return Collateral and debt that leave the vault, and the payment; zeros where the pool buys nothing.
    """
    assert position.buyer == self, "stability_pool: not for sale"
    return self._plan(position, max_repay, False)


@external
@view
def can_auction(collateral_type: uint256, position: ILiquidationMechanism.Position) -> bool:
    """
    @notice Return whether an unsafe vault may go to an auction. Anyone. Protects: no vault does that the pool
            can take a part of; and every vault can be liquidated somehow.
    @param collateral_type [id] The pool's.
    @param position The vault as it stands, its fee charged, and the price.
    @return True where the pool's coins are too few for any part, unless the rest is written off; and where
            the price is the last one of a feed that is dead, at which the pool buys nothing.
    """
    if staticcall PRICE_FEED.current_price(COLLATERAL_TYPE) == 0:
        return True
    room: uint256 = product_sum._compute_offset_room(product_sum._load_state().coins)
    return self._plan(position, room, False).normalized_debt == 0


@external
def check_sale_terms(collateral_type: uint256, liquidation_ratio: uint256):
    """
    @notice Revert unless a type is the pool's, and the penalty stays under a liquidation ratio. Anyone.
    @param collateral_type [id] The collateral type.
    @param liquidation_ratio [basis points] The ratio that it has, or is to have.
    """
    token: address = (staticcall VAULT_ENGINE.terms_of(collateral_type)).token
    assert collateral_type == COLLATERAL_TYPE and token == COLLATERAL.address, "stability_pool: other type"
    assert units.BASIS_POINTS + PENALTY < liquidation_ratio, "stability_pool: high penalty"


@external
@view
@nonreentrant
def member_of(owner: address) -> Member:
    """
    @notice Return a member's coins, requests and gains as of the last call: deposits that have waited since,
            and income that has vested, are not counted. Reverts in the middle of a liquidation.
    @param owner The member.
    @return Coins, requests and gains.
    """
    state: product_sum.State = product_sum._load_state()
    requests: Requests = self._load_requests(owner)
    balance: product_sum.StakeBalance = self._sum_stake_balances(state, owner, requests)
    gains: Gains = self._load_gains(owner)
    if self._is_admitted(requests):
        requests.entry = 0
    return Member(
        coins=balance.coins,
        entry=requests.entry,
        withdrawal=requests.withdrawal,
        ready_at=requests.ready_at,
        collateral=gains.collateral + balance.collateral,
        income=gains.income + balance.income,
    )


@external
@view
@nonreentrant
def totalSupply() -> uint256:
    """
    @notice Return the coins that take part, by the name under which the treasury asks whether a pool has
            members. Reverts in the middle of a liquidation.
    @return [wad] T of product_sum.
    """
    return product_sum._load_state().coins


@external
@view
def state() -> product_sum.State:
    """
    @notice Return product, coins and scale.
    @return The state of product_sum.
    """
    return product_sum._load_state()


@external
@view
def sums_of(scale: uint256) -> (uint256, uint256):
    """
    @notice Return the sums of a scale.
    @param scale [count] From 0.
    @return [1e36] The collateral sum.
    @return [1e36] The income sum.
    """
    return product_sum.collateral_sums[scale], product_sum.income_sums[scale]


@external
@view
def entries_waiting() -> Entries:
    """
    @notice Return the deposits that wait to take part.
    @return Amounts and their epochs; zeros where there is none.
    """
    return self._load_entries()


# ------------------------------------------------------------------ helpers


@internal
@view
def _plan(
    position: ILiquidationMechanism.Position, max_repay: uint256, bears_all: bool
) -> ILiquidationMechanism.Sale:
    """@dev The sale of a vault to the pool; with `bears_all`, as in the naive contract, for all its debt."""
    # Collateral and normalized debt < 2**104, price < 2**112, the type's debt < 2**181, coins < 2**96: no
    # product below reaches 2**256.
    debt: uint256 = unsafe_mul(position.normalized_debt, position.accumulated_rate)
    factor: uint256 = unsafe_add(units.BASIS_POINTS, PENALTY)
    unit_price: uint256 = unsafe_mul(position.price, units.BASIS_POINTS)
    # The price of all of the debt, and the payment due.
    wanted: uint256 = units._div_up(unsafe_mul(debt, factor), unsafe_mul(unit_price, UNIT))
    collateral: uint256 = min(position.locked_collateral, unsafe_mul(wanted, UNIT))
    due: uint256 = self._compute_due(debt, collateral, position.price, bears_all)
    if due <= max_repay and max_repay != 0:
        return ILiquidationMechanism.Sale(
            collateral=collateral, normalized_debt=position.normalized_debt, paid=due, fee=0
        )
    part: uint256 = unsafe_mul(position.normalized_debt, max_repay) // max(due, 1)
    bought: uint256 = 0
    if WRITES_OFF:
        bought = collateral * part // position.normalized_debt
        bought -= bought % UNIT
        due = self._compute_due(part * position.accumulated_rate, bought, position.price, bears_all)
        return ILiquidationMechanism.Sale(
            collateral=collateral,
            normalized_debt=position.normalized_debt,
            paid=min(due, max_repay),
            fee=collateral - bought,
        )
    # The rest is a debt of the floor at least.
    least: uint256 = units._div_up(position.debt_floor, position.accumulated_rate)
    part = min(part, position.normalized_debt - min(least, position.normalized_debt))
    bought = min(
        part * position.accumulated_rate * factor // unit_price,
        position.locked_collateral * part // position.normalized_debt,
    )
    bought -= bought % UNIT
    # The debt of these units: by their price, and by their part of the collateral.
    part = max(
        units._div_up(bought * unit_price, factor * position.accumulated_rate),
        units._div_up(bought * position.normalized_debt, position.locked_collateral),
    )
    if part * position.accumulated_rate < position.debt_floor:
        return empty(ILiquidationMechanism.Sale)
    due = self._compute_due(part * position.accumulated_rate, bought, position.price, bears_all)
    return ILiquidationMechanism.Sale(
        collateral=bought, normalized_debt=part, paid=min(due, max_repay), fee=0
    )


@internal
@view
def _compute_due(debt: uint256, collateral: uint256, price: uint256, bears_all: bool) -> uint256:
    """@dev The payment, wad, for debt, rad, and its collateral, wad: at most its worth, rounded up."""
    whole: uint256 = units._div_up(debt, units.RAY)
    if bears_all:
        return whole
    return min(
        whole,
        units._div_up(unsafe_mul(unsafe_sub(collateral, self._compute_reward(collateral)), price), units.RAY),
    )


@internal
@view
def _compute_reward(collateral: uint256) -> uint256:
    """@dev The liquidator's part of collateral, wad, down to the token's unit."""
    reward: uint256 = unsafe_div(unsafe_mul(collateral, REWARD), units.BASIS_POINTS)
    return unsafe_sub(reward, reward % UNIT)


@internal
@view
def _is_at_risk() -> bool:
    """@dev Whether a vault of the type is flagged, or one may be that is not yet."""
    flagged: uint256 = staticcall ILiquidationEngine(LIQUIDATION_ENGINE).flagged_of(COLLATERAL_TYPE)
    return flagged != 0 or block.timestamp < staticcall PRICE_FEED.withdrawals_paused_until()


@internal
@view
def _check_not_at_risk():
    assert not self._is_at_risk(), "stability_pool: debt at risk"


@internal
@view
def _check_entries_open():
    """@dev In settlement entries of this epoch may have been paid already."""
    assert not self._is_settling(), "stability_pool: settling"
    self._check_not_at_risk()


@internal
@view
def _is_settling() -> bool:
    return (staticcall VAULT_ENGINE.terms_of(COLLATERAL_TYPE)).settling


@internal
def _share_income(state: product_sum.State):
    """@dev Share income that has vested; while less than a coin takes part it waits."""
    vested: uint256 = funds._get_vested_assets()
    if vested != 0 and state.coins >= product_sum.LEAST_COINS:
        product_sum._add_income(state, vested)
        funds._book_out(vested)


@internal
def _admit_entries(before: product_sum.State, is_settling: bool) -> product_sum.State:
    """
    @dev The state with the deposits that have waited, unless debt is at risk; in settlement with all that
         wait. The caller stores it.
    """
    state: product_sum.State = before
    if state.has_entries == 0:
        return state
    waiting: Entries = self._load_entries()
    epoch: uint256 = block.timestamp // ENTRY_DELAY
    if not is_settling and (waiting.older_epoch + 2 > epoch or self._is_at_risk()):
        return state
    self._share_income(state)
    amount: uint256 = waiting.older
    product_sum._mark_stake(state, BATCHES + waiting.older_epoch, waiting.older)
    if waiting.newer != 0 and (is_settling or waiting.newer_epoch + 2 <= epoch):
        amount += waiting.newer
        product_sum._mark_stake(state, BATCHES + waiting.newer_epoch, waiting.newer)
        waiting.newer = 0
    self._store_entries(
        Entries(older_epoch=waiting.newer_epoch, older=waiting.newer, newer_epoch=0, newer=0)
        if waiting.newer != 0
        else empty(Entries)
    )
    state.coins += amount
    state.has_entries = convert(waiting.newer != 0, uint256)
    log EntriesAdmitted(amount=amount)
    return state


@internal
def _add_entry(state: product_sum.State, owner: address, amount: uint256):
    """
    @dev Add a deposit to the waiting ones. A member's older deposit has to take part first, so that a member
         cannot delay a deposit until it pays. No debt is at risk. An open request waits as long as one made
         when the coins take part, since it may pay them.
    """
    requests: Requests = self._load_requests(owner)
    epoch: uint256 = block.timestamp // ENTRY_DELAY
    assert requests.entry == 0 or requests.epoch == epoch, "stability_pool: entry waits"
    requests.entry += amount
    requests.epoch = epoch
    if requests.withdrawal != 0:
        requests.ready_at = block.timestamp + 2 * ENTRY_DELAY + COOLDOWN
    self._store_requests(owner, requests)
    waiting: Entries = self._load_entries()
    assert (
        state.coins + waiting.older + waiting.newer + amount <= product_sum.MAX_COINS
    ), "stability_pool: too many coins"
    # Deposits of two epochs ago have been admitted: besides this epoch, one at most has deposits that wait.
    if waiting.older == 0 or waiting.older_epoch == epoch:
        waiting.older_epoch = epoch
        waiting.older += amount
    else:
        waiting.newer_epoch = epoch
        waiting.newer += amount
    self._store_entries(waiting)
    log Deposited(owner=owner, amount=amount, epoch=epoch)


@internal
@view
def _is_admitted(requests: Requests) -> bool:
    """@dev Whether a member's last deposit takes part."""
    return requests.entry != 0 and product_sum.stakes[BATCHES + requests.epoch] != 0


@internal
@view
def _sum_stake_balances(
    state: product_sum.State, owner: address, requests: Requests
) -> product_sum.StakeBalance:
    """@dev The balance of a member's stake and of the deposit that takes part."""
    id: uint256 = convert(owner, uint256)
    found: product_sum.StakeBalance = product_sum._compute_stake_balance(
        state, id, product_sum._load_stake_coins(id)
    )
    if self._is_admitted(requests):
        entered: product_sum.StakeBalance = product_sum._compute_stake_balance(
            state, BATCHES + requests.epoch, requests.entry
        )
        found.coins += entered.coins
        found.collateral += entered.collateral
        found.income += entered.income
    return found


@internal
def _count_gains(state: product_sum.State, owner: address) -> uint256:
    """@dev Record a member's gains, merge all coins that take part into one stake, and return them, wad."""
    self._share_income(state)
    requests: Requests = self._load_requests(owner)
    found: product_sum.StakeBalance = self._sum_stake_balances(state, owner, requests)
    if self._is_admitted(requests):
        requests.entry = 0
        requests.epoch = 0
        self._store_requests(owner, requests)
    if found.collateral != 0 or found.income != 0:
        gains: Gains = self._load_gains(owner)
        self._store_gains(
            owner,
            Gains(collateral=gains.collateral + found.collateral, income=gains.income + found.income),
        )
    product_sum._mark_stake(state, convert(owner, uint256), found.coins)
    return found.coins


@internal
def _send_collateral(receiver: address, amount: uint256):
    """@dev Send collateral, wad, a multiple of the token's unit."""
    success: bool = extcall COLLATERAL.transfer(receiver, amount // UNIT, default_return_value=True)
    assert success, "stability_pool: transfer failed"


@internal
@view
def _load_entries() -> Entries:
    word: uint256 = self.waiting_entries
    return Entries(
        older_epoch=word & MASK_32,
        older=(word >> 32) & MASK_96,
        newer_epoch=(word >> 128) & MASK_32,
        newer=word >> 160,
    )


@internal
def _store_entries(waiting: Entries):
    self.waiting_entries = (
        waiting.older_epoch | (waiting.older << 32) | (waiting.newer_epoch << 128) | (waiting.newer << 160)
    )


@internal
@view
def _load_requests(owner: address) -> Requests:
    word: uint256 = self.member_requests[owner]
    return Requests(
        entry=word & MASK_96,
        epoch=(word >> 96) & MASK_32,
        withdrawal=(word >> 128) & MASK_96,
        ready_at=word >> 224,
    )


@internal
def _store_requests(owner: address, requests: Requests):
    self.member_requests[owner] = (
        requests.entry | (requests.epoch << 96) | (requests.withdrawal << 128) | (requests.ready_at << 224)
    )


@internal
@view
def _load_gains(owner: address) -> Gains:
    word: uint256 = self.member_gains[owner]
    return Gains(collateral=word & MASK_128, income=word >> 128)


@internal
def _store_gains(owner: address, gains: Gains):
    self.member_gains[owner] = gains.collateral | (gains.income << 128)

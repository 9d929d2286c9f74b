# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title InstantStabilityPool
@license GNU Affero General Public License v3.0 only
@notice A stability pool by the rules of Liquity v2: a deposit takes part at once, a withdrawal is paid at
        once, income is shared at once, and the pool pays all of a debt, even more than its collateral is
        worth. Comparisons show the difference to `StabilityPool`; no deployment should have it.
@dev Vaults are priced, and product and sums computed, as in `StabilityPool`.
"""
from contracts import StabilityPool
from contracts.interfaces import ILiquidationMechanism
from contracts.modules import product_sum
from contracts.modules import vesting_assets as funds

implements: ILiquidationMechanism

uses: product_sum
uses: funds
initializes: StabilityPool

exports: (
    StabilityPool.VESTING,
    StabilityPool.asset,
    StabilityPool.unvested,
    StabilityPool.VAULT_ENGINE,
    StabilityPool.PRICE_FEED,
    StabilityPool.LIQUIDATION_ENGINE,
    StabilityPool.COLLATERAL,
    StabilityPool.COLLATERAL_TYPE,
    StabilityPool.UNIT,
    StabilityPool.PENALTY,
    StabilityPool.REWARD,
    StabilityPool.WRITES_OFF,
    StabilityPool.ENTRY_DELAY,
    StabilityPool.COOLDOWN,
    StabilityPool.liquidate,
    StabilityPool.claim,
    StabilityPool.check_sale_terms,
    StabilityPool.member_of,
    StabilityPool.totalSupply,
    StabilityPool.state,
    StabilityPool.sums_of,
)


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
    @notice Wire the pool to one collateral type and set its terms, for good; delay, cooldown and vesting do
            not count.
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
    @param entry_delay [seconds] Not looked at.
    @param cooldown [seconds] Not looked at.
    @param vesting [seconds] Not looked at.
    """
    StabilityPool.__init__(
        vault_engine,
        price_feed,
        liquidation_engine,
        stablecoin,
        collateral,
        collateral_type,
        penalty,
        reward,
        writes_off,
        entry_delay,
        cooldown,
        vesting,
    )


@external
@nonreentrant
def deposit(amount: uint256, has_claim: bool):
    """
    @notice Put coins in, which take part at once. Anyone, for oneself.
    @param amount [wad] Pulled from the caller.
    @param has_claim Whether gains are paid out; if not, collateral stays and income joins the coins.
    """
    assert amount != 0, "instant_pool: no coins"
    state: product_sum.State = product_sum._load_state()
    coins: uint256 = StabilityPool._count_gains(state, msg.sender)
    collateral: uint256 = 0
    income: uint256 = 0
    kept: uint256 = 0
    collateral, income, kept = self._take_gains(has_claim)
    state.coins += amount + kept
    assert state.coins <= product_sum.MAX_COINS, "instant_pool: too many coins"
    product_sum._mark_stake(state, convert(msg.sender, uint256), coins + amount + kept)
    StabilityPool._share_income(state)
    product_sum._store_state(state)
    funds._pull_assets(amount)
    self._pay_gains(collateral, income)


@external
@nonreentrant
def withdraw(amount: uint256, has_claim: bool) -> uint256:
    """
    @notice Take coins out at once. Member.
    @param amount [wad] Coins; more than the member has means all of them.
    @param has_claim Whether gains are paid out; if not, collateral stays and income joins the coins.
    @return [wad] Coins paid, without gains.
    """
    state: product_sum.State = product_sum._load_state()
    coins: uint256 = StabilityPool._count_gains(state, msg.sender)
    paid: uint256 = min(amount, coins)
    collateral: uint256 = 0
    income: uint256 = 0
    kept: uint256 = 0
    collateral, income, kept = self._take_gains(has_claim)
    state.coins = state.coins + kept - paid
    assert state.coins >= product_sum.LEAST_COINS, "instant_pool: one coin stays"
    product_sum._mark_stake(state, convert(msg.sender, uint256), coins + kept - paid)
    product_sum._store_state(state)
    log StabilityPool.Withdrawn(owner=msg.sender, amount=paid)
    self._pay_gains(collateral, income + paid)
    return paid


@external
@nonreentrant
def add_income(assets: uint256):
    """
    @notice Share income among the members at once. Anyone. While less than a coin takes part it waits.
    @param assets [wad] Pulled from the caller.
    """
    funds._add(assets)
    StabilityPool._share_income(product_sum._load_state())
    funds._pull_assets(assets)


@external
@view
def plan_sale(
    collateral_type: uint256,
    position: ILiquidationMechanism.Position,
    max_collateral: uint256,
    max_repay: uint256,
) -> ILiquidationMechanism.Sale:
    """
    @notice Return the sale of an unsafe vault to the pool for at most `max_repay`: the pool pays all of the
            debt that it buys. Anyone; the pool is the only buyer.
    @param collateral_type [id] The pool's.
    @param position The vault as it stands, its fee charged, and the price.
    @param max_collateral [wad] Not looked at.
    @param max_repay [wad] The most that the pool pays.
    @return Collateral and debt that leave the vault, and the payment; zeros where the pool buys nothing.
    """
    assert position.buyer == self, "stability_pool: not for sale"
    return StabilityPool._plan(position, max_repay, True)


@external
@view
def can_auction(collateral_type: uint256, position: ILiquidationMechanism.Position) -> bool:
    """
    @notice Return whether an unsafe vault may go to an auction. Anyone.
    @param collateral_type [id] The pool's.
    @param position The vault as it stands, its fee charged, and the price.
    @return True where the pool's coins are too few for any part, unless the rest is written off; and where
            the price is the last one of a feed that is dead, at which the pool buys nothing.
    """
    if staticcall StabilityPool.PRICE_FEED.current_price(StabilityPool.COLLATERAL_TYPE) == 0:
        return True
    room: uint256 = product_sum._compute_offset_room(product_sum._load_state().coins)
    return StabilityPool._plan(position, room, True).normalized_debt == 0


@internal
def _take_gains(has_claim: bool) -> (uint256, uint256, uint256):
    """@dev Empty the caller's gains: collateral and income to pay, and income that joins the coins, wad."""
    gains: StabilityPool.Gains = StabilityPool._load_gains(msg.sender)
    if not has_claim:
        StabilityPool._store_gains(msg.sender, StabilityPool.Gains(collateral=gains.collateral, income=0))
        return 0, 0, gains.income
    collateral: uint256 = gains.collateral - gains.collateral % StabilityPool.UNIT
    StabilityPool._store_gains(
        msg.sender, StabilityPool.Gains(collateral=gains.collateral - collateral, income=0)
    )
    return collateral, gains.income, 0


@internal
def _pay_gains(collateral: uint256, coins: uint256):
    if collateral != 0:
        StabilityPool._send_collateral(msg.sender, collateral)
    if coins != 0:
        funds._send_asset_tokens(msg.sender, coins)

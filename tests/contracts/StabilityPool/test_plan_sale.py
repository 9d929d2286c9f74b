"""plan_sale: the collateral and debt that the pool buys from an unsafe vault, and its payment."""

from dataclasses import replace

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.interfaces import Position
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_steps import POOL, TERMS, WETH, deploy_with_pool

NOTHING = (0, 0, 0, 0)
VAULT = Position(10 * WAD, 12_000 * WAD, RAY, 14_500, 2_000 * RAD, 1, 1_400 * RAY)
"""10 ether at 1,400 and a debt of 12,000: with 5% on top it is worth 9 ether."""


def plan(protocol, position=VAULT, max_repay=MAX_UINT256, pool=POOL):
    position = position._replace(buyer=protocol.address(pool))
    return protocol.read(f"{pool}.plan_sale", WETH, tuple(position), 0, max_repay)


def test_the_pool_is_the_only_buyer(pooled):
    for buyer in ("alice", "VaultEngine"):
        position = VAULT._replace(buyer=pooled.address(buyer))
        with reverts("stability_pool: not for sale"):
            pooled.read(f"{POOL}.plan_sale", WETH, tuple(position), MAX_UINT256, MAX_UINT256)


@pytest.mark.parametrize(
    ("price", "collateral", "paid"),
    [
        (1_400, 9 * WAD, 12_000 * WAD),  # an ether stays with the owner
        (1_260, 10 * WAD, 12_000 * WAD),  # exactly all of it
        (1_250, 10 * WAD, 12_000 * WAD),
        (1_207, 10 * WAD, 12_000 * WAD),  # 9.95 ether are worth 12,009.65
        (1_206, 10 * WAD, 11_999_700 * WAD // 1_000),  # and 11,999.7
        (1_000, 10 * WAD, 9_950 * WAD),
    ],
)
def test_all_of_a_vault(pooled, price, collateral, paid):
    """The payment is the debt, or the worth of the collateral without the reward of 0.5% if less."""
    sale = plan(pooled, VAULT._replace(price=price * RAY))
    assert sale == (collateral, 12_000 * WAD, paid, 0)
    assert plan(pooled, VAULT._replace(price=price * RAY), paid) == sale
    assert plan(pooled, VAULT._replace(price=price * RAY), paid - 1) != sale


@pytest.mark.parametrize("floor", [2_000 * RAD, 0])
def test_a_debt_without_collateral(pooled, floor):
    """An auction that is unwound leaves one; without coins the pool takes nothing, and says so."""
    vault = VAULT._replace(locked_collateral=0, debt_floor=floor)
    assert plan(pooled, vault, 0) == NOTHING
    assert plan(pooled, vault) == (0, 12_000 * WAD, 0, 0)


def test_the_price_is_rounded_up(pooled):
    """12,600 at 1,700 are 7.4117.. ether, and the pool pays all of a debt that is no whole wei."""
    sale = plan(pooled, VAULT._replace(price=1_700 * RAY))
    assert sale.collateral == 7_411_764_705_882_352_942
    uneven = VAULT._replace(normalized_debt=12 * WAD, accumulated_rate=1_000 * RAY + 1)
    assert plan(pooled, uneven) == (9 * WAD + 1, 12 * WAD, 12_000 * WAD + 1, 0)


@pytest.mark.parametrize(
    ("coins", "sale"),
    [
        (12_000 * WAD - 1, (7_500 * WAD // 1_000, 10_000 * WAD, 10_000 * WAD, 0)),  # the rest is the floor
        (10_000 * WAD, (7_500 * WAD // 1_000, 10_000 * WAD, 10_000 * WAD, 0)),
        (5_000 * WAD, (3_750 * WAD // 1_000, 5_000 * WAD, 5_000 * WAD, 0)),
        (2_000 * WAD, (1_500 * WAD // 1_000, 2_000 * WAD, 2_000 * WAD, 0)),
        (2_000 * WAD - 1, NOTHING),  # 1,500 * WAD // 1_000 - 1 wei of ether stand for less than the floor
        (1, NOTHING),
        (0, NOTHING),
    ],
)
def test_a_part_between_two_floors(pooled, coins, sale):
    assert plan(pooled, VAULT, coins) == sale


def test_a_debt_of_two_floors_is_the_least_that_is_divided(pooled):
    small = VAULT._replace(locked_collateral=4 * WAD, normalized_debt=4_000 * WAD)
    half = (1_500 * WAD // 1_000, 2_000 * WAD, 2_000 * WAD, 0)
    assert plan(pooled, small, 4_000 * WAD - 1) == half
    assert plan(pooled, small._replace(normalized_debt=4_000 * WAD - 1), 4_000 * WAD - 2) == NOTHING
    assert plan(pooled, small._replace(debt_floor=4_000 * RAD + 1), 4_000 * WAD - 1) == NOTHING


def test_a_part_under_water_leaves_the_rest_as_it_was(pooled):
    """Half of the coins take half of the vault: 5 ether, of which 4.975 are paid for."""
    sale = plan(pooled, VAULT._replace(price=1_000 * RAY), 4_975 * WAD)
    assert sale == (5 * WAD, 6_000 * WAD, 4_975 * WAD, 0)


def test_a_part_under_the_penalty_is_no_better_than_the_rest(pooled):
    """Worth 104% of the debt: a part in proportion, not one with 5%."""
    sale = plan(pooled, VAULT._replace(price=1_248 * RAY), 6_000 * WAD)
    assert sale == (5 * WAD, 6_000 * WAD, 6_000 * WAD, 0)


@pytest.mark.parametrize("price", [1_700, 1_400, 1_261, 1_248, 1_203, 900])
@pytest.mark.parametrize("unit", [1, 10**10])
@pytest.mark.parametrize("coins", [2_017, 5_003, 8_501])
def test_a_part_leaves_the_rest_no_worse(pooled, price, unit, coins):
    """For odd rates too, and for tokens of few decimals; each part of the debt is paid but for its loss."""
    rate = 1_234_567_891_011_121_314_151_617_181
    vault = VAULT._replace(
        normalized_debt=12_000 * WAD * RAY // rate, accumulated_rate=rate, price=price * RAY, unit=unit
    )
    pool = POOL if unit == 1 else "StabilityPool.WBTC"
    sale = plan(pooled, vault, coins * WAD, pool)
    left, debt = vault.locked_collateral - sale.collateral, vault.normalized_debt - sale.normalized_debt
    assert 0 < sale.normalized_debt < vault.normalized_debt
    assert left * vault.normalized_debt >= vault.locked_collateral * debt
    assert min(sale.normalized_debt, debt) * rate >= vault.debt_floor
    assert sale.paid <= coins * WAD
    assert sale.collateral % pooled.read(f"{pool}.UNIT") == 0
    # Members pay at most the collateral's worth, and the price is debt and penalty at most.
    kept = sale.collateral * 9_950 // 10_000
    assert sale.paid <= -(-(kept + pooled.read(f"{pool}.UNIT")) * price)
    assert sale.collateral * price * RAY * 10_000 <= sale.normalized_debt * rate * 10_500


def test_whole_units_of_a_token(pooled):
    """30,000 and 5% at 41,000 are 0.768292682.. bitcoin; a third of the coins buys whole units as well."""
    vault = VAULT._replace(
        locked_collateral=WAD, normalized_debt=30_000 * WAD, price=41_000 * RAY, unit=10**10
    )
    sale = plan(pooled, vault, pool="StabilityPool.WBTC")
    assert sale == (76_829_269 * 10**10, 30_000 * WAD, 30_000 * WAD, 0)
    part = plan(pooled, vault, 10_000 * WAD, "StabilityPool.WBTC")
    # 10,500 at 41,000 are 0.2560975609.. bitcoin.
    stands_for = -(-25_609_756 * 10**10 * 41_000 * 100 // 105)
    assert part == (25_609_756 * 10**10, stands_for, stands_for, 0)


def test_a_price_of_next_to_nothing(pooled):
    """All of the debt is a loss but for a wei, which the pool pays for all of the collateral."""
    assert plan(pooled, VAULT._replace(price=1)) == (10 * WAD, 12_000 * WAD, 1, 0)
    assert plan(pooled, VAULT._replace(price=1), 0) == NOTHING


@pytest.mark.parametrize(
    ("price", "coins", "sale"),
    [
        (1_400, 12_000 * WAD, (9 * WAD, 12_000 * WAD, 12_000 * WAD, 0)),
        (1_400, 6_000 * WAD, (9 * WAD, 12_000 * WAD, 6_000 * WAD, 4_500 * WAD // 1_000)),
        (1_400, 0, (9 * WAD, 12_000 * WAD, 0, 9 * WAD)),
        (1_000, 4_975 * WAD, (10 * WAD, 12_000 * WAD, 4_975 * WAD, 5 * WAD)),
        (1_400, 1, (9 * WAD, 12_000 * WAD, 0, 9 * WAD)),  # a wei would buy 0.00075 wei of ether
    ],
)
def test_what_the_coins_cannot_pay_is_written_off(new_protocol, price, coins, sale):
    """The collateral that stood for it is salvage, the fee of the sale."""
    protocol = deploy_with_pool(new_protocol, replace(TERMS, has_write_off=True))
    assert plan(protocol, VAULT._replace(price=price * RAY), coins) == sale

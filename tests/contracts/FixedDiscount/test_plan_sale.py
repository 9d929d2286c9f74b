"""plan_sale: the sold part of a vault, the bonus of the sale, and the protocol's share."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.fixed_discount import MAX_AMOUNT, Terms
from backstop.model.interfaces import Position
from tests.support.discount_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts

RATIO = 12_500  # a threshold of 80%
VAULT = Position(10 * WAD, 12_000 * WAD, RAY, RATIO, 2_000 * RAD, 1, 1_400 * RAY)
"""10 ether at 1,400 and a debt of 12,000: worth 116.67% of it, health 0.9333."""
TARGET = Terms(base_bonus=500, max_bonus=500, target_health=11_000)
ANY = Terms(base_bonus=500, max_bonus=500, close_factor=10_000)


def sell_for(repaid, price, bonus, scale=10_000):
    """Return the collateral bought for a payment at a bonus, down to the wei, and its cost, up to the wei."""
    collateral = repaid * (scale + bonus) // (price * scale)
    return collateral, -(-collateral * price * scale // (scale + bonus))


@pytest.fixture
def plan(discounted):
    def plan_sale(terms, position=VAULT, max_repay=MAX_UINT256, max_collateral=MAX_UINT256):
        discounted.do("FixedDiscount.set_terms", WETH, tuple(terms), sender="admin")
        amounts = max_collateral, max_repay
        return discounted.read("FixedDiscount.plan_sale", WETH, tuple(position), *amounts)

    return plan_sale


def test_up_to_the_target(plan):
    # 12,000 * (1.1 - 0.9333..) / (1.1 - 1.05 * 0.8): health is cut to a wad.
    health = 14_000 * 8_000 * 10**14 // 12_000
    sale = plan(TARGET)
    most = -(-12_000 * WAD * (11 * WAD // 10 - health) // (26 * WAD // 100))
    assert (sale.collateral, sale.paid) == sell_for(most, 1_400, 500)
    assert sale.normalized_debt == sale.paid
    rest = (10 * WAD - sale.collateral) * 1_400 * 8 // 10
    assert rest / (12_000 * WAD - sale.paid) == pytest.approx(1.1, abs=1e-15)


def test_all_where_the_rest_would_be_under_the_floor(plan):
    # To the target 7,692 are sold, and 4,308 are left.
    health = 14_000 * 8_000 * 10**14 // 12_000
    left = 12_000 * WAD + -12_000 * WAD * (11 * WAD // 10 - health) // (26 * WAD // 100)
    assert plan(TARGET, VAULT._replace(debt_floor=left * RAY)).normalized_debt < 12_000 * WAD
    sale = plan(TARGET, VAULT._replace(debt_floor=left * RAY + 1))
    assert (sale.normalized_debt, sale.paid) == (12_000 * WAD, 12_000 * WAD)
    assert sale.collateral == 12_000 * WAD * 105 // 140_000 < 10 * WAD


def test_a_part_that_leaves_too_little_is_refused(plan):
    assert plan(ANY, max_repay=10_000 * WAD).paid == 10_000 * WAD
    with reverts("fixed_discount: costs too much"):
        plan(ANY, max_repay=10_000 * WAD + 1)


def test_whole_once_worth_is_at_most_debt_and_bonus(plan):
    """At 105% of the debt, to the wei, the vault is sold whole, and no part of it."""
    edge = VAULT._replace(price=1_260 * RAY)
    sale = plan(TARGET, edge)
    assert sale == (10 * WAD, 12_000 * WAD, 12_000 * WAD, 0)
    for wanted in ({"max_repay": 12_000 * WAD - 1}, {"max_collateral": 10 * WAD - 1}):
        with reverts("fixed_discount: whole vault only"):
            plan(TARGET, edge, **wanted)
    above = edge._replace(price=1_260 * RAY + 10**9)
    assert 999 * WAD < plan(TARGET, above, max_repay=1_000 * WAD).paid <= 1_000 * WAD


def test_what_is_not_repaid_leaves_the_vault_too(plan):
    sale = plan(TARGET, VAULT._replace(price=1_000 * RAY))
    assert (sale.collateral, sale.normalized_debt) == (10 * WAD, 12_000 * WAD)
    assert sale.paid == -(-10_000 * WAD * 100 // 105)


@pytest.mark.parametrize(
    ("price", "bonus"),
    [(1_499, 500), (1_485, 510), (1_425, 550), (1_350, 600), (1_349, 600)],
)
def test_a_bonus_that_grows_as_health_falls(plan, price, bonus):
    """5% at a health of 1, 6% at 0.9 and under it; whole basis points, rounded down."""
    terms = Terms(base_bonus=500, max_bonus=600, full_bonus_health=9_000, close_factor=10_000)
    sale = plan(terms, VAULT._replace(price=price * RAY), max_repay=1_000 * WAD)
    assert (sale.collateral, sale.paid) == sell_for(1_000 * WAD, price, bonus)


def test_a_discount_as_large_as_the_distance_from_health(plan):
    """Euler's: nothing at health, then 1 - health, up to the most."""
    terms = Terms(max_discount=1_000, close_factor=10_000)
    for price, discount in ((1_485, 1), (1_425, 5), (1_200, 10)):
        vault = VAULT._replace(price=price * RAY)
        sale = plan(terms, vault, max_repay=12_000 * WAD)
        exact = sale.collateral * price * (100 - discount) / 100
        assert exact == pytest.approx(sale.paid, rel=1e-15)


def test_a_bonus_from_the_liquidation_ratio(plan):
    """Morpho Blue's at an lltv of 80%: 1 / (1 - 0.3 * 0.2), and at most the largest."""
    sale = plan(Terms(max_bonus=1_500, cursor=3_000, close_factor=10_000), max_repay=940 * WAD)
    factor = WAD * WAD // (94 * WAD // 100)
    assert (sale.collateral, sale.paid) == sell_for(940 * WAD, 1_400, factor - WAD, WAD)
    capped = plan(Terms(max_bonus=100, cursor=3_000, close_factor=10_000), max_repay=940 * WAD)
    assert capped.collateral == 940 * WAD * 101 // 140_000


def test_a_close_factor_with_its_thresholds(plan):
    """Half above a health and a size, all at them."""
    half = ANY._replace(close_factor=5_000, whole_close_health=9_333, small_position=12_000)
    assert plan(half).paid == 6_000 * WAD
    assert plan(half._replace(whole_close_health=9_334)).paid == 12_000 * WAD
    assert plan(half._replace(small_position=12_001)).paid == 12_000 * WAD
    rich = VAULT._replace(locked_collateral=10 * WAD, normalized_debt=13_000 * WAD)
    assert plan(half._replace(small_position=13_000, whole_close_health=0), rich).paid == 6_500 * WAD


def test_a_close_factor_at_exactly_the_health_of_its_threshold(plan):
    """10 * 1,425 * 80% is 95% of 12,000."""
    half = ANY._replace(close_factor=5_000, whole_close_health=9_500)
    assert plan(half, VAULT._replace(price=1_425 * RAY)).paid == 12_000 * WAD


def test_a_fee_is_a_part_of_the_bonus(plan):
    sale = plan(ANY._replace(fee=1_000), max_repay=1_000 * WAD)
    amount = sale.collateral
    assert sale.fee == amount * 5 // 105 // 10 > 0
    assert plan(ANY, max_repay=1_000 * WAD).fee == 0
    assert plan(ANY._replace(fee=10_000), max_repay=1_000 * WAD).fee == amount * 5 // 105


@pytest.mark.parametrize("units", [1, 2, 3])
def test_a_vault_of_dear_units_is_sold_with_its_bonus(plan, units):
    """Rounded up the fee of 1% of the bonus would be a whole unit: more than a buyer gains."""
    dear = VAULT._replace(
        locked_collateral=units * WAD, unit=WAD, price=10_000 * RAY, normalized_debt=units * 9_900 * WAD
    )
    sale = plan(TARGET._replace(fee=100), dear)
    assert (sale.collateral, sale.fee) == (units * WAD, 0)
    assert sale.paid == -(-units * 10_000 * WAD * 100 // 105)


def test_whole_units_cost_no_more_than_they_are_worth(plan):
    """Of 2.5 units that a payment could buy two are sold, and the payment is for two."""
    dear = VAULT._replace(unit=WAD, locked_collateral=10 * WAD)
    sale = plan(ANY, dear, max_repay=3_400 * WAD)
    assert sale.collateral == 2 * WAD
    assert sale.paid == sale.normalized_debt == -(-2_800 * WAD * 100 // 105)


def test_a_buyer_names_the_most_collateral(plan):
    coarse = VAULT._replace(unit=10**10)
    sale = plan(ANY, coarse, max_collateral=WAD + 10**10 - 1)
    assert sale.collateral == WAD
    assert sale.paid == sale.normalized_debt == -(-1_400 * WAD * 100 // 105)
    # 8.1 of 10 cost 10,800: 1,200 are left of the debt, which is under the floor.
    with reverts("fixed_discount: rest too low"):
        plan(ANY, max_collateral=81 * WAD // 10)


def test_collateral_is_sold_for_the_debt_that_leaves(plan):
    """A payment that is no whole unit of normalized debt takes whole units off, and costs what they do."""
    rate = 7_000 * RAY
    vault = VAULT._replace(normalized_debt=12 * WAD // 7, accumulated_rate=rate)
    sale = plan(ANY, vault, max_repay=13_999)
    assert (sale.collateral, sale.normalized_debt, sale.paid) == (5, 1, 7_000)
    assert plan(ANY, vault, max_repay=6_999)[:3] == (0, 0, 0)


def test_a_vault_that_is_unsafe_for_another_reason_is_at_health(plan):
    """Called in vain, or short of its add-on: as one that has just become unsafe."""
    safe = VAULT._replace(price=2_000 * RAY)
    sale = plan(TARGET, safe)
    assert (sale.collateral, sale.paid) == sell_for(-(-12_000 * WAD * 10 // 26), 2_000, 500)


def test_amounts_that_no_ledger_has(plan):
    large = VAULT._replace(normalized_debt=1, accumulated_rate=MAX_AMOUNT)
    with reverts("fixed_discount: amount too large"):
        plan(ANY, large)


def test_without_terms(discounted):
    with reverts("fixed_discount: no terms"):
        discounted.read("FixedDiscount.plan_sale", 2, tuple(VAULT), MAX_UINT256, MAX_UINT256)

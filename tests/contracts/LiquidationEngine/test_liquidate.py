"""liquidate: unsafe vaults, and as much of them as the limits leave room for, go up for auction."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import (
    NOBODY,
    WBTC,
    WETH,
    get_only_event_values,
    liquidate_vault,
    read_stablecoins,
    start_auction,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    GRACE,
    INITIAL,
    LIQUIDATION,
    NONE,
    VALID,
    allow_calls,
    compute_collateral,
    compute_size_margin,
    margin_call_ether_vault_as_stranger,
    open_vault_below_call_ratio,
    read_call_time,
    repay_debt,
)

RATIO = 14_500


def open_vault(protocol, who="borrower", debt=12_000 * WAD, collateral=10 * WAD):
    protocol.borrow(who, "WETH", collateral, debt)


def debt_of(protocol, who="borrower", c=WETH):
    """Accrued to now, rad."""
    rate = protocol.do("VaultEngine.accrue", c, sender="stranger")
    return protocol.read("VaultEngine.vault", c, who).normalized_debt * rate


def test_takes_the_whole_vault(protocol):
    open_vault(protocol)
    protocol.post_price("WETH", 1_500 * RAY)
    debt = debt_of(protocol)
    id = liquidate_vault(protocol)
    auction = protocol.read("CollateralAuction.auction_of", id)
    assert auction.owner == protocol.address("borrower")
    assert (auction.collateral_type, auction.lot, auction.principal) == (WETH, 10 * WAD, debt)
    assert protocol.read("VaultEngine.vault", WETH, "borrower")[:2] == (0, 0)
    assert protocol.read("VaultEngine.in_auction_of", WETH) == debt


def test_reports_what_it_did(protocol):
    open_vault(protocol)
    protocol.post_price("WETH", 1_500 * RAY)
    id = liquidate_vault(protocol)
    debt = protocol.read("CollateralAuction.auction_of", id).principal
    # The principal in whole wei, and 13% in whole millionths; of that a thousandth, and 50.
    target = -(-debt // RAY) + debt * 13 // 100 // 10**39 * 10**12
    reward = 50 * WAD + target // 1_000
    log = get_only_event_values(protocol, "Liquidated", "LiquidationEngine")
    assert log == (id, WETH, protocol.address("borrower"), 10 * WAD, debt, reward)
    assert read_stablecoins(protocol, "liquidator") == reward


def test_only_under_the_ratio_to_the_wei(protocol):
    protocol.do("VaultEngine.set_stability_fee", WETH, 0, sender="admin")
    open_vault(protocol)
    debt = debt_of(protocol)
    lowest_safe = -(-debt * RATIO // (10 * WAD * 10_000))
    protocol.post_price("WETH", lowest_safe)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(protocol)
    protocol.post_price("WETH", lowest_safe - 1)
    liquidate_vault(protocol)


def test_fees_make_a_vault_unsafe(protocol):
    open_vault(protocol, debt=13_000 * WAD)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(protocol)
    for _ in range(3):
        protocol.advance(365 * 86_400)
        protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    protocol.post_price("WETH", 2_000 * RAY)
    liquidate_vault(protocol)


def test_the_next_price_does_not_liquidate(protocol):
    open_vault(protocol)
    protocol.post_next("WETH", 1_000 * RAY)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(protocol)


@pytest.mark.parametrize("coming", [1_400, 1_500, 1_501, 3_000])
def test_the_lot_is_sold_from_the_next_price_where_that_is_higher(protocol, coming):
    """No liquidator waits for that price: the vault is unsafe at the current one."""
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 1_500 * RAY)
    protocol.post_next("WETH", coming * RAY)
    id = liquidate_vault(protocol)
    assert protocol.read("CollateralAuction.auction_of", id).top == max(1_500, coming) * RAY * 12 // 10


def test_needs_a_fresh_price(protocol):
    open_vault(protocol)
    protocol.post_price("WETH", 1_000 * RAY)
    protocol.advance(14_401)
    with reverts("liquidation_engine: no price"):
        liquidate_vault(protocol)


def test_not_in_a_halt(protocol):
    open_vault(protocol)
    protocol.post_price("WETH", 1_000 * RAY)
    protocol.do("PriceFeed.set_halted", 0, True, sender="admin")
    with reverts("liquidation_engine: no price"):
        liquidate_vault(protocol)
    protocol.do("PriceFeed.set_halted", 0, False, sender="admin")
    liquidate_vault(protocol)


def test_at_the_last_price_of_a_dead_feed(protocol):
    protocol.do("PriceFeed.set_guards", 0, 0, 1, 0, 86_400, sender="admin")
    open_vault(protocol)
    protocol.post_price("WETH", 1_000 * RAY)
    protocol.advance(14_400 + 86_400 + 1)
    id = liquidate_vault(protocol)
    assert protocol.read("CollateralAuction.auction_of", id).top == 1_200 * RAY


def test_an_unknown_type_has_no_price(protocol):
    with reverts("liquidation_engine: no price"):
        liquidate_vault(protocol, collateral_type=31)


def test_an_empty_vault_is_safe(protocol):
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(protocol, "stranger")


def test_not_twice(protocol):
    start_auction(protocol)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(protocol)


def test_nothing_beyond_the_limit(protocol):
    open_vault(protocol)
    open_vault(protocol, "saver")
    protocol.do("VaultEngine.set_auction_limit", WETH, 12_000, sender="admin")
    protocol.post_price("WETH", 1_500 * RAY)
    # The rest would be under the floor, so the whole vault goes, a little over the limit.
    liquidate_vault(protocol)
    assert protocol.read("VaultEngine.in_auction_of", WETH) > 12_000 * RAD
    with reverts("liquidation_engine: no room"):
        liquidate_vault(protocol, "saver")


@pytest.mark.parametrize("setter", ["set_auction_limit", "set_global_auction_limit"])
def test_a_part_fills_the_limit_and_leaves_the_vault_no_worse(protocol, setter):
    open_vault(protocol)
    arguments = (WETH,) if setter == "set_auction_limit" else ()
    protocol.do(f"VaultEngine.{setter}", *arguments, 5_000, sender="admin")
    protocol.post_price("WETH", 1_500 * RAY)
    rate = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    before = protocol.read("VaultEngine.vault", WETH, "borrower")
    id = liquidate_vault(protocol)
    after = protocol.read("VaultEngine.vault", WETH, "borrower")
    auction = protocol.read("CollateralAuction.auction_of", id)
    # A unit of collateral stands for some 1,200 of debt.
    assert 5_000 * RAD - 1_201 * rate < auction.principal <= 5_000 * RAD
    assert auction.principal == (before.normalized_debt - after.normalized_debt) * rate
    assert auction.lot == before.locked_collateral - after.locked_collateral
    assert (
        after.locked_collateral * before.normalized_debt >= before.locked_collateral * after.normalized_debt
    )
    assert after.normalized_debt * rate >= 2_000 * RAD


def test_the_limits_are_passed_by_less_than_a_floor(protocol):
    open_vault(protocol)
    protocol.do("VaultEngine.set_auction_limit", WETH, 10_001, sender="admin")
    protocol.post_price("WETH", 1_500 * RAY)
    liquidate_vault(protocol)
    assert protocol.read("VaultEngine.vault", WETH, "borrower").normalized_debt == 0
    assert protocol.read("VaultEngine.in_auction_of", WETH) - 10_001 * RAD < 2_000 * RAD


def test_a_part_under_the_floor_waits(protocol):
    open_vault(protocol)
    protocol.do("VaultEngine.set_auction_limit", WETH, 1_999, sender="admin")
    protocol.post_price("WETH", 1_500 * RAY)
    with reverts("liquidation_engine: part too low"):
        liquidate_vault(protocol)


def test_without_a_floor_a_part_still_needs_collateral(protocol):
    protocol.do("VaultEngine.set_debt_floor", WETH, 0, sender="admin")
    protocol.do("VaultEngine.set_auction_limit", WETH, 5_000, sender="admin")
    # At this rate the limit cannot be filled to the last rad, though a unit stands for less than a wei.
    protocol.advance(7_777)
    for _ in range(2):
        protocol.post_price("WETH", RAY)
    open_vault(protocol, collateral=20_000 * WAD)
    open_vault(protocol, "saver", collateral=20_000 * WAD)
    protocol.post_price("WETH", 3 * RAY // 4)
    liquidate_vault(protocol)
    assert protocol.read("VaultEngine.in_auction_of", WETH) < 5_000 * RAD
    with reverts("liquidation_engine: nothing in"):
        liquidate_vault(protocol, "saver")


def test_a_lot_is_whole_units_of_the_token(protocol):
    protocol.borrow("borrower", "WBTC", WAD, 35_000 * WAD)
    protocol.do("VaultEngine.set_auction_limit", WBTC, 10_000, sender="admin")
    protocol.post_price("WBTC", 45_000 * RAY)
    auction = protocol.read("CollateralAuction.auction_of", liquidate_vault(protocol, collateral_type=WBTC))
    assert auction.lot % 10**10 == 0
    left = protocol.read("VaultEngine.vault", WBTC, "borrower").locked_collateral
    assert left % 10**10 == 0 and left + auction.lot == WAD


def test_anyone_may_and_names_who_is_paid(protocol):
    open_vault(protocol)
    protocol.post_price("WETH", 1_500 * RAY)
    protocol.do("LiquidationEngine.liquidate", WETH, "borrower", "saver", sender="stranger")
    assert read_stablecoins(protocol, "saver") > 0
    assert read_stablecoins(protocol, "stranger") == 0


def test_nobody_can_be_paid(protocol):
    """The stablecoin refuses the zero address, so such a call fails as a whole."""
    open_vault(protocol)
    protocol.post_price("WETH", 1_500 * RAY)
    with reverts("erc20: mint to the zero address"):
        protocol.do("LiquidationEngine.liquidate", WETH, "borrower", NOBODY, sender="stranger")


def test_never_stops_for_lack_of_reward_money(protocol):
    """The reserve is empty: the reward becomes a deficit, recognised at once."""
    open_vault(protocol)
    protocol.post_price("WETH", 1_500 * RAY)
    reserve = protocol.read("VaultEngine.reserve")
    id = liquidate_vault(protocol)
    reward = get_only_event_values(protocol, "Liquidated", "LiquidationEngine")[5]
    assert reserve < reward * RAY
    assert protocol.read("VaultEngine.deficit_of", WETH) > 0
    assert protocol.read("VaultEngine.reserve") == 0
    assert id == 1


# ------------------------------------------------------------- margin calls


@pytest.fixture
def called(guarded):
    """A vault between both ratios has been called, just now."""
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    margin_call_ether_vault_as_stranger(guarded)
    return guarded


def wait(protocol, until, price=None):
    """Advance to so long after the call; a price is fresh then, the same or another."""
    price = price or protocol.read("PriceFeed.prices_of", WETH).current
    end = read_call_time(protocol) + until
    # The price counts from the second of two posts on.
    protocol.advance(end - 3_600 - protocol.timestamp)
    for seconds in (3_600, 0):
        for i in range(3):
            protocol.do("PriceFeed.report", WETH, price, sender=f"reporter_{i + 1}")
        protocol.do("PriceFeed.poke", WETH, sender="stranger")
        protocol.advance(seconds)
    assert protocol.timestamp == end and protocol.read("PriceFeed.current_price", WETH) == price


@pytest.mark.parametrize("until", [GRACE, GRACE + VALID])
def test_a_called_vault_is_liquidated_from_the_end_of_its_grace_on(called, until):
    wait(called, until)
    auction = called.read("CollateralAuction.auction_of", liquidate_vault(called))
    assert auction.principal == 10_000 * RAD
    # All of it: nothing is left to be called.
    assert called.read("VaultEngine.vault", WETH, "borrower")[:3] == (0, 0, 0)


@pytest.mark.parametrize("until", [GRACE - 1, GRACE + VALID + 1])
def test_and_not_before_nor_after_its_time(called, until):
    wait(called, until)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(called)
    assert read_call_time(called) != 0


def test_a_vault_that_has_met_the_call_is_safe(called):
    repay_debt(called, "borrower", 1_000 * WAD)
    called.advance(GRACE)
    called.post_price("WETH", called.read("PriceFeed.prices_of", WETH).current)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(called)


def test_a_call_that_the_price_has_met_is_no_reason(called):
    wait(called, GRACE, price=2_000 * RAY)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(called)


def test_a_due_vault_waits_for_a_fresh_price(called):
    called.advance(GRACE)
    with reverts("liquidation_engine: no price"):
        liquidate_vault(called)


def test_calls_that_are_switched_off_liquidate_nobody(called):
    wait(called, GRACE)
    allow_calls(called, ratio=0)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(called)


def test_a_vault_that_was_never_called_is_not_due(called):
    open_between_another(called)
    wait(called, GRACE)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(called, "saver")


def open_between_another(protocol):
    """A vault of the same ratio as the borrower's."""
    vault = protocol.read("VaultEngine.vault", WETH, "borrower")
    price = protocol.read("PriceFeed.current_price", WETH)
    protocol.borrow("saver", "WETH", 2 * vault.locked_collateral, 10_000 * WAD)
    protocol.post_price("WETH", 2_000 * RAY)
    repay_debt(protocol, "saver", 0, vault.locked_collateral)
    protocol.post_price("WETH", price)


def test_under_the_liquidation_ratio_nobody_waits(called):
    called.post_price("WETH", 1_500 * RAY)
    assert called.timestamp < read_call_time(called) + GRACE
    liquidate_vault(called)


def test_a_part_leaves_the_rest_called(called):
    called.do("VaultEngine.set_auction_limit", WETH, 4_000, sender="admin")
    wait(called, GRACE)
    before = read_call_time(called)
    liquidate_vault(called)
    assert called.read("VaultEngine.vault", WETH, "borrower").normalized_debt == 6_000 * WAD
    assert read_call_time(called) == before


def test_a_large_debt_is_unsafe_earlier(guarded):
    """Its brackets stand above the liquidation ratio, to the wei."""
    brackets = ((4_000, 1_000), (8_000, 2_000))
    guarded.do("RiskPolicy.set_brackets", WETH, brackets, NONE, sender="admin")
    debt = 10_000 * RAD
    needed = debt * INITIAL + compute_size_margin(brackets, debt)
    guarded.borrow("borrower", "WETH", compute_collateral(needed), 10_000 * WAD)
    locked = guarded.read("VaultEngine.vault", WETH, "borrower").locked_collateral
    lowest_safe = -(-(debt * LIQUIDATION + compute_size_margin(brackets, debt)) // (locked * 10_000))
    guarded.post_price("WETH", lowest_safe)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(guarded)
    guarded.post_price("WETH", lowest_safe - 1)
    liquidate_vault(guarded)


def test_knows_its_wiring(protocol):
    for view, contract in (
        ("VAULT_ENGINE", "VaultEngine"),
        ("PRICE_FEED", "PriceFeed"),
        ("COLLATERAL_AUCTION", "CollateralAuction"),
    ):
        assert protocol.read(f"LiquidationEngine.{view}") == protocol.address(contract)


def test_one_unit_of_debt_puts_its_type_in_distress(new_protocol):
    """There is no less. Where a type has no floor, any borrower may owe one unit."""
    weth, *others = build_standard_parameters().collateral_types
    weth = replace(weth, debt_floor=0, stability_fee=0)
    protocol = new_protocol(replace(build_standard_parameters(), collateral_types=(weth, *others)))
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    open_vault(protocol, debt=1, collateral=1)
    protocol.post_price("WETH", RAY)
    liquidate_vault(protocol)
    assert protocol.read("VaultEngine.in_auction_of", WETH) == RAY
    assert protocol.read("VaultEngine.debts_of", WETH).distressed != 0

"""call: a vault under the call ratio is called for more margin, by anyone, once at a time."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    CALL,
    GRACE,
    INITIAL,
    NONE,
    VALID,
    allow_calls,
    call_price,
    compute_collateral,
    compute_size_margin,
    draw_debt,
    margin_call_ether_vault_as_stranger,
    open_vault_below_call_ratio,
    read_call_time,
    repay_debt,
)


def test_is_noted_and_logged(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    guarded.do("LiquidationEngine.call", WETH, "borrower", sender="stranger")
    now, borrower = guarded.timestamp, guarded.address("borrower")
    assert get_only_event_values(guarded, "MarginCalled", "LiquidationEngine") == (
        WETH,
        borrower,
        now + GRACE,
        now + GRACE + VALID,
    )
    assert read_call_time(guarded) == now


def test_moves_nothing(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    before = guarded.read("VaultEngine.vault", WETH, "borrower")
    margin_call_ether_vault_as_stranger(guarded)
    assert guarded.read("VaultEngine.vault", WETH, "borrower") == before._replace(called_at=guarded.timestamp)


def test_under_the_call_ratio_to_the_wei(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    vault = guarded.read("VaultEngine.vault", WETH, "borrower")
    lowest = -(-vault.normalized_debt * RAY * CALL // (vault.locked_collateral * 10_000))
    guarded.post_price("WETH", lowest)
    with reverts("liquidation_engine: margin met"):
        margin_call_ether_vault_as_stranger(guarded)
    guarded.post_price("WETH", lowest - 1)
    margin_call_ether_vault_as_stranger(guarded)


def test_the_size_of_the_debt_counts(guarded):
    """The brackets of vaults stand above the call ratio as they do above the others."""
    allow_calls(guarded)
    brackets = ((4_000, 1_000), (8_000, 2_000))
    guarded.do("RiskPolicy.set_brackets", WETH, brackets, NONE, sender="admin")
    debt = 10_000 * RAD
    guarded.borrow(
        "borrower",
        "WETH",
        compute_collateral(debt * INITIAL + compute_size_margin(brackets, debt)),
        10_000 * WAD,
    )
    locked = guarded.read("VaultEngine.vault", WETH, "borrower").locked_collateral
    lowest = -(-(debt * CALL + compute_size_margin(brackets, debt)) // (locked * 10_000))
    assert lowest > call_price(locked, 10_000 * WAD)
    guarded.post_price("WETH", lowest)
    with reverts("liquidation_engine: margin met"):
        margin_call_ether_vault_as_stranger(guarded)
    guarded.post_price("WETH", lowest - 1)
    margin_call_ether_vault_as_stranger(guarded)


def test_the_types_brackets_do_not(guarded):
    allow_calls(guarded)
    guarded.borrow("borrower", "WETH", compute_collateral(10_000 * RAD * INITIAL), 10_000 * WAD)
    guarded.do("RiskPolicy.set_brackets", WETH, NONE, ((0, 5_000), (0, 5_000)), sender="admin")
    with reverts("liquidation_engine: margin met"):
        margin_call_ether_vault_as_stranger(guarded)


def test_fees_count(guarded):
    """Fees accrued until now are debt."""
    allow_calls(guarded)
    guarded.do("VaultEngine.set_stability_fee", WETH, 10**18, sender="admin")
    guarded.borrow(
        "borrower", "WETH", compute_collateral(10_000 * RAD * INITIAL) + WAD // 10**6, 10_000 * WAD
    )
    guarded.advance(365 * 86_400)
    guarded.post_price("WETH", 2_000 * RAY)
    margin_call_ether_vault_as_stranger(guarded)


def test_a_vault_without_debt_meets_it(guarded):
    allow_calls(guarded)
    guarded.borrow("borrower", "WETH", WAD, 0)
    for who in ("borrower", "stranger"):
        with reverts("liquidation_engine: margin met"):
            margin_call_ether_vault_as_stranger(guarded, who)


def test_needs_a_fresh_price(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    guarded.advance(14_401)
    with reverts("liquidation_engine: no price now"):
        margin_call_ether_vault_as_stranger(guarded)


def test_the_next_price_calls_nobody(guarded):
    allow_calls(guarded)
    guarded.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    guarded.post_next("WETH", 1_000 * RAY)
    with reverts("liquidation_engine: margin met"):
        margin_call_ether_vault_as_stranger(guarded)


def test_without_calls_nobody_is_called(guarded):
    open_vault_below_call_ratio(guarded)
    with reverts("liquidation_engine: margin met"):
        margin_call_ether_vault_as_stranger(guarded)
    allow_calls(guarded)
    allow_calls(guarded, ratio=0)
    with reverts("liquidation_engine: margin met"):
        margin_call_ether_vault_as_stranger(guarded)


def test_without_a_policy_there_are_none(protocol):
    assert protocol.read("LiquidationEngine.RISK_POLICY") == "0x" + "00" * 20
    with reverts("liquidation_engine: no calls"):
        protocol.do("LiquidationEngine.call", WETH, "borrower", sender="stranger")


def test_not_while_one_runs(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    price = guarded.read("PriceFeed.current_price", WETH)
    margin_call_ether_vault_as_stranger(guarded)
    began = guarded.timestamp
    for at in (began, began + GRACE, began + GRACE + VALID):
        guarded.advance(at - guarded.timestamp)
        if at != began:
            fresh_at(guarded, price)
        with reverts("liquidation_engine: call runs"):
            margin_call_ether_vault_as_stranger(guarded)
        assert read_call_time(guarded) == began


def test_again_once_it_has_expired(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    price = guarded.read("PriceFeed.current_price", WETH)
    margin_call_ether_vault_as_stranger(guarded)
    guarded.advance(GRACE + VALID + 1)
    fresh_at(guarded, price)
    margin_call_ether_vault_as_stranger(guarded)
    assert read_call_time(guarded) == guarded.timestamp


def fresh_at(protocol, price):
    """The price is posted again, in this second."""
    for i in range(3):
        protocol.do("PriceFeed.report", WETH, price, sender=f"reporter_{i + 1}")
    protocol.do("PriceFeed.poke", WETH, sender="stranger")


def test_a_call_that_was_met_may_be_followed_by_another(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    margin_call_ether_vault_as_stranger(guarded)
    repay_debt(guarded, "borrower", 1_000 * WAD)
    assert read_call_time(guarded) == 0
    with reverts("liquidation_engine: margin met"):
        margin_call_ether_vault_as_stranger(guarded)
    locked = guarded.read("VaultEngine.vault", WETH, "borrower").locked_collateral
    guarded.post_price("WETH", call_price(locked, 9_000 * WAD))
    margin_call_ether_vault_as_stranger(guarded)
    assert read_call_time(guarded) == guarded.timestamp


def test_an_urgent_vault_may_be_called_as_well(guarded):
    """It is liquidated without waiting all the same."""
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    guarded.post_price("WETH", 1_000 * RAY)
    margin_call_ether_vault_as_stranger(guarded)
    guarded.do("LiquidationEngine.liquidate", WETH, "borrower", "liquidator", sender="liquidator")
    assert guarded.read("VaultEngine.vault", WETH, "borrower")[:3] == (0, 0, 0)


def test_a_called_vault_takes_no_new_risk(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    margin_call_ether_vault_as_stranger(guarded)
    guarded.mint_and_approve_collateral("WETH", "borrower", 1_000 * WAD)
    with reverts("vault_engine: margin call"):
        draw_debt(guarded, "borrower", 1, 1_000 * WAD)
    with reverts("vault_engine: margin call"):
        repay_debt(guarded, "borrower", 5_000 * WAD, 1)
    # One after the other: what meets the call ends it.
    draw_debt(guarded, "borrower", 0, 1_000 * WAD)
    draw_debt(guarded, "borrower", 1)


@pytest.mark.parametrize("way", ["top up", "repay"])
@pytest.mark.parametrize("payer", ["borrower", "stranger"])
def test_what_meets_it_ends_it_whoever_pays_to_the_wei(guarded, way, payer):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    price = guarded.read("PriceFeed.current_price", WETH)
    margin_call_ether_vault_as_stranger(guarded)
    vault, debt = guarded.read("VaultEngine.vault", WETH, "borrower"), 10_000 * RAD
    if way == "top up":
        needed = compute_collateral(debt * CALL, price) - vault.locked_collateral
        guarded.mint_and_approve_collateral("WETH", payer, needed)
        pays = ("VaultEngine.deposit_and_draw", WETH, "borrower")
        guarded.do(*pays, needed - 1, 0, payer, sender=payer)
        assert read_call_time(guarded) != 0
        guarded.do(*pays, 1, 0, payer, sender=payer)
    else:
        most = vault.locked_collateral * price * 10_000 // (CALL * RAY)
        needed = 10_000 * WAD - most
        if payer == "stranger":
            guarded.do("Stablecoin.transfer", payer, needed, sender="borrower")
        pays = ("VaultEngine.repay_and_withdraw", WETH, "borrower")
        if needed > 1:
            guarded.do(*pays, needed - 1, 0, payer, sender=payer)
            assert read_call_time(guarded) != 0
        guarded.do(*pays, 1, 0, payer, sender=payer)
    assert read_call_time(guarded) == 0


def test_a_recovery_of_the_price_ends_it_with_the_next_touch(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    margin_call_ether_vault_as_stranger(guarded)
    guarded.post_price("WETH", 2_000 * RAY)
    assert read_call_time(guarded) != 0
    guarded.do("VaultEngine.deposit_and_draw", WETH, "borrower", 0, 0, "stranger", sender="stranger")
    assert read_call_time(guarded) == 0


def test_calls_that_are_switched_off_end_with_the_next_touch(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    margin_call_ether_vault_as_stranger(guarded)
    allow_calls(guarded, ratio=0)
    guarded.do("VaultEngine.deposit_and_draw", WETH, "borrower", 0, 0, "stranger", sender="stranger")
    assert read_call_time(guarded) == 0


def test_a_broken_feed_blocks_neither_topping_up_nor_repaying(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    margin_call_ether_vault_as_stranger(guarded)
    guarded.advance(14_401)
    assert guarded.read("PriceFeed.current_price", WETH) == 0
    guarded.mint_and_approve_collateral("WETH", "borrower", WAD)
    draw_debt(guarded, "borrower", 0, WAD)
    repay_debt(guarded, "borrower", 1_000 * WAD)
    # Nobody knows whether the call is met.
    assert read_call_time(guarded) != 0
    repay_debt(guarded, "borrower", 9_000 * WAD)
    assert read_call_time(guarded) == 0
    repay_debt(guarded, "borrower", 0, WAD)


def test_not_in_settlement(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    price = guarded.read("PriceFeed.current_price", WETH)
    guarded.do("Settlement.announce", sender="admin")
    guarded.advance(30 * 86_400)
    guarded.post_price("WETH", price)
    guarded.do("Settlement.begin", sender="stranger")
    with reverts("ledger: in settlement"):
        margin_call_ether_vault_as_stranger(guarded)

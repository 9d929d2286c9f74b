"""flag: all of a debt is in doubt while its vault may be liquidated, or could be at the next price."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import WETH, get_only_event_values, liquidate_vault
from tests.support.guard_steps import deploy_with_prices
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    GRACE,
    allow_calls,
    draw_debt,
    margin_call_ether_vault_as_stranger,
    open_vault_below_call_ratio,
    repay_debt,
)

UNSAFE, SAFE = 1_500 * RAY, 1_741 * RAY


@pytest.fixture
def owing(protocol):
    """A vault of 10 WETH at 2,000 and 12,000 of debt, which is unsafe under 1,740; its fee is none."""
    protocol.do("VaultEngine.set_stability_fee", WETH, 0, sender="admin")
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return protocol


def flag(protocol, who="borrower"):
    return protocol.do("LiquidationEngine.flag", WETH, who, sender="stranger")


def doubt(protocol):
    return protocol.read("LiquidationEngine.debt_at_risk_of", WETH)


def owed(protocol):
    rate = protocol.read("VaultEngine.debts_of", WETH).accumulated_rate
    return protocol.read("VaultEngine.vault", WETH, "borrower").normalized_debt * rate


def test_all_of_an_unsafe_vault(owing):
    owing.post_price("WETH", UNSAFE)
    assert flag(owing) == doubt(owing) == owed(owing) >= 12_000 * RAD
    normalized = owing.read("VaultEngine.vault", WETH, "borrower").normalized_debt
    assert get_only_event_values(owing, "VaultFlagged", "LiquidationEngine") == (
        WETH,
        owing.address("borrower"),
        normalized,
    )
    assert owing.read("LiquidationEngine.flag_of", WETH, "borrower") == normalized
    assert owing.read("LiquidationEngine.flagged_of", WETH) == normalized


def test_nothing_of_a_safe_one(owing):
    owing.post_price("WETH", SAFE)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(owing)
    assert flag(owing) == doubt(owing) == 0


def test_a_fall_that_is_only_the_next_price_is_news(owing):
    owing.post_price("WETH", 2_000 * RAY)
    owing.post_next("WETH", UNSAFE)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(owing)
    assert flag(owing) == owed(owing)


def test_a_rise_that_is_only_the_next_price_is_none(owing):
    owing.post_price("WETH", UNSAFE)
    owing.post_next("WETH", 2_000 * RAY)
    assert flag(owing) == owed(owing)
    owing.post_price("WETH", 2_000 * RAY)
    assert flag(owing) == doubt(owing) == 0


def test_what_a_halt_holds_back_is_news(owing):
    owing.do("PriceFeed.set_halted", WETH, True, sender="admin")
    owing.post_next("WETH", UNSAFE)
    assert owing.read("PriceFeed.risk_price", WETH) == 0
    assert owing.read("PriceFeed.current_price", WETH) > UNSAFE == owing.read("PriceFeed.withheld", WETH)
    assert flag(owing) == owed(owing)


def test_a_silent_feed_flags_nothing(owing):
    """Until it is dead: its last price counts then."""
    owing.advance(2 * 86_400)
    with reverts("vault_flags: no price"):
        flag(owing)


def test_without_a_debt_no_price_is_needed_to_clear_it(owing):
    owing.post_price("WETH", UNSAFE)
    flag(owing)
    repay_debt(owing, "borrower", 2**256 - 1)
    assert doubt(owing) == 0
    owing.advance(10 * 86_400)
    assert flag(owing) == 0
    assert owing.read("LiquidationEngine.flagged_of", WETH) == 0


def test_a_fee_grows_on_it(owing):
    owing.do("VaultEngine.set_stability_fee", WETH, 10**18, sender="admin")
    owing.post_price("WETH", UNSAFE)
    flag(owing)
    before = doubt(owing)
    owing.advance(86_400)
    owing.do("VaultEngine.accrue", WETH, sender="stranger")
    assert doubt(owing) == owed(owing) > before


def test_after_a_repayment_in_part_anybody_has_it_looked_at_again(owing):
    """It is too high until then, and never above all that the type owes."""
    owing.post_price("WETH", UNSAFE)
    before = flag(owing)
    repay_debt(owing, "borrower", 1_000 * WAD)
    assert owed(owing) < before
    assert doubt(owing) == owed(owing)
    assert flag(owing) == doubt(owing) == owed(owing)
    assert owing.read("LiquidationEngine.flagged_of", WETH) * RAY == owed(owing)


def test_a_top_up_that_makes_it_safe_clears_it_at_the_next_look(owing):
    owing.post_price("WETH", UNSAFE)
    flag(owing)
    owing.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
    draw_debt(owing, "borrower", 0, deposit=10 * WAD)
    assert doubt(owing) == owed(owing)
    assert flag(owing) == doubt(owing) == 0


def test_a_liquidation_takes_it_over(owing):
    """Flagged, then under auction: it counts once."""
    owing.post_price("WETH", UNSAFE)
    before = flag(owing)
    liquidate_vault(owing)
    assert owing.read("LiquidationEngine.flag_of", WETH, "borrower") == 0
    assert doubt(owing) == owing.read("VaultEngine.in_auction_of", WETH) == before


def test_a_liquidation_in_part_leaves_it_on_the_rest(owing):
    owing.do("VaultEngine.set_auction_limit", WETH, 5_000, sender="admin")
    owing.post_price("WETH", UNSAFE)
    before = flag(owing)
    liquidate_vault(owing)
    left = owing.read("VaultEngine.vault", WETH, "borrower").normalized_debt
    assert 0 < owing.read("LiquidationEngine.flag_of", WETH, "borrower") == left
    assert doubt(owing) == before


def test_a_stale_flag_hides_no_debt(owing):
    """A flag that is too low after a new draw is not raised by a liquidation in part, and counts as it is."""
    owing.post_price("WETH", UNSAFE)
    flag(owing)
    owing.mint_and_approve_collateral("WETH", "borrower", 30 * WAD)
    draw_debt(owing, "borrower", 12_000 * WAD, deposit=30 * WAD)
    first = owing.read("LiquidationEngine.flag_of", WETH, "borrower")
    owing.do("VaultEngine.set_auction_limit", WETH, 5_000, sender="admin")
    owing.post_price("WETH", 700 * RAY)
    liquidate_vault(owing)
    assert owing.read("LiquidationEngine.flag_of", WETH, "borrower") == first
    assert flag(owing) == owed(owing) > first * RAY


def test_brackets_count(guarded):
    """A size's requirement beyond the ratio is the same as in a liquidation."""
    brackets = ((4_000, 1_000), (0, 0)), ((0, 0), (0, 0))
    guarded.do("RiskPolicy.set_brackets", WETH, *brackets, sender="admin")
    guarded.borrow("borrower", "WETH", 10 * WAD, 9_000 * WAD)
    guarded.do("RiskPolicy.set_brackets", WETH, ((2_000, 10_000), (0, 0)), brackets[1], sender="admin")
    assert flag(guarded) == owed(guarded) > 0
    guarded.do("RiskPolicy.set_brackets", WETH, *brackets, sender="admin")
    assert flag(guarded) == 0


def test_a_call_that_is_overdue_counts(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    margin_call_ether_vault_as_stranger(guarded)
    assert flag(guarded) == 0
    price = guarded.read("PriceFeed.current_price", WETH)
    guarded.advance(GRACE)
    guarded.post_price("WETH", price)
    assert flag(guarded) == owed(guarded) > 0


@pytest.mark.parametrize("ratio", [10_500, 11_000, 15_000])
def test_no_ratio_makes_a_safe_vault_flagged(new_protocol, ratio):
    """One wei of value above it and one under it."""
    auction = replace(build_standard_parameters().collateral_types[WETH].auction, penalty=10_400)
    weth = replace(
        build_standard_parameters().collateral_types[WETH],
        liquidation_ratio=ratio,
        initial_ratio=ratio,
        auction=auction,
    )
    protocol = deploy_with_prices(
        new_protocol,
        replace(
            build_standard_parameters(),
            collateral_types=(weth, *build_standard_parameters().collateral_types[1:]),
        ),
    )
    protocol.do("VaultEngine.set_stability_fee", WETH, 0, sender="admin")
    debt = 10_000 * WAD
    protocol.borrow("borrower", "WETH", 10 * WAD, debt)
    least = ratio * debt * RAY // (10_000 * 10 * WAD)
    for price, expected in ((least, 0), (least - 1, debt * RAY)):
        protocol.post_price("WETH", price)
        assert flag(protocol) == expected

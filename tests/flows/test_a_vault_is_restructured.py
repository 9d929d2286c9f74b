"""A vault that would have been liquidated is paid off in instalments, or is not, and then sold after all."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault, take_collateral
from tests.support.ledger_reading_steps import cover_losses, read_buffer, read_deficit, read_reserve
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import (
    cover_and_fix_redemption_rates,
    fix_prices,
    list_indebted_vaults,
    skim_vault_and_read_amounts,
)
from tests.support.settlement_steps import start_settlement as begin_settlement
from tests.support.workout_steps import (
    DAY,
    DEBT,
    LOT,
    OWED,
    deploy_with_workouts,
    foreclose_workout,
    give_borrowed_stablecoin,
    pay_workout,
    read_vault,
    read_weth_principal_in_auction,
    read_workout,
    start_workout,
)

QUARTER = OWED // 4


@pytest.fixture
def workouts(new_protocol):
    return deploy_with_workouts(new_protocol)


def wait_until(protocol, moment, price):
    """The price is published every hour, the last time in the two hours before."""
    while protocol.timestamp < moment - 7_200:
        protocol.post_price("WETH", price * RAY)


def test_it_is_saved_through_a_fall_that_would_have_sold_it(workouts):
    workouts.borrow("neighbour", "WETH", LOT, DEBT)
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "borrower", OWED - DEBT)
    filled, kept = read_buffer(workouts, WETH), read_reserve(workouts)

    for day, price in enumerate((1_600, 1_500, 1_450, 2_000), 1):
        wait_until(workouts, read_workout(workouts, 1).due, price)
        if day == 1:
            # Its neighbour, no worse off, is sold.
            liquidate_vault(workouts, "neighbour")
        with reverts("liquidation_engine: safe vault"):
            liquidate_vault(workouts)
        with reverts("workouts: in good standing"):
            foreclose_workout(workouts, 1)
        pay_workout(workouts, 1, QUARTER)

    assert read_vault(workouts).locked_collateral == LOT
    assert workouts.read("Stablecoin.balanceOf", "borrower") == 0
    # What the neighbour's auction pays in rewards is the reserve's; the premium is the buffer's.
    assert read_buffer(workouts, WETH) == filled + (OWED - DEBT) * RAY
    assert read_deficit(workouts, WETH) <= 70 * WAD * RAY + kept
    workouts.do("VaultEngine.repay_and_withdraw", WETH, "borrower", 0, LOT, "borrower", sender="borrower")


def test_its_loss_is_its_types(workouts):
    """Half is paid; then the price collapses, the lot brings less than the rest, and the stages pay."""
    start_workout(workouts)
    pay_workout(workouts, 1, QUARTER)
    pay_workout(workouts, 1, QUARTER)
    workouts.earn_fees("XAU")
    workouts.post_price("WETH", 500 * RAY)
    foreclose_workout(workouts, 1)
    left = DEBT - 2 * QUARTER
    assert read_weth_principal_in_auction(workouts) == left * RAY
    give_borrowed_stablecoin(workouts, "taker", 10_000 * WAD)
    # Under the market, the lot is sold out for less than the principal.
    workouts.advance(8_000)
    take_collateral(workouts, 1)
    workouts.do("CollateralAuction.close", 1, sender="stranger")
    rewarded = read_deficit(workouts, WETH)
    lost = workouts.last.logs
    assert [log.values[2] for log in lost if log.event == "AuctionClosed"] == [
        log.values[2] for log in lost if log.event == "LossRecognised"
    ]
    assert rewarded > 0 == read_deficit(workouts, 1) == read_weth_principal_in_auction(workouts)
    assert sum(cover_losses(workouts, WETH).values()) > 0


def test_settlement_takes_it_for_a_vault(workouts):
    """One pays all the principal, one half of it, one nothing: all three are settled at the final price."""
    for who in ("borrower", "another", "owner_1"):
        start_workout(workouts, who)
        give_borrowed_stablecoin(workouts, who, OWED - DEBT)
    pay_workout(workouts, 1, DEBT, "borrower")
    pay_workout(workouts, 2, DEBT // 2, "another")
    begin_settlement(workouts)
    fix_prices(workouts)
    price = workouts.read("Settlement.final_price_of", WETH)[1]
    # The debt is the workout's until it is unwound.
    with reverts("settlement: no debt"):
        skim_vault_and_read_amounts(workouts, WETH, "another")
    for id in (1, 2, 3):
        workouts.do("Workouts.unwind", id, sender="stranger")
    for c, owner in list_indebted_vaults(workouts):
        skim_vault_and_read_amounts(workouts, c, owner)
    kept = [read_vault(workouts, who).locked_collateral for who in ("borrower", "another", "owner_1")]
    needed = [-(-debt * RAY // price) for debt in (0, DEBT - DEBT // 2, DEBT)]
    assert kept == [LOT - each for each in needed]
    cover_and_fix_redemption_rates(workouts)


def test_what_is_foreclosed_and_sold_well_goes_back(workouts):
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "taker", 20_000 * WAD)
    wait_until(workouts, read_workout(workouts, 1).due + DAY // 4, 1_750)
    foreclose_workout(workouts, 1)
    take_collateral(workouts, 1)
    target = DEBT + DEBT * 1_300 // 10_000
    assert workouts.read("Stablecoin.balanceOf", "taker") == 20_000 * WAD - target
    assert read_vault(workouts).locked_collateral == LOT - target * RAY // (2_100 * RAY)
    with reverts("workouts: no workout"):
        pay_workout(workouts, 1, MAX_UINT256)

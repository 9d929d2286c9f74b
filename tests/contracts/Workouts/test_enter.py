"""enter: a called vault becomes a workout, in caution or worse, once in a period, within cap and room."""

from dataclasses import astuple, replace

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import WETH, get_only_event_values, liquidate_vault
from tests.support.guard_steps import EMERGENCY, lower_breaker_mode_and_read_it
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement as begin_settlement
from tests.support.vault_size_margin_and_call_steps import margin_call_ether_vault_as_stranger
from tests.support.workout_steps import (
    CALLED,
    DAY,
    DEBT,
    LOT,
    OWED,
    TERMS,
    deploy_with_workouts,
    enter_workout,
    open_called_vault_in_caution,
    pay_workout,
    raise_mode_to_caution,
    read_vault,
    read_weth_principal_in_auction,
    read_workout,
    start_workout,
)

CALL = "Workouts.enter"
# Dollars at which the collateral, less the discount, is worth the debt to the wei.
EDGE = 1_500


@pytest.fixture
def distressed(workouts):
    open_called_vault_in_caution(workouts)
    return workouts


def test_the_whole_vault_moves(distressed):
    assert enter_workout(distressed) == 1
    assert get_only_event_values(distressed, "Entered", "Workouts") == (
        *(1, WETH, distressed.address("borrower")),
        *(LOT, DEBT * RAY, OWED, 4),
    )
    assert tuple(read_vault(distressed))[:3] == (0, 0, 0)
    now = distressed.timestamp
    assert read_workout(distressed, 1) == (
        *(WETH, distressed.address("borrower"), LOT, OWED, OWED, DEBT * RAY),
        *(4, 0, now, DAY, now + DAY, TERMS.discount, TERMS.ratio),
    )
    assert (
        read_weth_principal_in_auction(distressed)
        == distressed.read("Workouts.in_workouts", WETH)
        == DEBT * RAY
    )
    assert distressed.read("VaultEngine.debts_of", WETH).normalized_debt == 0
    assert distressed.read("Workouts.last_entries", WETH, "borrower") == now


def test_nobody_is_rewarded_and_nothing_is_sold(distressed):
    supply, reserve = distressed.read("Stablecoin.totalSupply"), distressed.read("VaultEngine.reserve")
    enter_workout(distressed)
    assert distressed.read("Stablecoin.totalSupply") == supply
    assert distressed.read("VaultEngine.reserve") == reserve
    assert distressed.read("VaultEngine.deficit_of", WETH) == 0
    with reverts("collateral_auction: no auction"):
        distressed.read("CollateralAuction.status", 1)


def test_it_has_the_next_id_of_auctions(distressed):
    assert enter_workout(distressed) == 1
    open_called_vault_in_caution(distressed, "another")
    distressed.post_price("WETH", 1_700 * RAY)
    assert liquidate_vault(distressed, "another") == 2


def test_interest_is_charged_up_to_now_and_then_stops(workouts):
    workouts.do("VaultEngine.set_stability_fee", WETH, 10**18, sender="admin")
    open_called_vault_in_caution(workouts)
    enter_workout(workouts)
    entered = read_weth_principal_in_auction(workouts)
    assert entered > DEBT * RAY
    workouts.advance(30 * DAY)
    workouts.do("VaultEngine.accrue", WETH, sender="stranger")
    assert read_weth_principal_in_auction(workouts) == entered == read_workout(workouts, 1).principal


def test_what_is_owed_is_rounded_up_and_the_premium_down(workouts):
    workouts.do("VaultEngine.set_stability_fee", WETH, 123_456_789_123_456_789, sender="admin")
    open_called_vault_in_caution(workouts)
    found = read_workout(workouts, enter_workout(workouts))
    premium = found.principal * TERMS.premium // (10_000 * 10**39) * 10**12
    assert found.principal % RAY != 0
    assert found.owed == -(-found.principal // RAY) + premium


def test_an_approved_operator_may(distressed):
    with reverts("workouts: not approved"):
        distressed.do(CALL, WETH, "borrower", 4, sender="stranger")
    distressed.do("VaultEngine.approve_operator", "stranger", True, sender="borrower")
    distressed.do(CALL, WETH, "borrower", 4, sender="stranger")


def test_in_caution_or_worse(workouts):
    workouts.borrow("borrower", "WETH", LOT, DEBT)
    workouts.post_price("WETH", CALLED * RAY)
    margin_call_ether_vault_as_stranger(workouts)
    with reverts("workouts: no caution"):
        enter_workout(workouts)
    workouts.do("CircuitBreaker.force_mode", EMERGENCY, sender="guardian")
    enter_workout(workouts)


def test_not_once_the_mode_is_normal_again(distressed):
    distressed.do("CircuitBreaker.set_triggers", (0, 0), (0, 0), (0, 0), (0, 0), sender="admin")
    distressed.advance(2 * 3_600)
    lower_breaker_mode_and_read_it(distressed)
    distressed.post_price("WETH", CALLED * RAY)
    with reverts("workouts: no caution"):
        enter_workout(distressed)


def test_only_called_vaults(workouts):
    workouts.borrow("borrower", "WETH", LOT, DEBT)
    workouts.post_price("WETH", CALLED * RAY)
    raise_mode_to_caution(workouts)
    with reverts("workouts: not called"):
        enter_workout(workouts)


def test_not_if_the_call_is_met_though_nobody_has_cleared_it(distressed):
    distressed.post_price("WETH", 2_000 * RAY)
    assert read_vault(distressed).called_at != 0
    with reverts("workouts: call is met"):
        enter_workout(distressed)


def test_an_unsafe_vault_may_if_nobody_has_liquidated_it(distressed):
    distressed.post_price("WETH", EDGE * RAY)
    enter_workout(distressed)


@pytest.mark.parametrize("instalments", [0, 9, 2**256 - 1])
def test_so_many_instalments(distressed, instalments):
    with reverts("workouts: bad instalments"):
        enter_workout(distressed, instalments=instalments)


@pytest.mark.parametrize("instalments", [1, 8])
def test_fewest_and_most_instalments(distressed, instalments):
    assert (
        read_workout(distressed, enter_workout(distressed, instalments=instalments)).instalments
        == instalments
    )


def test_the_lot_has_to_be_worth_the_debt_less_the_discount_to_the_wei(distressed):
    distressed.post_price("WETH", EDGE * RAY - 1)
    with reverts("workouts: worth too little"):
        enter_workout(distressed)
    distressed.post_price("WETH", EDGE * RAY)
    enter_workout(distressed)


def test_at_the_next_price_if_that_is_lower(distressed):
    distressed.post_next("WETH", EDGE * RAY - 1)
    assert distressed.read("PriceFeed.current_price", WETH) == CALLED * RAY
    with reverts("workouts: worth too little"):
        enter_workout(distressed)


def test_at_the_current_price_if_that_is_lower(distressed):
    distressed.post_price("WETH", EDGE * RAY - 1)
    distressed.post_next("WETH", CALLED * RAY)
    with reverts("workouts: worth too little"):
        enter_workout(distressed)


def test_at_a_fresh_price(distressed):
    distressed.advance(5 * 3_600)
    with reverts("workouts: no price"):
        enter_workout(distressed)


def test_once_in_a_period(workouts):
    id = start_workout(workouts)
    pay_workout(workouts, id, DEBT)
    workouts.post_price("WETH", 2_000 * RAY)
    open_called_vault_in_caution(workouts)
    workouts.advance(
        workouts.read("Workouts.last_entries", WETH, "borrower") + TERMS.period - workouts.timestamp - 1
    )
    with reverts("workouts: too soon"):
        enter_workout(workouts)
    workouts.advance(1)
    workouts.post_price("WETH", CALLED * RAY)
    enter_workout(workouts)


def test_others_may_meanwhile(workouts):
    start_workout(workouts)
    start_workout(workouts, "another")
    assert read_weth_principal_in_auction(workouts) == 2 * DEBT * RAY


def test_within_the_cap_to_the_stablecoin(new_protocol):
    for cap, fits in ((23_999, False), (24_000, True)):
        workouts = deploy_with_workouts(new_protocol, replace(TERMS, cap=cap))
        start_workout(workouts)
        open_called_vault_in_caution(workouts, "another")
        if fits:
            enter_workout(workouts, "another")
            assert workouts.read("Workouts.in_workouts", WETH) == cap * RAD
        else:
            with reverts("workouts: over the cap"):
                enter_workout(workouts, "another")


def test_none_without_a_cap(distressed):
    distressed.do("Workouts.set_terms", WETH, *terms_with(cap=0), sender="admin")
    with reverts("workouts: none offered"):
        enter_workout(distressed)


def test_none_of_a_type_without_terms(distressed):
    with reverts("workouts: none offered"):
        distressed.do(CALL, 1, "borrower", 4, sender="borrower")


def test_within_the_room_of_the_auction_limit(distressed):
    distressed.do("VaultEngine.set_auction_limit", WETH, 11_999, sender="admin")
    with reverts("workouts: no room"):
        enter_workout(distressed)
    distressed.do("VaultEngine.set_auction_limit", WETH, 12_000, sender="admin")
    enter_workout(distressed)


def test_an_emergency_may_leave_less_room(distressed):
    distressed.do("RiskPolicy.set_effects", 0, 5_000, sender="admin")
    distressed.do("VaultEngine.set_auction_limit", WETH, 20_000, sender="admin")
    distressed.do("CircuitBreaker.force_mode", EMERGENCY, sender="guardian")
    with reverts("workouts: no room"):
        enter_workout(distressed)


def test_no_room_in_settlement(distressed):
    begin_settlement(distressed)
    distressed.post_price("WETH", CALLED * RAY)
    with reverts("workouts: no room"):
        enter_workout(distressed)


def test_the_debt_counts_in_the_ceiling(distressed):
    enter_workout(distressed)
    distressed.do("VaultEngine.set_debt_ceiling", WETH, 13_000, sender="admin")
    distressed.post_price("WETH", 2_000 * RAY)
    with reverts("vault_engine: debt ceiling"):
        distressed.borrow("another", "WETH", LOT, 2_000 * WAD)


def terms_with(**changes: int) -> tuple[int, ...]:
    return astuple(replace(TERMS, **changes))

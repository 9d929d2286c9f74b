"""escalate: any account raises the mode to the level at which a trigger holds now."""

import pytest

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from tests.support.auction_steps import get_only_event_values, liquidate_vault, start_auction
from tests.support.guard_steps import (
    ALL_TYPES,
    AUCTIONS,
    BREAKER,
    CAUTION,
    EMERGENCY,
    FALL,
    HOUR,
    LOSSES,
    NORMAL,
    SILENCE,
    escalate_mode,
    open_secured_vault,
    read_mode,
    set_triggers,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault
from tests.support.settlement_steps import start_settlement

CALL = "CircuitBreaker.raise_mode"


def check_no_cause(protocol, trigger, c=0):
    assert protocol.read("CircuitBreaker.level_of", trigger, c) == NORMAL
    with reverts("circuit_breaker: no cause"):
        protocol.do(CALL, trigger, c, sender="stranger")


def state(protocol):
    return protocol.read("CircuitBreaker.state_of")


@pytest.mark.parametrize("trigger", [LOSSES, FALL, SILENCE, AUCTIONS])
def test_nothing_holds_in_ordinary_times(indebted, trigger):
    check_no_cause(indebted, trigger)


# ----------------------------------------------------------------------- losses


def test_losses_of_all_types_together(indebted):
    lose_new_vault(indebted)
    deficit = sum(indebted.read("VaultEngine.deficit_of", c) for c in range(3))
    whole = deficit // RAD
    assert whole > 5_000
    set_triggers(indebted, losses=(whole + 1, 0))
    check_no_cause(indebted, LOSSES)
    set_triggers(indebted, losses=(whole, whole + 1))
    assert escalate_mode(indebted, LOSSES, 31) == CAUTION
    assert get_only_event_values(indebted, "ModeChanged", "CircuitBreaker") == (
        *(NORMAL, CAUTION, LOSSES, ALL_TYPES),
        indebted.address("stranger"),
    )
    set_triggers(indebted, losses=(1, whole))
    assert escalate_mode(indebted, LOSSES) == EMERGENCY


# ------------------------------------------------------------------------- fall


def fall(protocol) -> int:
    """Basis points of the time-weighted price of ether, rounded down."""
    average = protocol.read("PriceFeed.time_weighted", 0)
    return (average - protocol.read("PriceFeed.current_price", 0)) * BASIS_POINTS // average


def test_a_fall_under_the_average(indebted):
    indebted.post_price("WETH", 1_600 * RAY)
    fallen = fall(indebted)
    assert 1_000 < fallen < 2_500
    set_triggers(indebted, fall=(fallen + 1, 0))
    check_no_cause(indebted, FALL)
    set_triggers(indebted, fall=(fallen, fallen + 1))
    assert escalate_mode(indebted, FALL) == CAUTION
    assert get_only_event_values(indebted, "ModeChanged", "CircuitBreaker")[2:4] == (FALL, 0)
    set_triggers(indebted, fall=(0, fallen))
    assert escalate_mode(indebted, FALL) == EMERGENCY


def test_the_next_price_is_no_fall_yet(indebted):
    indebted.post_next("WETH", 1_000 * RAY)
    check_no_cause(indebted, FALL)


def test_a_rise_is_no_fall(indebted):
    indebted.post_price("WETH", 4_000 * RAY)
    set_triggers(indebted, fall=(1, 1))
    check_no_cause(indebted, FALL)


def test_a_stale_price_is_no_fall(indebted):
    indebted.post_price("WETH", 1_000 * RAY)
    assert indebted.read("CircuitBreaker.level_of", FALL, 0) == EMERGENCY
    indebted.advance(4 * HOUR + 1)
    check_no_cause(indebted, FALL)


def test_the_price_of_a_type_without_debt_does_not_matter(indebted):
    indebted.post_price("XAU", 1_000 * RAY)
    check_no_cause(indebted, FALL, 2)
    open_secured_vault(indebted, "XAU", 2_000 * WAD)
    assert escalate_mode(indebted, FALL, 2) == EMERGENCY


def test_what_is_under_auction_is_debt(indebted):
    indebted.post_price("WETH", 1_600 * RAY)
    liquidate_vault(indebted)
    assert indebted.read("VaultEngine.debts_of", 0).normalized_debt == 0
    assert indebted.read("CircuitBreaker.level_of", FALL, 0) == CAUTION


# ---------------------------------------------------------------------- silence


def test_silence_to_the_second(indebted):
    until = indebted.read("PriceFeed.prices_of", 0).fresh_until
    indebted.advance(until + BREAKER.silence[0] - 1 - indebted.timestamp)
    check_no_cause(indebted, SILENCE)
    indebted.advance(1)
    assert escalate_mode(indebted, SILENCE) == CAUTION
    indebted.advance(until + BREAKER.silence[1] - 1 - indebted.timestamp)
    assert indebted.read("CircuitBreaker.level_of", SILENCE, 0) == CAUTION
    indebted.advance(1)
    assert escalate_mode(indebted, SILENCE) == EMERGENCY


def test_the_silence_of_a_type_without_debt_does_not_matter(indebted):
    indebted.advance(3 * 86_400)
    check_no_cause(indebted, SILENCE, 2)
    assert escalate_mode(indebted, SILENCE, 1) == EMERGENCY


def test_the_last_fresh_second_is_no_silence(indebted):
    set_triggers(indebted, silence=(1, 0))
    indebted.advance(indebted.read("PriceFeed.prices_of", 0).fresh_until - indebted.timestamp)
    check_no_cause(indebted, SILENCE)
    indebted.advance(1)
    assert escalate_mode(indebted, SILENCE) == CAUTION


# --------------------------------------------------------------------- auctions


def test_principal_against_the_auction_limit(indebted):
    indebted.post_price("WETH", 1_500 * RAY)
    liquidate_vault(indebted)
    in_auction = indebted.read("VaultEngine.in_auction_of", 0)
    # As many basis points as 12,000 and a little are of the limit.
    indebted.do("VaultEngine.set_auction_limit", 0, 24_001, sender="admin")
    assert in_auction * 10_000 < 5_000 * 24_001 * RAD
    check_no_cause(indebted, AUCTIONS)
    indebted.do("VaultEngine.set_auction_limit", 0, 24_000, sender="admin")
    assert escalate_mode(indebted, AUCTIONS) == CAUTION
    indebted.do("VaultEngine.set_auction_limit", 0, 12_000, sender="admin")
    assert escalate_mode(indebted, AUCTIONS) == EMERGENCY
    check_no_cause(indebted, AUCTIONS, 1)


def test_a_limit_of_nothing_is_passed_by_any_auction(indebted):
    indebted.do("VaultEngine.set_auction_limit", 0, 0, sender="admin")
    check_no_cause(indebted, AUCTIONS)
    indebted.do("VaultEngine.set_auction_limit", 0, 10**7, sender="admin")
    start_auction(indebted)
    indebted.do("VaultEngine.set_auction_limit", 0, 0, sender="admin")
    assert escalate_mode(indebted, AUCTIONS) == EMERGENCY


# ------------------------------------------------------------------------ modes


def test_a_trigger_seen_again_only_interrupts_the_calm(indebted):
    indebted.post_price("WETH", 1_000 * RAY)
    escalate_mode(indebted, FALL)
    indebted.advance(60)
    assert escalate_mode(indebted, FALL) == EMERGENCY
    assert get_only_event_values(indebted, "TriggerSeen", "CircuitBreaker") == (
        *(FALL, 0, EMERGENCY),
        indebted.address("stranger"),
    )
    assert state(indebted).calm_from == indebted.timestamp


def test_a_lesser_cause_does_not_hold_up_a_graver_mode(indebted):
    indebted.do("CircuitBreaker.force_mode", EMERGENCY, sender="guardian")
    indebted.post_price("WETH", 1_600 * RAY)
    assert indebted.read("CircuitBreaker.level_of", FALL, 0) == CAUTION
    with reverts("circuit_breaker: no cause"):
        escalate_mode(indebted, FALL)


def test_no_mode_stops_the_way_out(indebted):
    indebted.post_price("WETH", 1_000 * RAY)
    assert escalate_mode(indebted, FALL) == EMERGENCY
    indebted.mint_and_approve_collateral("WETH", "borrower", WAD)
    indebted.do("VaultEngine.deposit_and_draw", 0, "borrower", WAD, 0, "borrower", sender="borrower")
    indebted.do(
        "VaultEngine.repay_and_withdraw", 0, "borrower", 1_000 * WAD, 0, "borrower", sender="borrower"
    )
    liquidate_vault(indebted)


@pytest.mark.parametrize("trigger", [0, 5, 2**256 - 1])
def test_there_are_four_triggers(guarded, trigger):
    with reverts("circuit_breaker: no such trigger"):
        guarded.do(CALL, trigger, 0, sender="stranger")


@pytest.mark.parametrize("trigger", [FALL, SILENCE, AUCTIONS])
def test_only_of_a_known_type(guarded, trigger):
    with reverts("circuit_breaker: unknown type"):
        guarded.do(CALL, trigger, 3, sender="stranger")


def test_triggers_that_are_off_never_hold(indebted):
    set_triggers(indebted)
    lose_new_vault(indebted)
    indebted.post_price("WETH", 1_000 * RAY)
    liquidate_vault(indebted)
    for trigger in (LOSSES, FALL, AUCTIONS):
        check_no_cause(indebted, trigger)
    indebted.advance(86_400)
    check_no_cause(indebted, SILENCE)


def test_not_in_settlement(indebted):
    indebted.do("CircuitBreaker.force_mode", CAUTION, sender="guardian")
    start_settlement(indebted)
    assert indebted.read("CircuitBreaker.mode") == 3
    assert state(indebted).mode == CAUTION
    with reverts("circuit_breaker: in settlement"):
        indebted.do(CALL, SILENCE, 0, sender="stranger")


def test_the_policy_is_told(indebted):
    assert read_mode(indebted) == NORMAL
    indebted.post_price("WETH", 1_000 * RAY)
    assert escalate_mode(indebted, FALL) == EMERGENCY

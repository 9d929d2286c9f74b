"""calm: any account lowers the mode by a level, after a calm period without a trigger."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import get_only_event_values
from tests.support.guard_steps import (
    ALL_TYPES,
    BREAKER,
    CAUTION,
    EMERGENCY,
    FALL,
    HOUR,
    NORMAL,
    SILENCE,
    escalate_mode,
    lower_breaker_mode_and_read_it,
    set_triggers,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault
from tests.support.settlement_steps import start_settlement

CALL = "CircuitBreaker.lower_mode"


@pytest.fixture
def raised(indebted):
    """By the guardian, without any trigger."""
    indebted.do("CircuitBreaker.force_mode", EMERGENCY, sender="guardian")
    return indebted


def refused(protocol, reason):
    with reverts(f"circuit_breaker: {reason}"):
        protocol.do(CALL, sender="stranger")


def test_one_level_at_a_time_each_after_its_period(raised):
    set_triggers(raised)
    raised.advance(BREAKER.calm_period - 1)
    refused(raised, "too early")
    raised.advance(1)
    assert lower_breaker_mode_and_read_it(raised) == CAUTION
    assert get_only_event_values(raised, "ModeChanged", "CircuitBreaker") == (
        *(EMERGENCY, CAUTION, 0, ALL_TYPES),
        raised.address("stranger"),
    )
    refused(raised, "too early")
    raised.advance(BREAKER.calm_period)
    assert lower_breaker_mode_and_read_it(raised) == NORMAL
    refused(raised, "is normal")


def test_a_trigger_that_holds_keeps_its_level(raised):
    # Nobody has called escalate.
    raised.advance(4 * HOUR + BREAKER.silence[1])
    assert raised.read("CircuitBreaker.worst_level") == EMERGENCY
    refused(raised, "not calm")
    for symbol in ("WETH", "WBTC"):
        raised.post_price(symbol, raised.read("PriceFeed.last_price", raised.get_collateral_type(symbol)))
    assert raised.read("CircuitBreaker.worst_level") == NORMAL
    assert lower_breaker_mode_and_read_it(raised) == CAUTION


def test_a_lower_trigger_does_not_keep_a_higher_level(raised):
    silent_from = min(raised.read("PriceFeed.prices_of", c).fresh_until for c in (0, 1))
    raised.advance(silent_from + BREAKER.silence[0] - raised.timestamp)
    assert raised.read("CircuitBreaker.worst_level") == CAUTION
    assert lower_breaker_mode_and_read_it(raised) == CAUTION
    raised.advance(BREAKER.calm_period)
    refused(raised, "not calm")


def test_a_higher_trigger_keeps_a_lower_level(indebted):
    indebted.do("CircuitBreaker.force_mode", CAUTION, sender="guardian")
    set_triggers(indebted, silence=(0, HOUR))
    indebted.advance(86_400)
    refused(indebted, "not calm")


def test_a_silence_counts_for_a_week_beyond_its_thresholds(raised):
    """Nothing is borrowed against the silent type; a dead one does not hold up the others for ever."""
    set_triggers(raised, silence=BREAKER.silence)
    until = max(raised.read("PriceFeed.prices_of", c).fresh_until for c in range(3))
    raised.advance(until + BREAKER.silence[1] + 7 * 86_400 - raised.timestamp)
    refused(raised, "not calm")
    raised.advance(1)
    assert raised.read("CircuitBreaker.worst_level") == NORMAL
    raised.do("CircuitBreaker.lower_mode", sender="stranger")


def test_losses_count(indebted):
    lose_new_vault(indebted)
    indebted.do("CircuitBreaker.force_mode", EMERGENCY, sender="guardian")
    indebted.advance(BREAKER.calm_period)
    set_triggers(indebted, losses=(1, 2))
    assert indebted.read("CircuitBreaker.worst_level") == EMERGENCY
    refused(indebted, "not calm")


def test_any_type_counts(raised):
    set_triggers(raised, silence=(1, 1))
    raised.advance(4 * HOUR + 1)
    raised.post_price("WETH", 2_000 * RAY)
    assert raised.read("CircuitBreaker.level_of", SILENCE, 0) == NORMAL
    refused(raised, "not calm")


def test_each_trigger_seen_starts_the_period_again(indebted):
    indebted.post_price("WETH", 1_600 * RAY)
    escalate_mode(indebted, FALL)
    indebted.advance(HOUR)
    escalate_mode(indebted, FALL)
    set_triggers(indebted)
    indebted.advance(BREAKER.calm_period - 1)
    refused(indebted, "too early")
    indebted.advance(1)
    assert lower_breaker_mode_and_read_it(indebted) == NORMAL


def test_not_in_settlement(raised):
    start_settlement(raised)
    refused(raised, "in settlement")

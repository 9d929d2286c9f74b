"""One pair: its payments, its gain by a jump, and its end."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.studies.self_hedge.hedge_pair import CLOSED, HELD, INSOLVENT, PairOpening, simulate_hedge_pair
from backstop.studies.self_hedge.pair_market import LEFT, LIBRARY, HedgePairMarket
from backstop.studies.self_hedge.second_prices_from_bars import UNIT

PLAIN = LIBRARY._replace(
    maintenance=500, initial=1_000, open_rate=0, maker_fee=0, taker_fee=0, cap=0, third_bond=0
)
"""Nothing in the pair's way but margin."""
OPENING = PairOpening(start=100, share=2_000, notional=1_000_000, hold=7_200)


def path(*steps, length=10_000):
    """Prices in dollars from a second on: 100 at first."""
    found, price = [], 100
    at = dict(steps)
    for second in range(length):
        price = at.get(second, price)
        found.append(int(price * UNIT))
    return found


def close_to(found, coins):
    return abs(found - coins * WAD) < 100


def test_a_quiet_time_costs_fees():
    """A maker's and a taker's at the opening, and again when it closes: 40 basis points."""
    found = simulate_hedge_pair(
        HedgePairMarket(PLAIN._replace(maker_fee=10, taker_fee=10, third_bond=5)), path(), OPENING
    )
    assert (found.ended, found.gain, found.owed) == (HELD, -4_000 * WAD, 0)


@pytest.mark.parametrize("to", [70, 130])
def test_a_jump_beyond_the_margin_is_paid_by_who_gained(to):
    """300,000 lost on a margin of 100,000: a fifth of that is the pair's own part of the haircut."""
    found = simulate_hedge_pair(HedgePairMarket(PLAIN), path((500, to)), OPENING)
    assert found.ended == INSOLVENT and close_to(found.owed, 200_000)
    assert close_to(found.gain, 160_000)


def test_insurance_pays_it_all_within_its_cap():
    jump = path((500, 70))
    assert close_to(
        simulate_hedge_pair(HedgePairMarket(PLAIN._replace(cap=1_000_000)), jump, OPENING).gain, 200_000
    )
    # 50,000 of it, and four fifths of the rest are others'.
    assert close_to(
        simulate_hedge_pair(HedgePairMarket(PLAIN._replace(cap=50_000)), jump, OPENING).gain, 170_000
    )


def test_a_jump_within_the_margin_brings_nothing():
    """All that one loses the other has, and fees are missing."""
    found = simulate_hedge_pair(HedgePairMarket(PLAIN), path((500, 96)), OPENING)
    assert (found.ended, found.gain) == (HELD, 0)
    found = simulate_hedge_pair(HedgePairMarket(PLAIN), path((500, 94), (600, 90.5)), OPENING)
    assert (found.ended, found.gain) == (CLOSED, 0)


def test_it_opens_at_the_oldest_mark():
    """The price has jumped, and the mark of before is young enough."""
    jump = path((41, 80))
    assert close_to(
        simulate_hedge_pair(HedgePairMarket(PLAIN._replace(mark_age=60)), jump, OPENING).owed, 100_000
    )
    assert simulate_hedge_pair(HedgePairMarket(PLAIN._replace(mark_age=58)), jump, OPENING).owed == 0


def test_looks_far_apart_miss_the_moment_to_close():
    fall = path((150, 94), (200, 89), (250, 84))
    assert simulate_hedge_pair(HedgePairMarket(PLAIN), fall, OPENING).ended == CLOSED
    found = simulate_hedge_pair(HedgePairMarket(PLAIN._replace(reaction=300)), fall, OPENING)
    assert found.ended == INSOLVENT and close_to(found.owed, 60_000)


def test_who_cannot_pay_the_fee_of_closing_is_taken_over():
    found = simulate_hedge_pair(
        HedgePairMarket(PLAIN._replace(maker_fee=100, taker_fee=100)), path((500, 90.5)), OPENING
    )
    assert found.ended == CLOSED and found.owed == 0
    assert found.gain < -20_000 * WAD


def test_gains_that_leave_make_the_next_turn_dangerous():
    """After two rolls what has become final leaves; the fall back is more than the margin that is left."""
    steps = [(200 + 60 * i, 100 + i) for i in range(5)] + [(6_000, 91)]
    found = simulate_hedge_pair(
        HedgePairMarket(PLAIN._replace(initial=1_200, window=1_800)), path(*steps), OPENING
    )
    assert found.ended == INSOLVENT
    kept = simulate_hedge_pair(
        HedgePairMarket(PLAIN._replace(initial=1_200, window=7_200)), path(*steps), OPENING
    )
    assert kept.ended != INSOLVENT


def test_more_of_a_large_market_is_asked_for():
    """A tenth more of the open interest beyond a million: 200,000 for the last million of five."""
    asked = HedgePairMarket(PLAIN._replace(open_rate=1_000))
    assert simulate_hedge_pair(asked, path((500, 70)), OPENING).owed == pytest.approx(100_000 * WAD)


def test_nothing_stays_of_a_pair():
    market = HedgePairMarket(PLAIN)
    first = simulate_hedge_pair(market, path((500, 70)), OPENING)
    assert not market.market.accounts[LEFT].cash and not any(market.market.lots[0])
    assert simulate_hedge_pair(market, path((500, 70)), OPENING) == first

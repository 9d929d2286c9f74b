"""The least margin against a pair of one owner: inside of it a jump brings nothing, just outside it does."""

import pytest

from backstop.deployment.parameter_rules.self_hedge_margin_formula import (
    JUMP,
    JUMP_TIME,
    LOOK,
    compute_price_jump,
    compute_self_hedge_initial_margin,
)
from backstop.model.arithmetic import BASIS_POINTS
from backstop.studies.self_hedge.hedge_pair import INSOLVENT, PairOpening, simulate_hedge_pair
from backstop.studies.self_hedge.pair_market import LIBRARY, HedgePairMarket
from backstop.studies.self_hedge.second_prices_from_bars import (
    UNIT,
    largest_move,
    list_prices_for_every_second,
)

START = 700


def gain(initial, mark_age, fee, way):
    """Return the gain of a pair that opens at the oldest mark, before the largest jump of the rule."""
    terms = LIBRARY._replace(
        maintenance=500,
        initial=initial,
        mark_age=mark_age,
        reaction=LOOK,
        maker_fee=fee,
        taker_fee=fee,
        open_rate=0,
        third_bond=0,
    )
    far = 100 * UNIT * (BASIS_POINTS + way * compute_price_jump(mark_age + LOOK)) // BASIS_POINTS
    path = [100 * UNIT] * (START - mark_age + 1) + [far] * 10_000
    return simulate_hedge_pair(HedgePairMarket(terms), path, PairOpening(START, 500, 1_000_000, 7_200))


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("mark_age", [12, 60, 600])
@pytest.mark.parametrize("fee", [0, 10, 100])
def test_inside_a_jump_brings_nothing_and_outside_it_does(fee, mark_age, way):
    least = compute_self_hedge_initial_margin(mark_age, fee)
    assert gain(least, mark_age, fee, way).gain <= 0
    # The opening was paid for as well, by both; and a basis point for what closing costs more of a rise.
    outside = gain(least - 2 * fee - div_more(fee, mark_age) - 1, mark_age, fee, way)
    assert outside.ended == INSOLVENT and outside.gain > 0


def div_more(fee, mark_age):
    """Return the extra cost of closing after a rise against a drop [basis points], rounded up."""
    return -(-2 * fee * compute_price_jump(mark_age + LOOK) // BASIS_POINTS)


def test_a_jump_is_no_smaller_in_a_shorter_time():
    assert compute_price_jump(1) == compute_price_jump(JUMP_TIME) == JUMP
    assert compute_price_jump(4 * JUMP_TIME) == 2 * JUMP
    assert compute_price_jump(10**9) == BASIS_POINTS
    assert compute_price_jump(JUMP_TIME + 1) == JUMP + 15


def test_the_librarys_terms_are_inside():
    """A pair gains nothing at them, and honest accounts pay at most three points of margin more for that."""
    least = compute_self_hedge_initial_margin(LIBRARY.mark_age, min(LIBRARY.maker_fee, LIBRARY.taker_fee))
    assert least <= LIBRARY.initial <= least + 300


def test_the_jump_is_beyond_published_seconds_at_the_librarys_marks():
    """Compared with the worst hour of a smaller coin; prices drawn inside bars go further."""
    window = LIBRARY.mark_age + LOOK
    assert largest_move(list_prices_for_every_second("avax-2025-10-10", 1), window) < compute_price_jump(
        window
    )


def test_the_jump_is_near_the_worst_published_minute():
    """Within a tenth of the worst there is at marks of a minute, of a smaller coin."""
    window = JUMP_TIME + LOOK
    worst = largest_move(list_prices_for_every_second("avax-2025-10-10", 1), window)
    assert compute_price_jump(window) < worst < compute_price_jump(window) * 11 // 10

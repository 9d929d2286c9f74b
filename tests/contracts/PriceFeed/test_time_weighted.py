"""time_weighted: the average of the current price over a window or two, or over the existing history."""

from itertools import accumulate

from backstop.model.arithmetic import RAY


def history(market, prices, gaps):
    """Step through prices; the current price of every second, the oldest first."""
    seconds = []
    for price, gap in zip(prices, gaps, strict=True):
        current, _ = market.poke(*[price] * 3)
        market.protocol.advance(gap)
        seconds += [current] * gap
    return seconds


def test_nothing_without_a_price(market):
    assert market.read("time_weighted") == 0


def test_the_current_price_at_first(market):
    market.poke(10, 10, 10)
    assert market.read("time_weighted") == 10 * RAY
    market.protocol.advance(1_000)
    assert market.read("time_weighted") == 10 * RAY


def test_all_there_is_while_history_is_short(market):
    seconds = history(market, [10, 40, 40], [3_600, 3_600, 900])
    assert seconds[-1] == 40
    assert market.read("time_weighted") == sum(seconds) * RAY // len(seconds)


def test_of_at_least_a_window_and_at_most_two_and_two_steps(market):
    gaps = [3_600, 3_601, 4_000, 5_399, 5_400, 3_600, 10_000, 3_600, 3_700, 3_600]
    prices = [10, 17, 5, 90, 33, 4, 8, 61, 7, 19]
    seconds = []
    for price, gap in zip(prices, gaps, strict=True):
        seconds += history(market, [price], [gap])
        found = market.read("time_weighted")
        # Whatever the checkpoints are, the answer is the average of the last so many seconds.
        longest = min(len(seconds), 2 * (market.window + max(gaps)))
        shortest = min(len(seconds), market.window)
        sums = list(accumulate(reversed(seconds[-longest:])))
        assert any(sums[n - 1] * RAY // n == found for n in range(shortest, longest + 1))


def test_a_wick_of_one_step_barely_moves_it(market):
    history(market, [100] * 6, [3_600] * 6)
    history(market, [1, 100], [3_600, 600])
    assert market.read("current_price") == RAY
    assert market.read("time_weighted") > 80 * RAY


def test_rounds_down_and_survives_the_highest_price(market):
    for price in (2**112 - 1, 2**112 - 2):
        for reporter in market.reporters[:3]:
            market.protocol.do("PriceFeed.report", market.id, price, sender=reporter)
        market.protocol.do("PriceFeed.poke", market.id, sender="stranger")
        market.protocol.advance(market.step)
    for reporter in market.reporters[:3]:
        market.protocol.do("PriceFeed.report", market.id, 1, sender=reporter)
    market.protocol.do("PriceFeed.poke", market.id, sender="stranger")
    market.protocol.advance(1)
    expected = (2 * 3_600 * (2**112 - 1) + 2**112 - 2) // 7_201
    assert market.read("time_weighted") == expected


def test_the_highest_price_for_decades(market):
    for price in (2**112 - 1, 1):
        for reporter in market.reporters[:3]:
            market.protocol.do("PriceFeed.report", market.id, price, sender=reporter)
        market.protocol.do("PriceFeed.poke", market.id, sender="stranger")
        market.protocol.advance(10**9)
    assert market.read("time_weighted") == 2**111

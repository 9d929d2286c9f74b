"""mark_within: the medians of the last seconds' reports, with their ranges, or none.

Its values for a market in settlement are in test_final_price.py.
"""

from random import Random

import pytest

from backstop.model.arithmetic import RAY
from backstop.model.bounds import MAX_REPORTERS
from backstop.model.interfaces import Mark
from backstop.model.signed_reports import Span
from tests.support.signed_report_steps import sign_dollar_report, submit_reports_and_count_accepted

REPORTERS = ("reporter_1", "reporter_2", "reporter_3", "reporter_4")


def mark(protocol, age, c=0):
    """The mark [stablecoins], its ends within the millionth by which they are rounded."""
    found = protocol.read("PriceFeed.mark_within", c, age, 0)
    price, low, high = (round(each / RAY) for each in found)
    assert 0 <= low * RAY - found.low <= found.price // 10**6 + 1
    assert 0 <= found.high - high * RAY <= found.price // 10**6 + 1
    return Mark(price, low, high)


def within(protocol, age, c=0):
    return mark(protocol, age, c).price


def say_ranges(protocol, *ranges, since=0):
    """The first reporters say a price and its lowest and highest each [stablecoins]."""
    for reporter, prices in zip(REPORTERS, ranges, strict=False):
        args = [each * RAY for each in prices]
        protocol.do("PriceFeed.report_range", 0, *args, since, sender=reporter)


def say(protocol, *dollars):
    """The first reporters say steady prices."""
    say_ranges(protocol, *([each] * 3 for each in dollars))


def test_neither_delayed_nor_poked(protocol):
    say(protocol, 2_100, 2_200, 2_300, 2_400)
    assert mark(protocol, 0) == (2_200, 2_200, 2_200)
    assert protocol.read("PriceFeed.current_price", 0) == 2_000 * RAY


def test_a_report_counts_for_as_long_as_asked(protocol):
    protocol.advance(100)
    say(protocol, 2_100, 2_200)
    protocol.advance(30)
    args = *(2_150 * RAY,) * 3, 0
    protocol.do("PriceFeed.report_range", 0, *args, sender="reporter_3")
    assert within(protocol, 30) == 2_150
    assert within(protocol, 29) == 0
    # No longer than the market has it.
    protocol.advance(protocol.parameters.collateral_types[0].feed.max_age - 29)
    assert within(protocol, 2**32) == 0


def test_a_signed_report_is_as_old_as_its_signature(protocol):
    protocol.advance(60)
    submit_reports_and_count_accepted(
        protocol, [sign_dollar_report(protocol, each, 0, 2_500, age=40) for each in REPORTERS]
    )
    assert within(protocol, 40) == 2_500 and within(protocol, 39) == 0


def test_none_without_reporters_or_halted(protocol):
    say(protocol, 2_100, 2_200, 2_300)
    assert mark(protocol, 60, c=77) == Mark()
    protocol.do("PriceFeed.set_halted", 0, True, sender="admin")
    assert mark(protocol, 60) == Mark()


def test_each_median_is_taken_apart(protocol):
    """The reporter of the middle price reports neither the middle low nor the middle high.

    Of four, the lower.
    """
    three = [(2_100, 2_000, 2_900), (2_200, 1_700, 2_300), (2_300, 1_900, 2_400)]
    say_ranges(protocol, *three)
    assert mark(protocol, 60) == (2_200, 1_900, 2_400)
    say_ranges(protocol, *three, (2_250, 1_800, 2_350))
    assert mark(protocol, 60) == (2_200, 1_800, 2_350)


@pytest.mark.parametrize("count", [*range(3, MAX_REPORTERS + 1)])
def test_of_any_number_of_reporters_in_any_order(protocol, count):
    """Some of them equal; at times the range of one begins too late."""
    dice = Random(count)
    names = tuple(f"source_{i}" for i in range(count))
    quorum, times = (count - 1) // 2 * 2 + 1, (3_600, 7_200, 10_800, 5_400)
    protocol.do("PriceFeed.set_market", 0, names, quorum, *times, sender="admin")
    for late in (None, 0, None, count - 1):
        protocol.advance(100)
        now, told = protocol.timestamp, []
        for name in names:
            since = now - 60 + (late is not None and name == names[late])
            price = dice.choice((2_000, dice.randint(1_500, 2_500))) * RAY
            low, high = price * dice.randint(0, 10) // 10, price * dice.randint(10, 160) // 10
            protocol.do("PriceFeed.report_range", 0, price, low, high, since, sender=name)
            if since <= now - 60:
                told.append((price, low, high))
        found = protocol.read("PriceFeed.mark_within", 0, 60, 0)
        if len(told) < quorum:
            assert found == Mark()
            continue
        price, low, high = (sorted(each)[(len(told) - 1) // 2] for each in zip(*told, strict=True))
        assert found.price == price
        # The rounded ends of another may be the middle one then.
        assert low - 3 * RAY // 1_000 < found.low <= low and high <= found.high < high + 3 * RAY // 1_000


def test_a_minority_widens_no_range(protocol):
    say_ranges(protocol, *[(2_000, 1_990, 2_010)] * 3, (2_000, 0, 32_000))
    assert mark(protocol, 60) == (2_000, 1_990, 2_010)


@pytest.mark.parametrize(("late", "counts"), [(0, True), (1, False)])
def test_a_range_that_begins_too_late_does_not_count(protocol, late, counts):
    """It has to contain the second that lies so far back."""
    protocol.advance(100)
    say_ranges(protocol, *[(2_000, 1_900, 2_100)] * 3, since=protocol.timestamp - 60 + late)
    assert (mark(protocol, 60) == (2_000, 1_900, 2_100)) == counts
    assert counts or mark(protocol, 60) == Mark()
    # A second later it does.
    protocol.advance(late)
    assert mark(protocol, 60) == (2_000, 1_900, 2_100)


def test_one_that_begins_too_late_is_none_of_a_quorum(protocol):
    protocol.advance(100)
    say_ranges(protocol, *[(2_000, 2_000, 2_000)] * 3)
    args = *(9_000 * RAY,) * 3, protocol.timestamp - 59
    protocol.do("PriceFeed.report_range", 0, *args, sender="reporter_4")
    assert within(protocol, 60) == 2_000
    protocol.do("PriceFeed.report_range", 0, *args, sender="reporter_3")
    assert within(protocol, 60) == 0


def test_a_plain_report_counts_in_its_own_second_alone(protocol):
    """It says nothing of the seconds before."""
    protocol.advance(100)
    protocol.report("WETH", 2_100 * RAY)
    assert within(protocol, 0) == 2_100 and within(protocol, 1) == 0
    protocol.advance(1)
    assert within(protocol, 1) == 2_100 and within(protocol, 2) == within(protocol, 0) == 0


def test_a_signed_range(protocol):
    protocol.advance(100)
    span = Span(1_950 * RAY, 2_600 * RAY, protocol.timestamp - 60)
    submit_reports_and_count_accepted(
        protocol, [sign_dollar_report(protocol, each, 0, 2_500, age=40, span=span) for each in REPORTERS]
    )
    assert mark(protocol, 60) == mark(protocol, 40) == (2_500, 1_950, 2_600)
    assert mark(protocol, 61) == mark(protocol, 39) == Mark()


def test_ends_are_rounded_outward(protocol):
    """By less than a millionth of the price each; a price that stood still has its own ends exactly."""
    price, low, high = 3 * RAY + 1, RAY + 1, 5 * RAY + 1
    for reporter in REPORTERS:
        protocol.do("PriceFeed.report_range", 0, price, low, high, 0, sender=reporter)
    found = protocol.read("PriceFeed.mark_within", 0, 60, 0)
    assert found.price == price
    assert low - price / 10**6 < found.low < low and high < found.high < high + price / 10**6
    for reporter in REPORTERS:
        protocol.do("PriceFeed.report_range", 0, price, price, price, 0, sender=reporter)
    assert protocol.read("PriceFeed.mark_within", 0, 60, 0) == (price, price, price)

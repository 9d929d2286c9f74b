"""price_within: the median of what reporters said in the last seconds, or none."""

from backstop.model.arithmetic import RAY
from tests.support.signed_reports import bring, signed

REPORTERS = ("reporter_1", "reporter_2", "reporter_3", "reporter_4")


def within(protocol, age, c=0):
    return protocol.read("PriceFeed.price_within", c, age) // RAY


def say(protocol, *dollars):
    for reporter, price in zip(REPORTERS, dollars, strict=False):
        protocol.do("PriceFeed.report", 0, price * RAY, sender=reporter)


def test_neither_delayed_nor_poked(protocol):
    say(protocol, 2_100, 2_200, 2_300, 2_400)
    assert within(protocol, 0) == 2_200
    assert protocol.read("PriceFeed.current_price", 0) == 2_000 * RAY


def test_a_report_counts_for_as_long_as_asked(protocol):
    protocol.advance(100)
    say(protocol, 2_100, 2_200)
    protocol.advance(30)
    protocol.do("PriceFeed.report", 0, 2_150 * RAY, sender="reporter_3")
    assert within(protocol, 30) == 2_150
    assert within(protocol, 29) == 0
    # No longer than the market has it.
    protocol.advance(protocol.parameters.collateral_types[0].feed.max_age - 29)
    assert within(protocol, 2**32) == 0


def test_a_signed_report_is_as_old_as_its_signature(protocol):
    protocol.advance(60)
    bring(protocol, [signed(protocol, each, 0, 2_500, age=40) for each in REPORTERS])
    assert within(protocol, 40) == 2_500 and within(protocol, 39) == 0


def test_none_without_reporters_or_halted(protocol):
    say(protocol, 2_100, 2_200, 2_300)
    assert within(protocol, 60, c=77) == 0
    protocol.do("PriceFeed.set_halted", 0, True, sender="admin")
    assert within(protocol, 60) == 0

"""A market of four reporters with a quorum of three, before its first price."""

import pytest

from backstop.model.arithmetic import RAY

MARKET = 7
REPORTERS = tuple(f"reporter_{i}" for i in range(1, 5))
STEP, MAX_AGE, STALE_AFTER, WINDOW = 3_600, 7_200, 10_800, 5_400


class Market:
    """Four reporters and the feed, prices in whole stablecoins."""

    id = MARKET
    reporters = REPORTERS
    step, max_age, stale_after, window = STEP, MAX_AGE, STALE_AFTER, WINDOW

    def __init__(self, protocol):
        self.protocol = protocol
        self.set()

    def set(self, reporters=REPORTERS, quorum=3, **changes):
        times = {"step": STEP, "max_age": MAX_AGE, "stale_after": STALE_AFTER, "window": WINDOW} | changes
        self.protocol.do("PriceFeed.set_market", MARKET, reporters, quorum, *times.values(), sender="admin")

    def guard(self, deviation=0, confirmations=1, grace=0, dead_after=0):
        """Set the guards; those left out are off."""
        guards = deviation, confirmations, grace, dead_after
        self.protocol.do("PriceFeed.set_guards", MARKET, *guards, sender="admin")

    def halt(self, halted=True, sender="admin"):
        self.protocol.do("PriceFeed.set_halted", MARKET, halted, sender=sender)

    def report(self, *prices):
        """The first reporters report, one price each; None is silence."""
        for reporter, price in zip(REPORTERS, prices, strict=False):
            if price is not None:
                self.protocol.do("PriceFeed.report", MARKET, price * RAY, sender=reporter)

    def say(self, *prices):
        """The same, and that these prices stood still until now: they make a mark."""
        for reporter, price in zip(REPORTERS, prices, strict=False):
            args = *(price * RAY,) * 3, 0
            self.protocol.do("PriceFeed.report_range", MARKET, *args, sender=reporter)

    def poke(self, *prices):
        """Report and step; the new current and next price."""
        self.report(*prices)
        self.protocol.do("PriceFeed.poke", MARKET, sender="stranger")
        current, following, _ = self.protocol.read("PriceFeed.prices_of", MARKET)
        return current // RAY, following // RAY

    def steps(self, *prices):
        """All agree on one price after the other, a step apart; current and next after each."""
        found = []
        for price in prices:
            self.protocol.advance(self.step)
            found.append(self.poke(*[price] * 3))
        return found

    def read(self, view, *args):
        return self.protocol.read(f"PriceFeed.{view}", MARKET, *args)


@pytest.fixture
def market(new_protocol):
    return Market(new_protocol())

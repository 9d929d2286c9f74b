"""Rules of falling prices made wrong, as if on both sides: property 83 notices each."""

import pytest

from backstop.model import falls
from backstop.model.arithmetic import WAD
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.price_feed import PriceFeed
from tests.support.plain import steady
from tests.support.protocol import PRICES
from tests.support.savings import LOOK, XAU, mature, request, save
from tests.support.transitions import notices

PRICE = PRICES["XAU"]


@pytest.fixture
def due(new_protocol):
    """A batch whose time has come, at usual prices."""
    made = steady(new_protocol)
    save(made, "saver", 10_000 * WAD)
    request(made, "saver")
    mature(made)
    made.post_price("XAU", PRICE)
    return made


def settle(protocol):
    protocol.do("Savings.settle", sender="stranger")


def fall(protocol, percent=6):
    protocol.post_next("XAU", PRICE * (100 - percent) // 100)


def fall_and_settle(protocol):
    fall(protocol)
    protocol.advance(LOOK - 1)
    settle(protocol)


def test_payments_that_wait_for_nothing(due, monkeypatch):
    monkeypatch.setattr(LossWaterfall, "losses_at_payment", LossWaterfall.losses_beyond)
    notices(83, due, fall_and_settle)


def test_a_wait_that_is_too_short(due, monkeypatch):
    monkeypatch.setattr(falls, "LOOK", LOOK - 1)
    notices(83, due, fall_and_settle)


def test_falls_that_are_not_seen(due, monkeypatch):
    monkeypatch.setattr(falls, "FALL", 700)
    notices(83, due, fall)


def test_what_is_no_fall(due, monkeypatch):
    """Counted so coarsely that 4% are one."""
    monkeypatch.setattr(falls, "WHOLE", 20)
    notices(83, due, lambda p: fall(p, 4))


def test_rises_that_are_falls(due, monkeypatch):
    right = PriceFeed._fall
    monkeypatch.setattr(
        PriceFeed, "_fall", lambda self, fallen, before, now: right(self, fallen, now, before)
    )
    notices(83, due, lambda p: p.post_price("XAU", PRICE * 11 // 10))


def test_only_what_counts_already(due, monkeypatch):
    monkeypatch.setattr(PriceFeed, "_lowest", lambda self, c: self.prices[c].current)
    notices(83, due, fall)


def test_a_day_that_never_begins_anew(due, monkeypatch):
    """Payments wait a day at most, in all of time."""
    right = PriceFeed._fall

    def wrong(self, *moved):
        found = right(self, *moved)
        self.falls[()] = self.falls[()]._replace(began=1)
        return found

    monkeypatch.setattr(PriceFeed, "_fall", wrong)
    notices(83, due, fall)


def test_a_day_that_always_begins_anew(due, monkeypatch):
    right = PriceFeed._fall

    def wrong(self, *moved):
        found = right(self, *moved)
        self.falls[()] = self.falls[()]._replace(began=self.falls[()].last)
        return found

    monkeypatch.setattr(PriceFeed, "_fall", wrong)

    def play(protocol):
        fall(protocol)
        protocol.advance(60)
        protocol.report("XAU", PRICE * 80 // 100)
        protocol.do("PriceFeed.poke", XAU, sender="stranger")

    feed = due.parameters.collateral_types[XAU].feed
    reporters = tuple(due.address(f"reporter_{i + 1}") for i in range(feed.reporters))
    times = 60, feed.max_age, feed.stale_after, feed.window
    due.do("PriceFeed.set_market", XAU, reporters, feed.quorum, *times, sender="admin")
    notices(83, due, play)

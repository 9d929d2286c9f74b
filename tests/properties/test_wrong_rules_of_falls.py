"""Rules of falling prices made wrong, as if on both sides: properties 83 and 157 notice each."""

import pytest

from backstop.model import price_drops
from backstop.model.arithmetic import WAD
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.price_feed import PriceFeed
from backstop.proof.local_protocol import PRICES
from backstop.system import Action
from tests.support.equity_steps import build_equity_parameters, post_prices_and_fund_people
from tests.support.no_fee_deployments import deploy_without_fees
from tests.support.property_violation_checks import expect_property_violation_on_model
from tests.support.saver_steps import (
    LOOK,
    XAU,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    earn_year_of_high_fees,
    request_all_shares,
)

PRICE = PRICES["XAU"]


@pytest.fixture
def due(new_protocol):
    """A batch that is due, at usual prices."""
    made = deploy_without_fees(new_protocol)
    deposit_savings(made, "saver", 10_000 * WAD)
    request_all_shares(made, "saver")
    cut_batch_and_wait_cooldown(made)
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
    monkeypatch.setattr(LossWaterfall, "losses_at_payment", LossWaterfall.losses_reaching)
    expect_property_violation_on_model(83, due, fall_and_settle)


def test_a_wait_that_is_too_short(due, monkeypatch):
    monkeypatch.setattr(price_drops, "LOOK", LOOK - 1)
    expect_property_violation_on_model(83, due, fall_and_settle)


def test_falls_that_are_not_seen(due, monkeypatch):
    monkeypatch.setattr(price_drops, "FALL", 700)
    expect_property_violation_on_model(83, due, fall)


def test_what_is_no_fall(due, monkeypatch):
    """Counted so coarsely that 4% are one."""
    monkeypatch.setattr(price_drops, "WHOLE", 20)
    expect_property_violation_on_model(83, due, lambda p: fall(p, 4))


def test_rises_that_are_falls(due, monkeypatch):
    right = PriceFeed._update_fall_from_highest
    monkeypatch.setattr(
        PriceFeed,
        "_update_fall_from_highest",
        lambda self, fallen, before, now: right(self, fallen, now, before),
    )
    expect_property_violation_on_model(83, due, lambda p: p.post_price("XAU", PRICE * 11 // 10))


def test_only_what_counts_already(due, monkeypatch):
    monkeypatch.setattr(
        PriceFeed, "_compute_lower_current_next_price", lambda self, c: self.prices[c].current
    )
    expect_property_violation_on_model(83, due, fall)


def test_a_day_that_never_begins_anew(due, monkeypatch):
    """Payments wait a day at most, in all of time."""
    right = PriceFeed._update_fall_from_highest

    def wrong(self, *moved):
        found = right(self, *moved)
        self.falls[()] = self.falls[()]._replace(began=1)
        return found

    monkeypatch.setattr(PriceFeed, "_update_fall_from_highest", wrong)
    expect_property_violation_on_model(83, due, fall)


def test_a_day_that_always_begins_anew(due, monkeypatch):
    right = PriceFeed._update_fall_from_highest

    def wrong(self, *moved):
        found = right(self, *moved)
        self.falls[()] = self.falls[()]._replace(began=self.falls[()].last)
        return found

    monkeypatch.setattr(PriceFeed, "_update_fall_from_highest", wrong)

    def play(protocol):
        fall(protocol)
        protocol.advance(60)
        protocol.report("XAU", PRICE * 80 // 100)
        protocol.do("PriceFeed.poke", XAU, sender="stranger")

    feed = due.parameters.collateral_types[XAU].feed
    reporters = tuple(due.address(f"reporter_{i + 1}") for i in range(feed.reporters))
    times = 60, feed.max_age, feed.stale_after, feed.window
    due.do("PriceFeed.set_market", XAU, reporters, feed.quorum, *times, sender="admin")
    expect_property_violation_on_model(83, due, play)


@pytest.fixture
def rich(new_protocol):
    """A treasury with income to share, at usual prices."""
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("buffer", "savings")))
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 0, sender="admin")
    made.post_price("XAU", PRICE)
    made.advance(LOOK)
    return made


def fall_and_distribute(protocol):
    fall(protocol)
    protocol.advance(LOOK - 1)
    protocol.do("Treasury.distribute", sender="stranger")


def test_a_treasury_that_waits_for_nothing(rich, monkeypatch):
    monkeypatch.setattr(LossWaterfall, "debt_at_risk_at_payment", LossWaterfall.debt_at_risk_total)
    expect_property_violation_on_model(157, rich, fall_and_distribute)


def test_a_treasury_whose_wait_is_too_short(rich, monkeypatch):
    monkeypatch.setattr(price_drops, "LOOK", LOOK - 1)
    expect_property_violation_on_model(157, rich, fall_and_distribute)


def test_surplus_that_is_sold_at_once(rich, monkeypatch):
    """The buyer of the surplus is paid out of the reserve as well."""
    monkeypatch.setattr(LossWaterfall, "debt_at_risk_at_payment", LossWaterfall.debt_at_risk_total)
    rich.do("Treasury.set_shares", (0,), sender="admin")
    rich.do("Treasury.distribute", sender="stranger")

    def play(protocol):
        fall(protocol)
        action = Action(
            "Treasury", "sell", (WAD, protocol.address("buyer")), protocol.address("SurplusAuction")
        )
        assert protocol.lockstep.apply(action).ok

    expect_property_violation_on_model(157, rich, play)

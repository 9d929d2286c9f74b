"""Rules of a feed's steps and terms, made wrong as if on both sides: 41, 146, 147 and 148 notice."""

import pytest

from backstop.lockstep.step_transition import Transition
from backstop.model import price_feed
from backstop.model.arithmetic import RAY
from backstop.model.bounds import FINAL_DEADLINE
from backstop.model.price_feed import Config, PriceFeed
from backstop.model.roles import SETTLEMENT
from backstop.proof.properties import PropertyViolationError, check_refusal_properties, step_transition
from backstop.proof.properties.property_registry import HISTORY_PROPERTIES
from backstop.system import Action, Outcome
from tests.support.auction_steps import WETH
from tests.support.no_fee_deployments import deploy_without_fees
from tests.support.property_violation_checks import expect_property_violation_on_model

USUAL, NEW = 2_000, 1_900
RIGHT_GUARD = PriceFeed._compute_guarded_current_next_prices
RIGHT_RENEWAL = PriceFeed._replace_next_price


@pytest.fixture
def stepped(new_protocol):
    """A step that has just been made, with the reports of the last."""
    made = deploy_without_fees(new_protocol)
    made.post_next("WETH", USUAL * RAY)
    return made


def report(protocol, dollars):
    protocol.report("WETH", dollars * RAY)


def poke(protocol):
    protocol.do("PriceFeed.poke", WETH, sender="stranger")


def renew(protocol, after=0):
    protocol.advance(after)
    report(protocol, NEW)
    poke(protocol)


def test_a_renewal_that_makes_the_price_current(stepped, monkeypatch):
    def wrong(self, c, config, median):
        RIGHT_RENEWAL(self, c, config, median)
        self.prices[c] = self.prices[c]._replace(current=median)

    monkeypatch.setattr(PriceFeed, "_replace_next_price", wrong)
    expect_property_violation_on_model(41, stepped, renew)


def test_a_renewal_that_begins_the_step_anew(stepped, monkeypatch):
    """A renewal would put the next step off."""

    def wrong(self, c, config, median):
        RIGHT_RENEWAL(self, c, config, median)
        self.averages[c] = self.averages[c]._replace(stepped_at=self.world.timestamp)

    monkeypatch.setattr(PriceFeed, "_replace_next_price", wrong)
    expect_property_violation_on_model(41, stepped, lambda protocol: renew(protocol, 60))


def test_a_renewal_late_in_a_step(stepped, monkeypatch):
    monkeypatch.setattr(price_feed, "compute_renewal_window_seconds", lambda step: step // 3)
    expect_property_violation_on_model(41, stepped, lambda protocol: renew(protocol, 601))


def test_a_renewal_without_a_guard(stepped, monkeypatch):
    def wrong(self, c, config, old, median, weighted, *, renews=False):
        config = Config() if renews else config
        return RIGHT_GUARD(self, c, config, old, median, weighted, renews=renews)

    stepped.do("PriceFeed.set_guards", WETH, 200, 1, 0, 0, sender="admin")
    monkeypatch.setattr(PriceFeed, "_compute_guarded_current_next_prices", wrong)
    expect_property_violation_on_model(41, stepped, renew)


def test_a_renewal_that_confirms(stepped, monkeypatch):
    """A price that waits would wait for as many renewals as steps."""

    def wrong(self, c, config, old, median, weighted, *, renews=False):
        return RIGHT_GUARD(self, c, config, old, median, weighted)

    def wait_and_renew(protocol):
        renew(protocol, 3_600)
        report(protocol, NEW - 1)
        poke(protocol)

    stepped.do("PriceFeed.set_guards", WETH, 200, 1, 0, 0, sender="admin")
    monkeypatch.setattr(PriceFeed, "_compute_guarded_current_next_prices", wrong)
    expect_property_violation_on_model(41, stepped, wait_and_renew)


def test_a_price_that_was_known_too_shortly(stepped, monkeypatch):
    """Where another rule than the clock of steps lets it be renewed, 147 sees when it becomes current."""

    def late(protocol):
        renew(protocol, 601)
        protocol.advance(2_999)
        poke(protocol)

    monkeypatch.setattr(step_transition, "HISTORY_PROPERTIES", {147: HISTORY_PROPERTIES[147]})
    monkeypatch.setattr(price_feed, "compute_renewal_window_seconds", lambda step: step // 3)
    expect_property_violation_on_model(147, stepped, late)


def refused(protocol):
    """A step that is due, or newer reports early in one, as if model and contract refused them."""
    model = protocol.lockstep.model
    action = Action("PriceFeed", "poke", (WETH,), protocol.address("stranger"))
    outcome = model.dry_run(action)
    return Transition(action, outcome._replace(reason="price_feed: too early", logs=()), model)


@pytest.mark.parametrize(("after", "dollars"), [(0, NEW), (600, NEW), (3_600, USUAL)])
def test_reports_that_are_refused(stepped, after, dollars):
    stepped.advance(after)
    report(stepped, dollars)
    with pytest.raises(PropertyViolationError, match=r"^property 146 is violated: "):
        check_refusal_properties(refused(stepped))


@pytest.mark.parametrize(("after", "dollars"), [(0, USUAL), (601, NEW), (3_599, NEW)])
def test_reports_that_are_rightly_refused(stepped, after, dollars):
    stepped.advance(after)
    report(stepped, dollars)
    check_refusal_properties(refused(stepped))


def test_a_price_that_waits_is_rightly_refused(stepped):
    stepped.do("PriceFeed.set_guards", WETH, 200, 1, 0, 0, sender="admin")
    renew(stepped, 3_600)
    report(stepped, NEW - 1)
    check_refusal_properties(refused(stepped))


def is_closing(protocol):
    """A change of guards, as if model and contract refused it while they make a final price."""
    model = protocol.lockstep.model
    action = Action("PriceFeed", "set_guards", (WETH, 0, 1, 0, 0), protocol.address("admin"))
    return Transition(action, Outcome("price_feed: is closing", None, ()), model)


@pytest.mark.parametrize("planned", [True, False])
def test_terms_that_stand_still_for_too_long(stepped, planned):
    """Before the moment, and from three days after it on; in between it is right."""
    stepped.do("PriceFeed.grant_role", SETTLEMENT, "settlement", sender="admin")
    with pytest.raises(PropertyViolationError, match=r"^property 148 is violated: "):
        check_refusal_properties(is_closing(stepped))
    if planned:
        moment = stepped.timestamp + 1_000
        stepped.do("PriceFeed.plan_final_price", WETH, moment, sender="settlement")
        with pytest.raises(PropertyViolationError, match=r"^property 148 is violated: "):
            check_refusal_properties(is_closing(stepped))
        stepped.advance(1_000)
    else:
        stepped.do("PriceFeed.begin_final_price", WETH, sender="settlement")
    check_refusal_properties(is_closing(stepped))
    stepped.advance(FINAL_DEADLINE - 1)
    check_refusal_properties(is_closing(stepped))
    stepped.advance(1)
    with pytest.raises(PropertyViolationError, match=r"^property 148 is violated: "):
        check_refusal_properties(is_closing(stepped))


def test_terms_that_stand_still_though_the_price_is_final(stepped):
    stepped.do("PriceFeed.grant_role", SETTLEMENT, "settlement", sender="admin")
    stepped.do("PriceFeed.begin_final_price", WETH, sender="settlement")
    for _ in range(7):
        stepped.post_next("WETH", USUAL * RAY)
    with pytest.raises(PropertyViolationError, match=r"^property 148 is violated: "):
        check_refusal_properties(is_closing(stepped))

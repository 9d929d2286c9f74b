"""Rules of the insured risk made wrong, in contract and model alike: property 132 notices."""

import pytest

from backstop.contract_base import view
from backstop.model.arithmetic import WAD
from backstop.model.margin_fund import MarginFund
from backstop.model.perpetual_trading import PerpetualTrading as Desk
from tests.support.margin_order_steps import build_perpetual_market_terms
from tests.support.model_only_perpetuals_with_properties import (
    expect_violation_of_property,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import BTC, ETH, FUND


@pytest.fixture
def crowd():
    """1,000 lots at 20 are open, half of a cap of 4,000 is insured, and a tenth of the open value must be."""
    made = open_watched_crowd_on_model()
    for number, lot in ((ETH, WAD // 100), (BTC, WAD // 1_000)):
        asked = build_perpetual_market_terms(lot=lot, insured=1_000)
        made.do("MarginPolicy.set_terms", number, asked, sender="admin")
    made.do(f"{FUND}.set_cap", 4_000, sender="admin")
    made.do(f"{FUND}.insure", 2_010 * WAD, sender="rich")
    return made


def spendable(trading):
    fund = trading.world.contracts[FUND]
    return fund.spendable(trading.address)


def more(crowd, lots=10, market=ETH):
    return lambda: crowd.trade("other", "first", lots, market)


def test_what_is_covered_is_opened(crowd):
    crowd.trade("other", "first", 5)


def test_no_rule_at_all(crowd, monkeypatch):
    monkeypatch.setattr(Desk, "_has_insurance_for_open_lots", lambda *_: True)
    expect_violation_of_property(132, more(crowd))


def test_each_market_alone(crowd, monkeypatch):
    """10 lots of bitcoin are 600, of which 60 has to be insured, and 10 is left."""

    def alone(self):
        needed = self._get_open_lots(BTC) * self.market.mark_of(self.address, BTC)
        return needed * 1_000 <= spendable(self) * 10_000

    monkeypatch.setattr(Desk, "_has_insurance_for_open_lots", alone)
    expect_violation_of_property(132, more(crowd, market=BTC))


def test_what_was_open_before(crowd, monkeypatch):
    def old(self):
        needed = (self._get_open_lots(ETH) - 10) * self.market.mark_of(self.address, ETH)
        return needed * 1_000 <= spendable(self) * 10_000

    monkeypatch.setattr(Desk, "_has_insurance_for_open_lots", old)
    expect_violation_of_property(132, more(crowd))


@pytest.mark.parametrize("what", ["amount", "cap"])
def test_money_that_may_not_be_spent(crowd, monkeypatch, what):
    """The amount without its cap; the cap without the balance, or without the spent part."""

    def amount(self, sender):
        return self._load_insurance_for_current_bucket().amount

    def cap(self, sender):
        return self.caps[()] * WAD

    if what == "amount":
        crowd.do(f"{FUND}.set_cap", 2_000, sender="admin")
    monkeypatch.setattr(MarginFund, "spendable", view({"amount": amount, "cap": cap}[what]))
    expect_violation_of_property(132, more(crowd, 5 if what == "amount" else 10))


def test_what_is_spent_today_may_be_spent_again(crowd, monkeypatch):
    crowd.do(f"{FUND}.insure", 10_000 * WAD, sender="rich")
    crowd.mark(ETH, 16 * WAD)
    crowd.seize_and_roll_until_final()
    assert crowd.read(f"{FUND}.insurance_of").spent == 1_000 * WAD
    crowd.do(f"{FUND}.set_cap", 1_700, sender="admin")
    crowd.report_current_prices_again()

    def again(self, sender):
        return min(self._load_insurance_for_current_bucket().amount, self.caps[()] * WAD)

    monkeypatch.setattr(MarginFund, "spendable", view(again))
    expect_violation_of_property(132, more(crowd))

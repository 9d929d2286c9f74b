"""Figures that a call stores wrong, as if in contract and model alike: a property notices."""

import pytest

from backstop.contract_base import external
from backstop.deployment.devnet_trader_signatures import sign_order
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import MIN_NOTICE
from backstop.model.interfaces import Insurance
from backstop.model.margin_fund import Bucket, MarginFund
from backstop.model.margin_orders import MarginOrders, Order
from backstop.model.margin_policy import MarginPolicy
from backstop.model.price_path import SHORT
from backstop.model.pro_rata_deleveraging import ProRataDeleveraging as Sharer
from backstop.model.ranked_deleveraging import RankedDeleveraging as Ranking
from tests.support.model_only_perpetuals_with_properties import (
    attach_property_monitor,
    expect_violation_of_property,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import (
    CLOSER,
    ETH,
    FUND,
    HOUSE,
    ORDERS,
    deploy_perpetuals_on_model,
    open_and_bankrupt_long,
)


@pytest.fixture
def crowd():
    return open_watched_crowd_on_model()


def spoil(monkeypatch, kind, method, change):
    """Change a contract's tables at the end of its call."""
    right = getattr(kind, method)

    @external
    def wrong(self, sender, *args):
        found = right(self, sender, *args)
        change(self, sender, *args)
        return found

    monkeypatch.setattr(kind, method, wrong)


def order(crowd, name, lots):
    found = Order(crowd.get_contract_or_account_address(name), ETH, lots, crowd.price(ETH), MAX_UINT256, 5)
    return found, sign_order(name, found, crowd.world.chain_id, crowd.get_contract_or_account_address(ORDERS))


def test_an_order_that_may_be_filled_again(crowd, monkeypatch):
    spoil(monkeypatch, MarginOrders, "fill", lambda self, sender, maker, *_: forget(self, maker))
    args = *order(crowd, "first", 1), *order(crowd, "other", -1), 1
    expect_violation_of_property(224, lambda: crowd.do(f"{ORDERS}.fill", *args, sender="matcher"))


def forget(orders, order):
    orders.fills[orders._compute_order_digest(Order(*order))] = 0


def test_an_order_that_is_cancelled_and_good(crowd, monkeypatch):
    spoil(monkeypatch, MarginOrders, "cancel", lambda self, sender, order: forget(self, order))
    what, _ = order(crowd, "first", 1)
    expect_violation_of_property(224, lambda: crowd.do(f"{ORDERS}.cancel", what, sender="first"))


def test_a_floor_that_is_one_too_low(crowd, monkeypatch):
    def lower(self, sender, new):
        self.floors[sender] = new - 1

    spoil(monkeypatch, MarginOrders, "raise_nonce", lower)
    expect_violation_of_property(224, lambda: crowd.do(f"{ORDERS}.raise_nonce", 9, sender="first"))


@pytest.mark.parametrize("change", [{"insured": 7}, {"ends_at": 7}, {"lot": 7}, {"dust": 7}])
def test_terms_that_are_kept_otherwise(crowd, monkeypatch, change):
    def wrong(self, sender, m, terms):
        self.underlyings[m] = self.underlyings[m]._replace(**change)

    spoil(monkeypatch, MarginPolicy, "set_terms", wrong)
    terms = crowd.read("MarginPolicy.terms_of", ETH)
    expect_violation_of_property(224, lambda: crowd.do("MarginPolicy.set_terms", ETH, terms, sender="admin"))


def test_an_end_that_forgets_a_limit(crowd, monkeypatch):
    def wrong(self, sender, m, at):
        self.underlyings[m] = self.underlyings[m]._replace(open_limit=0)

    spoil(monkeypatch, MarginPolicy, "delist", wrong)
    at = crowd.world.timestamp + MIN_NOTICE
    expect_violation_of_property(224, lambda: crowd.do("MarginPolicy.delist", ETH, at, sender="admin"))


def test_a_cap_that_is_not_stored(crowd, monkeypatch):
    spoil(monkeypatch, MarginFund, "set_cap", lambda self, sender, new: self.caps.update({(): 1}))
    expect_violation_of_property(224, lambda: crowd.do(f"{FUND}.set_cap", 5, sender="admin"))


@pytest.mark.parametrize("path", ["runs", "lasts", "digests"])
def test_a_run_that_is_kept_otherwise(monkeypatch, path):
    made = attach_property_monitor(deploy_perpetuals_on_model(third_bond=WAD, deleveraging_policy="ranked"))
    made.report_current_prices_again()
    market = open_and_bankrupt_long(made)
    ranking = market.list_ranking(SHORT)

    def wrong(self, sender, m, side, accounts):
        number = (self.runs[m, side, sender].cycle << 32,) if path == "digests" else ()
        key = (m, side, sender, *number)
        self.tables[path][key] = type(self.tables[path][key])()

    spoil(monkeypatch, Ranking, "submit", wrong)
    expect_violation_of_property(224, lambda: market.submit(SHORT, ranking))


def test_a_turn_that_is_not_over(monkeypatch):
    made = attach_property_monitor(deploy_perpetuals_on_model(third_bond=WAD, deleveraging_policy="ranked"))
    made.report_current_prices_again()
    market = open_and_bankrupt_long(made)
    ranking = market.list_ranking(SHORT)
    market.submit(SHORT, ranking)
    # Somebody has lots who has not gained: some are left.
    market.deposit("friend", 50_000 * WAD)
    market.trade("large", "friend", 300)

    def wrong(self, sender, m, side, accounts):
        self.cases[m, side] = self.cases[m, side]._replace(executed=0)

    spoil(monkeypatch, Ranking, "execute", wrong)
    expect_violation_of_property(224, lambda: market.execute_ranked_deleveraging(SHORT, ranking))


@pytest.mark.parametrize("path", ["parts", "totals"])
def test_a_part_that_is_not_counted(monkeypatch, path):
    made = attach_property_monitor(deploy_perpetuals_on_model(third_bond=WAD, deleveraging_policy="shared"))
    made.report_current_prices_again()
    market = open_and_bankrupt_long(made)
    accounts = sorted(market.list_ranking(SHORT))

    def wrong(self, sender, m, side, accounts):
        key = (m, side, accounts[0]) if path == "parts" else (m, side)
        self.tables[path][key] = self.tables[path][key]._replace(lots=0)

    spoil(monkeypatch, Sharer, "share", wrong)
    expect_violation_of_property(
        224, lambda: market.do(f"{CLOSER}.share", ETH, SHORT, tuple(accounts), sender="prover")
    )


# ------------------------------------------------------------------------ the fund


def test_insurance_that_is_not_booked(crowd, monkeypatch):
    monkeypatch.setattr(MarginFund, "_store_insurance_balance", lambda self, insurance: None)
    expect_violation_of_property(225, lambda: crowd.do(f"{FUND}.insure", WAD, sender="rich"))


def test_spending_of_yesterday_that_counts(crowd, monkeypatch):
    fund = crowd.world.contracts[FUND]
    fund.insurances[()] = Insurance(5, 7, 1)
    monkeypatch.setattr(MarginFund, "_load_insurance_for_current_bucket", lambda self: self.insurances[()])
    expect_violation_of_property(225, lambda: crowd.do(f"{FUND}.insure", WAD, sender="rich"))


def test_a_profit_with_too_many_shares(crowd, monkeypatch):
    def wrong(self, sender, owner, amount):
        bucket = self._get_bucket()
        self.buckets[bucket] = Bucket(amount, amount + 1)

    spoil(monkeypatch, MarginFund, "lock", wrong)
    crowd.mark(ETH, 18 * WAD)
    crowd.trade("first", "other", 500)
    for _ in range(2):
        crowd.advance_cycle()
    args = 10_000 * WAD + 5, crowd.get_contract_or_account_address("first")
    expect_violation_of_property(225, lambda: crowd.do(f"{HOUSE}.withdraw", *args, sender="first"))

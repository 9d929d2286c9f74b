"""Rules of the margin market made wrong, as if in contract and model alike: a property notices each."""

import pytest

from backstop.deployment.signing import trader
from backstop.model import margin_book, margin_fund, margin_market, margin_orders, margin_policy
from backstop.model.arithmetic import RAY, WAD
from backstop.model.interfaces import LAST
from tests.support.margin import (
    ETH,
    deposit,
    fill,
    liquidate,
    move,
    opened,
    order,
    price_of,
    signed,
    stage,
)
from tests.support.settling import begin as settle
from tests.support.transitions import notices

Book, Market = margin_book.MarginBook, margin_market.MarginMarket
Policy, Fund, Orders = margin_policy.MarginPolicy, margin_fund.MarginFund, margin_orders.MarginOrders


@pytest.fixture
def margin(new_protocol):
    made = opened(new_protocol)
    stage(made, maker=3_000, taker=20_000, third=10_000, liquidator=50_000)
    fill(made, "maker", "taker", 900)
    fill(made, "maker", "third", 100)
    return made


def off_the_price(protocol):
    """The taker sells above the last price."""
    fill(protocol, "liquidator", "taker", 10, price=price_of(protocol) * 1_002 // 1_000)


def at_the_price(protocol):
    fill(protocol, "liquidator", "taker", 10)


def trade_wrong(change):
    """Trades that change a side as `change(size, cost, cash)` says."""
    right = Book._trade

    def trade(self, owner, market, delta, at):
        gain = right(self, owner, market, delta, at)
        account, held = self.accounts[owner], self.positions[owner, market]
        size, cost, cash = change(held.size, held.cost, account.cash)
        self.positions[owner, market] = held._replace(size=size, cost=cost)
        self.accounts[owner] = account._replace(cash=cash)
        return gain

    return trade


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        (Book, "_trade", trade_wrong(lambda size, cost, cash: (size, cost, cash + 1))),
        (Book, "_trade", trade_wrong(lambda size, cost, cash: (size, cost - 1, cash))),
        (Market, "_charge", lambda self, owner, premium: None),
        (Market, "_charge", lambda self, owner, premium: self._credit(owner, -premium // 8)),
    ],
    ids=["cash", "cost", "no fee", "a fee for nobody"],
)
def test_a_trade_that_moves_something_else(margin, monkeypatch, owner, name, wrong):
    monkeypatch.setattr(owner, name, wrong)
    notices(50, margin, off_the_price)


def test_who_is_charged_for_a_premium(margin, monkeypatch):
    right = Market._charge
    other = {trader("liquidator"): trader("taker"), trader("taker"): trader("liquidator")}
    monkeypatch.setattr(Market, "_charge", lambda self, owner, fee: right(self, other[owner], fee))
    notices(50, margin, off_the_price)


@pytest.mark.parametrize("cut", [lambda gain: 0, lambda gain: gain // 2], ids=["none of it", "half of it"])
def test_a_gain_that_repays_other_than_its_share(margin, monkeypatch, cut):
    tables = margin.lockstep.model.world.contracts["MarginMarket"]
    tables.interests[ETH] = tables.interests[ETH]._replace(unpaid=10**6 * WAD)
    right = Book._cut
    monkeypatch.setattr(Book, "_cut", lambda self, owner, market, gain: right(self, owner, market, cut(gain)))
    notices(50, margin, lambda p: fill(p, "third", "liquidator", 50, price=price_of(p) * 998 // 1_000))


def crossed(protocol):
    """The maker asks for more than the taker pays."""
    high, low = price_of(protocol), price_of(protocol) - 1
    ask = signed(protocol, "taker", order("taker", ETH, -5, high))
    bid = signed(protocol, "liquidator", order("liquidator", ETH, 5, low))
    protocol.do("MarginOrders.fill", *ask, *bid, 5, sender="matcher")


def late(protocol):
    expiry = protocol.timestamp - 1
    fill(protocol, "liquidator", "taker", 5, expiry=expiry)


def too_much(protocol):
    bid = signed(protocol, "liquidator", order("liquidator", ETH, 5, price_of(protocol)))
    ask = signed(protocol, "taker", order("taker", ETH, -9, price_of(protocol)))
    protocol.do("MarginOrders.fill", *bid, *ask, 9, sender="matcher")


def void(protocol):
    protocol.do("MarginOrders.raise_nonce", 1, sender=trader("taker"))
    bid = signed(protocol, "liquidator", order("liquidator", ETH, 5, price_of(protocol)))
    ask = signed(protocol, "taker", order("taker", ETH, -5, price_of(protocol)))
    protocol.do("MarginOrders.fill", *bid, *ask, 5, sender="matcher")


def not_signed(protocol):
    """The buyer has not signed; of half of all fills its signature is the one that is looked at."""
    for lots in range(1, 9):
        wanted = order("liquidator", ETH, lots, price_of(protocol))
        _, signature = signed(protocol, "third", wanted)
        ask = signed(protocol, "taker", order("taker", ETH, -lots, price_of(protocol)))
        protocol.do("MarginOrders.fill", wanted, signature, *ask, lots, sender="matcher")


def at_two_limits(protocol, nonces):
    """The buyer, named as the maker, bids a hundredth more than is asked."""
    price = price_of(protocol)
    bid = signed(protocol, "liquidator", order("liquidator", ETH, 5, price, nonce=nonces[0]))
    ask = signed(protocol, "taker", order("taker", ETH, -5, price * 99 // 100, nonce=nonces[1]))
    protocol.do("MarginOrders.fill", *bid, *ask, 5, sender="matcher")


def second_first(protocol):
    at_two_limits(protocol, (2, 1))


def at_one_time(protocol):
    at_two_limits(protocol, (1, 1))


def tomorrows(protocol):
    at_two_limits(protocol, (1, (protocol.timestamp + 1) * 10**9))


@pytest.mark.parametrize(
    "play", [crossed, late, too_much, void, not_signed, second_first, at_one_time, tomorrows]
)
def test_orders_that_are_not_good_for_it(margin, monkeypatch, play):
    monkeypatch.setattr(margin_orders, "require", lambda holds, reason: None)
    notices(50, margin, play)


def test_new_risk_at_the_last_price(margin, monkeypatch):
    """A price that is known to fall counts."""
    margin.post_next("WETH", 1_000 * RAY)
    right = Book._worth
    monkeypatch.setattr(Book, "_worth", lambda self, owner, account, kind: right(self, owner, account, LAST))
    notices(51, margin, lambda p: fill(p, "liquidator", "taker", 4_800))


@pytest.mark.parametrize("check", ["_check_initial", "_check_reduced"])
def test_no_check_of_margins(margin, monkeypatch, check):
    monkeypatch.setattr(Market, check, lambda *_: None)
    if check == "_check_reduced":
        move(margin, "WETH", 1_750)
        # Under its maintenance margin, it sells cheap.
        notices(51, margin, lambda p: fill(p, "maker", "liquidator", -100, price=price_of(p) * 9 // 10))
    else:
        notices(51, margin, lambda p: fill(p, "maker", "liquidator", 1_000))


def test_cash_taken_out_of_a_margin(margin, monkeypatch):
    monkeypatch.setattr(Market, "_check_initial", lambda *_: None)
    cash = 2_999 * WAD
    notices(51, margin, lambda p: p.do("MarginMarket.withdraw", cash, "maker", sender=trader("maker")))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda self, owner, amount: Book._credit(self, owner, amount - (amount > 0)),
        lambda self, owner, amount: Book._credit(self, owner, 2 * amount),
    ],
)
def test_a_deposit_that_is_not_credited(margin, monkeypatch, wrong):
    monkeypatch.setattr(Market, "_credit", wrong, raising=False)
    notices(52, margin, lambda p: deposit(p, "taker", WAD))


def test_a_profit_that_is_not_locked(margin, monkeypatch):
    """It counts as a deposit, or is locked for somebody else."""
    margin.do("MarginMarket.deposit", trader("rich"), WAD, sender="rich")
    market = margin.lockstep.model.world.contracts["MarginMarket"]
    market.deposits[trader("rich")] = 0
    right = Fund.lock
    stranger = margin.address("stranger")
    monkeypatch.setattr(
        Fund, "lock", lambda self, sender, owner, amount: right(self, sender, stranger, amount)
    )
    notices(52, margin, lambda p: p.do("MarginMarket.withdraw", WAD, "friend", sender=trader("rich")))


def test_markets_that_close_at_another_price(margin, monkeypatch):
    settle(margin)
    right = Book._price
    monkeypatch.setattr(Book, "_price", lambda self, market, kind: right(self, market, kind) + 1)
    notices(53, margin, lambda p: p.do("MarginMarket.begin_close", sender="stranger"))


@pytest.mark.parametrize(
    "wrong", [lambda self, owner, market: None, lambda self, owner, market: self._credit(owner, 1)]
)
def test_what_is_owed_at_the_end(margin, monkeypatch, wrong):
    move(margin, "WETH", 1_600)
    settle(margin)
    margin.do("MarginMarket.begin_close", sender="stranger")
    args = trader("maker"), trader("third"), ETH
    margin.do("MarginMarket.close_out", *args, 100, sender="stranger")
    monkeypatch.setattr(Market, "_leave_unpaid", wrong)
    last = trader("maker"), trader("taker"), ETH, 900
    notices(53, margin, lambda p: p.do("MarginMarket.close_out", *last, sender="stranger"))


@pytest.fixture
def weak(margin):
    """The maker is under its maintenance margin, but not by much."""
    move(margin, "WETH", 1_780)
    return margin


def reward_wrong(change):
    right = margin_policy._reward
    return lambda terms, each, lots: change(right(terms, each, lots), lots)


@pytest.mark.parametrize(
    "wrong",
    [lambda reward, lots: reward + 1, lambda reward, lots: 0, lambda reward, lots: reward * 2],
    ids=["a wei more", "nothing", "twice"],
)
def test_another_reward(weak, monkeypatch, wrong):
    monkeypatch.setattr(margin_policy, "_reward", reward_wrong(wrong))
    notices(54, weak, lambda p: liquidate(p, "maker", 100))


def test_a_liquidators_fee_that_vanishes(weak, monkeypatch):
    """What it gets is right; the fees are not."""
    market = weak.lockstep.model.world.contracts["MarginMarket"]
    right = Market._check_reserved

    def check(self, owner):
        self.fee_table[()] = 0
        right(self, owner)

    assert market.fee_share
    monkeypatch.setattr(Market, "_check_reserved", check)
    notices(54, weak, lambda p: liquidate(p, "maker", 100))


def test_more_lots_than_needed(weak, monkeypatch):
    monkeypatch.setattr(margin_policy, "require", lambda holds, reason: None)
    notices(54, weak, lambda p: liquidate(p, "maker", 990))


def test_a_liquidation_at_another_price(weak, monkeypatch):
    """At the index of an hour ago, that is."""
    right = Market._price
    monkeypatch.setattr(Market, "_price", lambda self, market, kind: right(self, market, kind) - 1)
    notices(54, weak, lambda p: liquidate(p, "maker", 100))


def trade_and_wait(protocol):
    off_the_price(protocol)
    for _ in range(3):
        protocol.advance(3_600)
        protocol.do("MarginMarket.accrue", ETH, sender="stranger")


def wrong_index(self, market):
    funding = self.fundings[market]
    return funding.level + funding.rate * (self.world.timestamp - funding.updated + 1)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_index", wrong_index),
        ("_index", lambda self, market: self.fundings[market].level),
        ("_capped", lambda self, market, premium: premium * 2),
        ("_note_premium", lambda self, market, lots, price: 0),
    ],
    ids=["a second more", "never", "without a cap", "no premium"],
)
def test_another_funding(margin, monkeypatch, name, wrong):
    if name == "_note_premium":
        # A trade at the last price charges nobody, but counts as one.
        monkeypatch.setattr(Book, name, wrong)
        notices(55, margin, at_the_price)
        return
    at_the_price(margin)
    monkeypatch.setattr(Book, name, wrong)
    notices(50 if name == "_capped" else 55, margin, trade_and_wait)


def test_a_rate_of_another_period(margin, monkeypatch):
    off_the_price(margin)
    monkeypatch.setattr(margin_book, "PERIOD", 14_400)
    margin.advance(3_600)
    notices(55, margin, lambda p: p.do("MarginMarket.accrue", ETH, sender="stranger"))


def test_a_rate_before_its_interval_is_over(margin, monkeypatch):
    off_the_price(margin)
    monkeypatch.setattr(margin_book, "INTERVAL", 60)
    margin.advance(60)
    notices(55, margin, lambda p: p.do("MarginMarket.accrue", ETH, sender="stranger"))

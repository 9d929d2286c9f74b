"""Rules of freezes, losses and profits made wrong, as if in contract and model: a property notices each."""

import pytest

from backstop.deployment.signing import trader
from backstop.model import margin_book, margin_fund, margin_market
from backstop.model.arithmetic import WAD
from backstop.model.ranking import Left
from tests.support.margin import BTC, ETH, begin, cash, execute, fill, move, opened, prove, stage
from tests.support.margin_fund import DAY
from tests.support.transitions import notices

Book, Market, Fund = margin_book.MarginBook, margin_market.MarginMarket, margin_fund.MarginFund


@pytest.fixture
def broke(new_protocol):
    """The maker owes more than it has; two have gained by it."""
    made = opened(new_protocol)
    stage(made, maker=3_000, taker=20_000, third=10_000, liquidator=50_000)
    fill(made, "maker", "taker", 900)
    fill(made, "maker", "third", 100)
    fill(made, "liquidator", "taker", 200)
    move(made, "WETH", 1_600)
    return made


def test_a_freeze_that_lasts_longer(broke, monkeypatch):
    right = Market.freeze

    def freeze(self, sender, owner, market):
        found = right(self, sender, owner, market)
        self.freezes[()] = self.freezes[()]._replace(until=found.until + 1)
        return found._replace(until=found.until + 1)

    monkeypatch.setattr(Market, "freeze", freeze)
    notices(56, broke, lambda p: begin(p, "maker"))


def test_a_freeze_in_a_freeze(broke, monkeypatch):
    begin(broke, "maker")
    broke.lockstep.model.advance(60)
    monkeypatch.setattr(Market, "_frozen_now", lambda self: False)
    notices(56, broke, lambda p: begin(p, "maker"))


def test_prices_that_do_not_stay(broke, monkeypatch):
    begin(broke, "maker")
    prove(broke, "taker", "third")
    right = Market.deleverage

    def deleverage(self, *args):
        price = self.frozen_prices[BTC]
        self.frozen_prices[BTC] = price._replace(price=price.price + 1)
        return right(self, *args)

    monkeypatch.setattr(Market, "deleverage", deleverage)
    notices(56, broke, lambda p: execute(p, 1))


def test_more_taken_than_was_missing(broke):
    """The watch begins when less is missing than the entries go on to pay."""
    begin(broke, "maker")
    prove(broke, "taker", "third")
    left = broke.lockstep.model.world.contracts["MarginDeleverager"].left
    lots, loss = left[()]
    left[()] = Left(lots, 1)

    def play(protocol):
        left[()] = Left(lots, loss)
        execute(protocol)

    notices(56, broke, play)


def test_insurance_beyond_its_cap(broke, monkeypatch):
    broke.do("MarginFund.insure", 100_000 * WAD, sender="rich")
    broke.do("MarginFund.set_cap", 100, sender="admin")
    right = Fund._insurance
    monkeypatch.setattr(Fund, "_insurance", lambda self: right(self)._replace(spent=0))
    fund = broke.lockstep.model.world.contracts["MarginFund"]
    fund.insurances[()] = right(fund)._replace(spent=99 * WAD)
    notices(57, broke, lambda p: begin(p, "maker"))


def test_gains_that_pay_before_insurance(broke, monkeypatch):
    broke.do("MarginFund.insure", 100_000 * WAD, sender="rich")
    monkeypatch.setattr(Fund, "absorb", lambda self, sender, loss: 0)
    notices(57, broke, lambda p: begin(p, "maker"))


def test_buckets_that_do_not_pay_alike(broke, monkeypatch):
    fund = broke.lockstep.model.world.contracts["MarginFund"]
    now = broke.timestamp // fund.length
    broke.do("Stablecoin.transfer", "MarginFund", 4_000 * WAD, sender="rich")
    for bucket, amount in ((now, 1_000 * WAD), (now - 1, 3_000 * WAD)):
        fund.buckets[bucket] = margin_fund.Bucket(amount, amount, 0)
    right = Fund._unvested
    monkeypatch.setattr(Fund, "_unvested", lambda self: list(right(self))[:1])
    notices(57, broke, lambda p: begin(p, "maker"))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("_add_cost", lambda *_: None), ("_credit", lambda self, owner, amount: None)],
)
def test_what_deleveraging_moves(broke, monkeypatch, name, wrong):
    begin(broke, "maker")
    prove(broke, "taker", "third")
    monkeypatch.setattr(Book, name, wrong)
    notices(58, broke, lambda p: execute(p, 1))


def test_an_unpaid_loss_that_nobody_books(broke, monkeypatch):
    move(broke, "WETH", 1_000)
    begin(broke, "maker")
    prove(broke, "taker", "third")
    accounts = broke.lockstep.model.world.contracts["MarginMarket"].accounts
    right = Market.finish

    def finish(self, sender, owner, unpaid):
        right(self, sender, owner, unpaid)
        self._credit(owner, 1)

    accounts[trader("maker")] = accounts[trader("maker")]._replace(cash=-(10**6) * WAD)
    monkeypatch.setattr(Market, "finish", finish)
    notices(58, broke, execute)


def test_a_gain_that_has_paid_before(broke):
    """The watch begins when it has; the rules have forgotten it."""
    positions, key = broke.lockstep.model.world.contracts["MarginMarket"].positions, (trader("taker"), ETH)
    held = positions[key]
    positions[key] = held._replace(cost=held.size * 16 * WAD)

    def play(protocol):
        positions[key] = held
        begin(protocol, "maker")
        prove(protocol, "taker", "third")
        execute(protocol)

    notices(59, broke, play)


@pytest.fixture
def gone(broke):
    """The third has closed its position and withdrawn all it has, 400 of it profit."""
    fill(broke, "third", "liquidator", 100)
    broke.do("MarginMarket.withdraw", cash(broke, "third"), "friend", sender=trader("third"))
    return broke


def claim(protocol):
    fund = protocol.lockstep.model.world.contracts["MarginFund"]
    (bucket,) = (bucket for _, bucket in fund.holdings)
    protocol.do("MarginFund.claim", "friend", bucket, sender="stranger")


def test_a_profit_claimed_before_it_has_vested(gone, monkeypatch):
    monkeypatch.setattr(margin_fund, "require", lambda holds, reason: None)
    notices(60, gone, claim)


@pytest.mark.parametrize("wrong", [lambda *_: 1, lambda holding, state: state.assets // 2])
def test_another_profit(gone, monkeypatch, wrong):
    gone.advance(8 * DAY)
    monkeypatch.setattr(margin_fund, "_value", wrong)
    notices(60, gone, claim)


def test_a_profit_that_a_clawback_spares(gone, monkeypatch):
    """All of it pays, and it is claimed whole all the same."""
    fund = gone.lockstep.model.world.contracts["MarginFund"]
    right = dict(fund.buckets), dict(fund.holdings)

    def play(protocol):
        begin(protocol, "maker")
        for table, rows in zip((fund.buckets, fund.holdings), right, strict=True):
            table.update(rows)
        protocol.advance(8 * DAY)
        claim(protocol)

    gone.do("MarginFund.insure", 1_000 * WAD, sender="rich")
    notices(60, gone, play)

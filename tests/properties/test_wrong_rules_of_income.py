"""Rules of equity's auctions and of the treasury made wrong, as if on both sides: a property notices each."""

from functools import wraps
from typing import Any

import pytest

from backstop.model import equity_auction, surplus_auction, treasury
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.equity import Equity
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.price_feed import PriceFeed
from backstop.model.recovery_claims import RecoveryClaims
from tests.support.equity_steps import (
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
    report_equity,
    take_from_equity_auction,
)
from tests.support.property_violation_checks import expect_property_violation_on_model
from tests.support.saver_steps import deposit_savings, earn_year_of_high_fees, lose_new_vault

Auction, Sale = equity_auction.EquityAuction, equity_auction.Sale
Treasury = treasury.Treasury
draw_right = Treasury._draw_and_approve_reserve


def but_for_last(args: tuple[Any, ...], last: int) -> Any:
    """The same arguments with another last one."""
    return *args[:-1], last


@pytest.fixture(params=["MintAuction", "StakeAuction"])
def losing(request, new_protocol):
    """A deficit of about 10,000 with equity at 100: new or staked equity is sold for it."""
    stage = {"MintAuction": "minted_equity", "StakeAuction": "staked_equity"}[request.param]
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters(stage, "savings", mint_cap=10_000, supply=10_000))
    )
    if stage == "staked_equity":
        made.do("Equity.transfer", "staker", 500 * WAD, sender="admin")
        made.do("Equity.approve", "StakedEquity", MAX_UINT256, sender="staker")
        made.do("StakedEquity.deposit", 500 * WAD, "staker", sender="staker")
    lose_new_vault(made)
    report_equity(made, 100 * RAY)
    return made, request.param


@pytest.fixture
def selling(losing):
    made, auction = losing
    call_waterfall_cover_once(made)
    made.advance(3_600)
    return made, auction


def test_an_auction_from_another_floor(losing, monkeypatch):
    monkeypatch.setattr(Auction, "_compute_floor", lambda self, average: average * 9_000 // 10_000)
    expect_property_violation_on_model(61, losing[0], call_waterfall_cover_once)


def test_an_auction_from_another_price(losing, monkeypatch):
    right = PriceFeed.highest_and_average

    def doubled(feed, sender, market):
        highest, average = right(feed, sender, market)
        return highest * 2, average

    monkeypatch.setattr(PriceFeed, "highest_and_average", doubled)
    expect_property_violation_on_model(61, losing[0], call_waterfall_cover_once)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda self, elapsed, duration: self.floor,
        lambda self, elapsed, duration: self.top,
        lambda self, elapsed, duration: self.top - (self.top - self.floor) * elapsed // duration + 1,
    ],
    ids=["the floor", "the top", "a ray more"],
)
def test_equity_off_its_curve(selling, monkeypatch, wrong):
    made, auction = selling
    monkeypatch.setattr(Sale, "compute_price", wrong)
    expect_property_violation_on_model(
        61, made, lambda p: take_from_equity_auction(p, 7 * WAD // 3, auction=auction)
    )


def test_equity_that_does_not_come_back(selling, monkeypatch):
    """Unsold equity after a take at a high price stays with the auction."""
    made, auction = selling
    right = Equity.mint_reserved
    monkeypatch.setattr(Auction, "_return_lot_to_pool", lambda self, amount: None)
    monkeypatch.setattr(Equity, "mint_reserved", lambda self, *args: right(self, *but_for_last(args, 0)))
    # New equity that stays booked has a property of its own.
    expect_property_violation_on_model(
        15 if auction == "MintAuction" else 61,
        made,
        lambda p: take_from_equity_auction(p, WAD, auction=auction),
    )


def test_an_auction_that_ends_in_its_time(selling, monkeypatch):
    made, auction = selling
    monkeypatch.setattr(equity_auction, "require", lambda holds, reason: None)
    expect_property_violation_on_model(61, made, lambda p: p.do(f"{auction}.end", XAU, sender="stranger"))


def test_a_target_that_is_not_what_was_paid(selling, monkeypatch):
    made, auction = selling
    right = LossWaterfall.book_payment
    monkeypatch.setattr(
        LossWaterfall, "book_payment", lambda self, *args: right(self, *but_for_last(args, args[-1] - RAY))
    )
    expect_property_violation_on_model(61, made, lambda p: take_from_equity_auction(p, WAD, auction=auction))


@pytest.fixture
def income(new_protocol):
    """Juniors bore 4,000 of a loss and savers 6,000; the reserve has it back, and more than its target."""
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("junior", "savings")))
    deposit_savings(made, "junior", 4_000 * WAD, "Junior")
    lose_new_vault(made)
    call_waterfall_cover_once(made)
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    made.do("Treasury.set_shares", (1_000, 2_500), sender="admin")
    return made


def distribute(protocol):
    protocol.do("Treasury.distribute", sender="stranger")


def test_income_shared_before_claims(income):
    series = income.lockstep.model.world.contracts["Treasury"]
    series.claim_addresses, right = (), series.claim_addresses

    def repay(*_):
        series.claim_addresses = right
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Treasury, "_add_insurance", repay)
        expect_property_violation_on_model(14, income, distribute)


def test_claims_that_are_not_paid_all(new_protocol, monkeypatch):
    """The rest is for sale."""
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("savings")))
    lose_new_vault(made)
    call_waterfall_cover_once(made)
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 0, sender="admin")
    made.do("Treasury.set_shares", (0,), sender="admin")
    right = RecoveryClaims.repayable
    monkeypatch.setattr(RecoveryClaims, "repayable", lambda self, *args: right(self, *args) // 2)
    expect_property_violation_on_model(62, made, distribute)


@pytest.fixture
def rich(new_protocol):
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("buffer", "savings", surplus_lot=500))
    )
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    return made


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_compute_surplus", lambda self, doubt: self._compute_free_reserve(doubt)),
        ("_add_insurance", lambda self, fresh: fresh // 10),
        ("_draw_and_approve_reserve", lambda self, amount, spender: draw_right(self, amount + 1, spender)),
    ],
    ids=["under the target", "insurance of nobody", "a wei more"],
)
def test_a_reserve_spent_otherwise(rich, monkeypatch, name, wrong):
    monkeypatch.setattr(Treasury, name, wrong)
    expect_property_violation_on_model(62, rich, distribute)


def test_more_offered_than_there_is(rich, monkeypatch):
    right = Treasury.distribute

    @wraps(right)
    def distribute_and_offer(self, sender):
        spent = right(self, sender)
        self.plan[()] = self.plan[()]._replace(offered=self.plan[()].offered + 1)
        return spent

    monkeypatch.setattr(Treasury, "distribute", distribute_and_offer)
    expect_property_violation_on_model(62, rich, distribute)


@pytest.fixture
def for_sale(rich):
    """Lots of 500; the taker has 10,000 of equity at 100."""
    rich.do("Treasury.set_shares", (0,), sender="admin")
    distribute(rich)
    rich.do("Equity.transfer", "taker", 10_000 * WAD, sender="admin")
    rich.do("Equity.approve", "SurplusAuction", MAX_UINT256, sender="taker")
    hold_equity_price_until_average(rich, 100 * RAY)
    return rich


def start(protocol):
    protocol.do("SurplusAuction.start", sender="stranger")


def buy(protocol, amount=100 * WAD):
    protocol.do("SurplusAuction.take", amount, MAX_UINT256, "taker", b"", sender="taker")


def test_surplus_from_another_price(for_sale, monkeypatch):
    right = surplus_auction._compute_equity_per_stablecoin
    monkeypatch.setattr(
        surplus_auction, "_compute_equity_per_stablecoin", lambda price, share: right(price, share) - 1
    )
    expect_property_violation_on_model(63, for_sale, start)


def test_surplus_that_is_not_for_sale(for_sale, monkeypatch):
    for_sale.do("Treasury.set_target", 10**9, sender="admin")
    monkeypatch.setattr(surplus_auction, "require", lambda holds, reason: None)
    expect_property_violation_on_model(63, for_sale, start)


def test_surplus_started_twice(for_sale, monkeypatch):
    start(for_sale)
    for_sale.advance(60)
    monkeypatch.setattr(surplus_auction, "require", lambda holds, reason: None)
    expect_property_violation_on_model(63, for_sale, start)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda self, elapsed, duration: self.floor,
        lambda self, elapsed, duration: self.top - (self.top - self.floor) * (elapsed + 1) // duration,
    ],
)
def test_surplus_off_its_curve(for_sale, monkeypatch, wrong):
    start(for_sale)
    for_sale.advance(1_234)
    monkeypatch.setattr(surplus_auction.Prices, "compute_price", wrong)
    expect_property_violation_on_model(63, for_sale, buy)


def test_surplus_after_its_time(for_sale, monkeypatch):
    start(for_sale)
    for_sale.advance(36_001)
    monkeypatch.setattr(surplus_auction, "require", lambda holds, reason: None)
    expect_property_violation_on_model(63, for_sale, buy)


def test_surplus_that_stays_offered(for_sale, monkeypatch):
    start(for_sale)

    def sell(self, sender, amount, receiver):
        self.vault_engine.spend_reserve(self.address, amount, receiver)

    monkeypatch.setattr(Treasury, "sell", sell)
    expect_property_violation_on_model(63, for_sale, buy)

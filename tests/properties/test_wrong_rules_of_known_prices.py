"""Rules on the choice of the second made wrong, as if on both sides: properties 150 and 151 notice each.

The properties of single kinds of sales, which expect a top to the wei and would fail first, are left out.
"""

from dataclasses import replace

import pytest

from backstop.deployment.parameter_dataclasses import EquityParameters
from backstop.lockstep.step_transition import Transition
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.collateral_auction import CollateralAuction
from backstop.model.equity import Equity
from backstop.model.price_feed import PriceFeed
from backstop.model.recovery_claims import RecoveryClaims
from backstop.proof.properties import PropertyMonitor, PropertyViolationError
from tests.support.auction_steps import WETH, liquidate_vault
from tests.support.equity_steps import (
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
    report_equity,
)
from tests.support.ledger_reading_steps import hold_price
from tests.support.no_fee_deployments import (
    build_parameters_without_fees,
    build_uncapped_stages,
    deploy_without_fees,
)
from tests.support.saver_steps import deposit_savings, earn_year_of_high_fees, lose_new_vault

TAIL = 8_400


def notices(number, protocol, play):
    """Check that a run on the model alone breaks one property, were it the only one."""
    both = protocol.lockstep
    watch = PropertyMonitor(both.model, only=(number,))

    def apply(action):
        outcome = both.model.apply(action)
        if outcome.ok:
            watch(Transition(action, outcome, both.model))
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(both, "apply", apply)
        patch.setattr(both, "advance", both.model.advance)
        patch.setattr(both, "view", both.model.view)
        with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: "):
            play(protocol)


def forget(monkeypatch, *parts):
    """Make sales look at the current price alone, and at the average unless `parts` name it."""
    right = PriceFeed.highest_and_average

    def wrong(self, sender, c):
        average = 0 if "average" in parts else right(self, sender, c)[1]
        return self.auction_price(sender, c), average

    monkeypatch.setattr(PriceFeed, "highest_and_average", wrong)
    monkeypatch.setattr(
        PriceFeed,
        "sale_prices",
        lambda self, *args: (self.liquidation_price(*args), self.auction_price(*args)),
    )


@pytest.fixture
def plain(new_protocol):
    made = deploy_without_fees(new_protocol, stages=build_uncapped_stages("buffer", "reserve", "savings"))
    deposit_savings(made, "saver", 10_000 * WAD)
    made.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return made


def test_a_lot_from_the_current_price(plain, monkeypatch):
    plain.post_price("WETH", 1_300 * RAY)
    plain.post_next("WETH", 1_301 * RAY)
    forget(monkeypatch)
    notices(150, plain, liquidate_vault)


def test_a_lot_from_a_price_that_a_guard_hides(plain, monkeypatch):
    """Reporters say it, and it waits to be confirmed."""
    hold_price(plain, "WETH", 1_300 * RAY, 4 * 3_600)
    plain.do("PriceFeed.set_guards", WETH, 2_000, 1, 0, 0, sender="admin")
    plain.post_next("WETH", 2_000 * RAY)
    monkeypatch.setattr(PriceFeed, "_compute_recent_median", lambda self, c, config, age: 0)
    notices(150, plain, liquidate_vault)


def test_a_reset_from_the_current_price(plain, monkeypatch):
    plain.post_price("WETH", 1_300 * RAY)
    id = liquidate_vault(plain)
    hold_price(plain, "WETH", 1_300 * RAY, TAIL + 1)
    plain.post_next("WETH", 1_400 * RAY)
    forget(monkeypatch)
    notices(150, plain, lambda p: p.do("CollateralAuction.reset", id, "stranger", sender="stranger"))


@pytest.fixture
def worthless(plain):
    """The lot is worth nothing, and its tail is over."""
    hold_price(plain, "WETH", RAY, 4 * 3_600)
    id = liquidate_vault(plain)
    hold_price(plain, "WETH", RAY, TAIL + 1)
    return plain, id


def test_a_lot_given_up_at_the_current_price(worthless, monkeypatch):
    protocol, id = worthless
    protocol.post_next("WETH", 3 * RAY)
    forget(monkeypatch)
    notices(150, protocol, lambda p: p.do("CollateralAuction.close", id, sender="stranger"))


def test_a_lot_given_up_without_a_price(worthless, monkeypatch):
    protocol, id = worthless
    protocol.advance(86_400)
    monkeypatch.setattr(CollateralAuction, "_highest_price", lambda self, c: 0)
    notices(150, protocol, lambda p: p.do("CollateralAuction.close", id, sender="stranger"))


def test_salvage_from_the_current_price(worthless, monkeypatch):
    protocol, id = worthless
    protocol.do("CollateralAuction.close", id, sender="stranger")
    protocol.post_next("WETH", 3 * RAY)
    forget(monkeypatch)
    notices(150, protocol, lambda p: p.do("CollateralAuction.sell_salvage", WETH, sender="stranger"))


@pytest.fixture
def losing(new_protocol):
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("minted_equity", "savings", mint_cap=10_000))
    )
    lose_new_vault(made)
    hold_equity_price_until_average(made, 100 * RAY)
    return made


def test_new_equity_from_the_current_price(losing, monkeypatch):
    report_equity(losing, 101 * RAY)
    forget(monkeypatch)
    notices(150, losing, call_waterfall_cover_once)


def test_new_equity_from_under_its_average(losing, monkeypatch):
    report_equity(losing, 80 * RAY)
    report_equity(losing, 80 * RAY)
    right = PriceFeed.highest_and_average
    monkeypatch.setattr(
        PriceFeed, "highest_and_average", lambda *args: (right(*args)[0], right(*args)[1] * 9 // 10)
    )
    notices(150, losing, call_waterfall_cover_once)


@pytest.fixture
def for_sale(new_protocol):
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("buffer", "savings", surplus_lot=500))
    )
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    made.do("Treasury.set_shares", (0,), sender="admin")
    made.do("Treasury.distribute", sender="stranger")
    hold_equity_price_until_average(made, 100 * RAY)
    return made


def start(protocol):
    protocol.do("SurplusAuction.start", sender="stranger")


def test_surplus_from_the_current_price(for_sale, monkeypatch):
    report_equity(for_sale, 99 * RAY)
    monkeypatch.setattr(PriceFeed, "risk_price", PriceFeed.current_price)
    notices(150, for_sale, start)


def test_surplus_while_the_next_price_is_held_back(for_sale, monkeypatch):
    for_sale.do("PriceFeed.set_halted", EQUITY_MARKET, True, sender="admin")
    monkeypatch.setattr(PriceFeed, "risk_price", PriceFeed.current_price)
    notices(150, for_sale, start)


def test_surplus_over_its_average(for_sale, monkeypatch):
    report_equity(for_sale, 150 * RAY)
    report_equity(for_sale, 150 * RAY)
    right = PriceFeed.time_weighted
    monkeypatch.setattr(PriceFeed, "time_weighted", lambda *args: right(*args) * 11 // 10)
    notices(150, for_sale, start)


@pytest.fixture
def owed(new_protocol):
    """The saver has claims of about 10,000, which convert at 20 at least; equity is at 100."""
    parameters = build_parameters_without_fees(
        stages=build_uncapped_stages("buffer", "reserve", "junior", "savings")
    )
    made = new_protocol(replace(parameters, equity=EquityParameters(conversion_price=20 * RAY)), prices=True)
    deposit_savings(made, "saver", 100_000 * WAD, "Junior")
    lose_new_vault(made)
    hold_equity_price_until_average(made, 100 * RAY)
    call_waterfall_cover_once(made, XAU)
    made.do("Junior.collect_claims", "saver", sender="saver")
    return made


def convert(protocol, tokens=100 * WAD):
    protocol.do("Junior.Claims.convert", tokens, "saver", sender="saver")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda self: self.set_price,
        lambda self: max(self.set_price, self.price_feed.time_weighted("", EQUITY_MARKET) // 2),
        lambda self: self.price_feed.time_weighted("", EQUITY_MARKET) * 999_999 // 10**6,
    ],
    ids=["the set price", "half of the average", "a millionth under the average"],
)
def test_claims_that_buy_under_the_market(owed, monkeypatch, wrong):
    monkeypatch.setattr(RecoveryClaims, "_get_equity_price", wrong)
    notices(151, owed, lambda p: convert(p, 10_000 * WAD - 100))


def test_claims_that_buy_at_the_current_price(owed, monkeypatch):
    report_equity(owed, 120 * RAY)
    forget(monkeypatch)
    notices(151, owed, convert)


def test_claims_that_buy_at_the_next_price(owed, monkeypatch):
    """It is lower, and so is the average."""
    report_equity(owed, 200 * RAY)
    report_equity(owed, 100 * RAY)
    right = PriceFeed.highest_and_average
    monkeypatch.setattr(
        PriceFeed,
        "highest_and_average",
        lambda self, *args: (self.prices[args[1]].next, right(self, *args)[1]),
    )
    notices(151, owed, convert)


def test_claims_that_buy_under_the_average(owed, monkeypatch):
    report_equity(owed, 80 * RAY)
    report_equity(owed, 80 * RAY)
    forget(monkeypatch, "average")
    notices(151, owed, convert)


def test_claims_that_buy_under_the_set_price(owed, monkeypatch):
    hold_equity_price_until_average(owed, 10 * RAY)
    hold_equity_price_until_average(owed, 10 * RAY)
    monkeypatch.setattr(
        RecoveryClaims, "_get_equity_price", lambda self: self.price_feed.time_weighted("", EQUITY_MARKET)
    )
    notices(151, owed, convert)


def test_claims_that_buy_while_nobody_knows_a_price(owed, monkeypatch):
    owed.advance(86_400)
    monkeypatch.setattr(RecoveryClaims, "_get_equity_price", lambda self: 10**6 * RAY)
    notices(151, owed, convert)


def test_claims_that_bring_more_than_they_say(owed, monkeypatch):
    right = Equity.mint
    monkeypatch.setattr(Equity, "mint", lambda self, sender, to, amount: right(self, sender, to, 2 * amount))
    notices(151, owed, convert)

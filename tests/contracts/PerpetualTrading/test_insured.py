"""trade, in a market that asks for insurance: no more is opened than it covers, and nothing else stops."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.margin_order_steps import TERMS, build_perpetual_market_terms
from tests.support.perpetual_test_market import BTC, ETH, FUND, HOUSE, TRADING, deploy_perpetuals
from tests.support.revert_setter_and_source_helpers import reverts

DAY = 86_400
TENTH = 1_000
"""Basis points: of 1,000 lots at 20 insurance has to have 2,000."""


def ask(market, number=ETH, insured=TENTH):
    lot = {ETH: WAD // 100, BTC: WAD // 1_000}[number]
    market.do(
        "MarginPolicy.set_terms",
        number,
        build_perpetual_market_terms(lot=lot, insured=insured),
        sender="admin",
    )


def insure(market, amount):
    market.do(f"{FUND}.insure", amount, sender="rich")


@pytest.fixture
def crowd(new_protocol):
    """Rich accounts, no insurance, and a market that asks for a tenth of the open interest."""
    made = deploy_perpetuals(new_protocol)
    for name in ("left", "right", "third"):
        made.deposit(name, 50_000 * WAD)
    ask(made)
    return made


def test_nobody_asks_by_default():
    assert TERMS.insured == 0


def test_to_the_wei(crowd):
    insure(crowd, 2_000 * WAD - 1)
    with reverts("trading: not insured"):
        crowd.trade("left", "right", 1_000)
    crowd.trade("left", "right", 999)
    insure(crowd, 1)
    crowd.trade("left", "right", 1)
    with reverts("trading: not insured"):
        crowd.trade("left", "right", 1)


def test_without_insurance_nothing_is_opened(crowd):
    with reverts("trading: not insured"):
        crowd.trade("left", "right", 1)
    ask(crowd, insured=0)
    crowd.trade("left", "right", 1)


def test_the_price_counts_that_is_now(crowd):
    insure(crowd, 2_000 * WAD)
    crowd.trade("left", "right", 900)
    crowd.mark(ETH, 22 * WAD)
    with reverts("trading: not insured"):
        crowd.trade("left", "right", 10)
    crowd.trade("left", "right", 9)
    crowd.mark(ETH, 20 * WAD)
    crowd.trade("left", "right", 91)


def test_who_passes_on_or_reduces_is_not_asked(crowd):
    """Insurance that is gone, and a market that is full: positions change hands, shrink, and turn."""
    insure(crowd, 2_000 * WAD)
    crowd.trade("left", "right", 1_000)
    ask(crowd, insured=10_000)
    crowd.trade("third", "left", 400)
    crowd.trade("right", "third", 400)
    crowd.trade("right", "left", 700)
    assert crowd.size("left") == -100
    with reverts("trading: not insured"):
        crowd.trade("third", "left", 500)


def test_all_markets_that_ask_share_one_insurance(crowd):
    """1,000 lots at 20 and 200 at 60 need 2,000 and 1,200."""
    ask(crowd, BTC)
    insure(crowd, 3_200 * WAD - 1)
    crowd.trade("left", "right", 1_000)
    with reverts("trading: not insured"):
        crowd.trade("left", "right", 200, BTC)
    ask(crowd, ETH, 0)
    crowd.trade("left", "right", 200, BTC)


def test_a_market_that_does_not_ask_is_neither_counted_nor_stopped(crowd):
    insure(crowd, 2_000 * WAD)
    crowd.trade("left", "right", 200, BTC)
    crowd.trade("left", "right", 1_000)
    crowd.trade("left", "right", 100, BTC)


def test_what_may_be_paid_today_counts(crowd):
    """10,000 of insurance, of which 2,000 may be spent in a day: a day later as much again."""
    insure(crowd, 10_000 * WAD)
    crowd.do(f"{FUND}.set_cap", 1_999, sender="admin")
    with reverts("trading: not insured"):
        crowd.trade("left", "right", 1_000)
    crowd.do(f"{FUND}.set_cap", 2_000, sender="admin")
    crowd.trade("left", "right", 1_000)
    assert crowd.read(f"{FUND}.spendable") == 2_000 * WAD


def fail(market):
    """A long of 500 of the 600 open lots owes 400 at 16, which insurance pays; its lots become unassigned."""
    market.deposit("weak", 1_600 * WAD)
    market.trade("weak", "right", 500)
    market.trade("left", "third", 100)
    market.mark(ETH, 16 * WAD)
    market.seize_insolvent("weak")
    market.advance_cycle()
    market.seize_insolvent("weak")
    market.advance_cycle()


def test_insurance_that_was_spent_is_missing(crowd):
    """Of 10,000 400 are spent, and the cap of 2,000 leaves 1,600 of this day, 2,000 of the next."""
    insure(crowd, 10_000 * WAD)
    crowd.do(f"{FUND}.set_cap", 2_000, sender="admin")
    fail(crowd)
    spent = crowd.read(f"{FUND}.insurance_of").spent
    assert spent == 400 * WAD
    assert crowd.read(f"{FUND}.spendable") == 1_600 * WAD
    # 600 are short: 400 more make 1,000 at 16, a tenth of which is 1,600.
    crowd.report_current_prices_again()
    with reverts("trading: not insured"):
        crowd.trade("left", "third", 401)
    crowd.trade("left", "third", 400)
    crowd.advance_clock(DAY - crowd.world.timestamp % DAY)
    crowd.report_current_prices_again()
    assert crowd.read(f"{FUND}.spendable") == 2_000 * WAD
    with reverts("trading: not insured"):
        crowd.trade("left", "third", 251)
    crowd.trade("left", "third", 250)


def test_lots_of_nobody_are_taken_over_and_the_weak_are_liquidated(crowd):
    """Neither opens more, so both go on in a market that asks for all of the open interest."""
    insure(crowd, 2_000 * WAD)
    crowd.deposit("frail", 450 * WAD)
    crowd.trade("frail", "right", 100)
    crowd.deposit("weak", 1_100 * WAD)
    crowd.trade("weak", "right", 300)
    crowd.mark(ETH, 163 * WAD // 10)
    crowd.seize_insolvent("weak")
    ask(crowd, insured=10_000)
    assert crowd.count_unassigned_lots() == 300
    crowd.do(f"{TRADING}.take", ETH, 300, sender="left")
    crowd.do(f"{TRADING}.liquidate", crowd.get_contract_or_account_address("frail"), ETH, 40, sender="third")
    with reverts("trading: not insured"):
        crowd.trade("left", "right", 1)


def test_nothing_else_asks(crowd):
    """Money leaves a full market as at all times."""
    insure(crowd, 2_000 * WAD)
    crowd.trade("left", "right", 1_000)
    ask(crowd, insured=10_000)
    crowd.do(f"{HOUSE}.withdraw", 1_000 * WAD, crowd.get_contract_or_account_address("away"), sender="left")


def test_eight_markets_are_counted(crowd):
    """Six more of ether, each with 10 lots at 20: a tenth is 20 of each."""
    for market in range(2, 8):
        crowd.do(
            "MarginPolicy.add_market",
            0,
            WAD // 100,
            build_perpetual_market_terms(insured=TENTH),
            sender="admin",
        )
        crowd.do(f"{HOUSE}.accrue", market, sender="keeper")
    insure(crowd, 7 * 20 * WAD - 1)
    for market in (ETH, *range(2, 7)):
        crowd.trade("left", "right", 10, market)
    with reverts("trading: not insured"):
        crowd.trade("left", "right", 10, 7)
    insure(crowd, 1)
    crowd.trade("left", "right", 10, 7)

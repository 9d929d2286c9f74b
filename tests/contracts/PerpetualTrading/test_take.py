"""take: lots that were taken from debtors, for any account, at the mark."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.perpetual_test_market import ETH, TRADING, deploy_perpetuals, open_long_and_two_shorts
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def seized(crowd):
    """The long owes 1,000, and its lots are unassigned."""
    crowd.mark(ETH, 16 * WAD)
    crowd.seize_insolvent("long")
    assert crowd.count_unassigned_lots() == 1_000 and crowd.size("long") == 0
    return crowd


def take(market, name, lots):
    market.do(f"{TRADING}.take", ETH, lots, sender=name)


def test_who_is_on_the_other_side_closes_against_it(seized):
    take(seized, "first", 500)
    assert seized.size("first") == 0 and seized.count_unassigned_lots() == 500
    seized.check_books_after_touching_all()


def test_others_need_margin(seized):
    with reverts("trading: initial margin"):
        take(seized, "stranger", 1)
    take(seized, "other", 1_000)
    assert seized.size("other") == 1_000 and seized.count_unassigned_lots() == 0


def test_no_more_than_it_has_and_at_prices_of_now(seized):
    for lots in (0, 1_001):
        with reverts("trading: not so many lots"):
            take(seized, "other", lots)
    seized.advance_clock(61)
    with reverts("trading: no price for lots"):
        take(seized, "other", 1)


@pytest.mark.parametrize("number", [2, 2**128])
def test_a_market_that_is_not_listed(seized, number):
    with reverts("trading: no price for lots"):
        seized.do(f"{TRADING}.take", number, 1, sender="other")


def test_shorts_of_its_own_as_well(market):
    for name, amount in (("short", 3_000), ("other", 10_000)):
        market.deposit(name, amount * WAD)
    market.trade("other", "short", 1_000)
    market.mark(ETH, 24 * WAD)
    market.seize_insolvent("short")
    assert market.count_unassigned_lots() == -1_000
    take(market, "other", 400)
    assert market.size("other") == 600 and market.count_unassigned_lots() == -600


def test_debtors_of_both_sides_make_each_others_lots_whole(market):
    """A long and a short fail one after the other: only the difference of their lots is unassigned."""
    for name, amount in (("long", 1_500), ("short", 3_000), ("other", 20_000)):
        market.deposit(name, amount * WAD)
    market.trade("long", "other", 500)
    market.trade("other", "short", 1_000)
    market.mark(ETH, 165 * WAD // 10)
    market.seize_insolvent("long")
    assert market.count_unassigned_lots() == 500
    market.mark(ETH, 32 * WAD)
    market.seize_insolvent("short")
    assert market.count_unassigned_lots() == -500 and market.size("other") == 500
    market.check_books_after_touching_all()


def test_a_taker_pays_its_fee_to_the_insurance(new_protocol):
    market = open_long_and_two_shorts(deploy_perpetuals(new_protocol, taker_fee=10))
    market.mark(ETH, 16 * WAD)
    market.seize_insolvent("long")
    before, fees = market.equity("other"), market.market.fee_table[()]
    take(market, "other", 100)
    fee = 100 * 16 * WAD // 1_000
    assert before - market.equity("other") == market.market.fee_table[()] - fees == fee


def test_into_another_account_of_ones_own(seized):
    """By its own margin; the bonds' payment belongs to that account."""
    seized.deposit("other#3", 2_000 * WAD)
    seized.do(
        f"{TRADING}.take", ETH, 1_000, seized.get_contract_or_account_address("other#3"), sender="other"
    )
    assert (seized.size("other#3"), seized.size("other")) == (1_000, 0)
    assert seized.equity("other") == 10_000 * WAD
    seized.check_books_after_touching_all()


def test_not_into_a_strangers(seized):
    for name in ("first", "first#1"):
        with reverts("trading: not its owner"):
            seized.do(f"{TRADING}.take", ETH, 1, seized.get_contract_or_account_address(name), sender="other")
    with reverts("trading: initial margin"):
        seized.do(
            f"{TRADING}.take", ETH, 1, seized.get_contract_or_account_address("other#1"), sender="other"
        )


def test_nor_into_a_contracts_by_whoever_has_the_address_beside_it(seized):
    """A contract's account is its own alone."""
    contract = seized.get_contract_or_account_address("MarginFund")
    beside = f"0x{int(contract, 16) ^ 1:040x}"
    outcome = seized.system.apply(Action(TRADING, "take", (ETH, 1, contract), beside))
    assert outcome.reason == "trading: not its owner"

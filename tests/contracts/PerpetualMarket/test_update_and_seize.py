"""update_and_seize: many debtors in one call, each as in `meet`, and none holds up another."""

from itertools import permutations

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import BTC, ETH, HOUSE, deploy_perpetuals

NAMES = ("alone", "both", "weak", "winner", "nobody")
THIRD = 7 * WAD


@pytest.fixture
def crashed(new_protocol):
    """Make such markets: three owe, one of them in two markets; all that they lost the winner gained."""
    return lambda: crash(deploy_perpetuals(new_protocol, third_bond=THIRD))


def crash(market):
    market.deposit("finder", WAD)
    market.deposit("winner", 50_000 * WAD)
    for name, paid, lots in (("alone", 1_000, 300), ("both", 1_500, 400), ("weak", 500, 150)):
        market.deposit(name, paid * WAD)
        market.trade(name, "winner", lots)
    market.trade("both", "winner", 20, BTC)
    market.mark(ETH, 14 * WAD)
    market.mark(BTC, 50 * WAD)
    return market


def update_and_seize(market, *names, by="finder"):
    return market.do(
        f"{HOUSE}.update_and_seize",
        tuple(market.get_contract_or_account_address(name) for name in names),
        sender=by,
    )


def all_that_is(market):
    """Return the balances of all accounts, and the losses absorbed by each side."""
    found = {name: market.equity(name) for name in (*NAMES, "finder")}
    losses = [market.market.losses[m, market.market.clocks[()].cycle - 1] for m in (ETH, BTC)]
    return found, losses, market.market.bonds[()], market.market.reward_table[()]


def test_it_is_what_each_call_does_by_itself(crashed):
    together, apart = crashed(), crashed()
    assert update_and_seize(together, *NAMES) == 3
    for name in NAMES:
        apart.seize_insolvent(name, by="finder")
    assert all_that_is(together) == all_that_is(apart)
    for market in (together, apart):
        market.advance_cycle()
    assert update_and_seize(together, *NAMES) == 3
    for name in NAMES:
        apart.seize_insolvent(name, by="finder")
    assert all_that_is(together) == all_that_is(apart)


def test_the_order_changes_nobody(crashed):
    found = []
    for order in permutations(("alone", "both", "weak")):
        market = crashed()
        update_and_seize(market, *order)
        market.advance_cycle()
        update_and_seize(market, *order)
        market.seize_and_roll_until_final()
        found.append([market.equity(name) for name in NAMES])
    assert all(each == found[0] for each in found)


def test_who_was_met_or_never_came_or_comes_twice_holds_up_nobody(crashed):
    market = crashed()
    assert market.seize_insolvent("both", by="other finder")
    assert update_and_seize(market, "both", "stranger", HOUSE, "alone", "alone") == 1
    assert market.size("alone") == 0 and market.size("weak") == 150
    assert market.equity("finder") == WAD + THIRD


def test_with_nothing_to_do_accounts_are_brought_up_to_date(crashed):
    market = crashed()
    update_and_seize(market, *NAMES)
    market.advance_cycle()
    market.seize_and_roll_until_final()
    assert update_and_seize(market, *NAMES) == 0
    cycle = market.market.clocks[()].cycle
    assert all(
        market.market.accounts[market.get_contract_or_account_address(name)].cycle == cycle
        for name in NAMES[:4]
    )


def test_whoever_is_met_may_be_the_finder(crashed):
    market = crashed()
    assert update_and_seize(market, "alone", "weak", by="weak") == 2
    assert market.size("weak") == 0


@pytest.mark.parametrize("count", [0, 128])
def test_from_none_to_as_many_as_a_call_takes(crashed, count):
    market = crashed()
    assert update_and_seize(market, *["alone"] * count) == min(count, 1)

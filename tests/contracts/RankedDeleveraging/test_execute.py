"""execute: the first in the ranking is closed first, against debtors' lots, until none are left."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.bounds import MIN_RANKED
from backstop.model.price_path import LONG, SHORT
from tests.support.perpetual_test_market import CLOSER, ETH, TRADING
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def proven(crash):
    crash.submit(SHORT, crash.list_ranking(SHORT))
    return crash


@pytest.fixture
def calls(crowd):
    """Return the calls that prove the ranking of thirty."""
    ranking = crowd.list_ranking(SHORT)
    found = ranking[:MIN_RANKED], ranking[MIN_RANKED:]
    for accounts in found:
        crowd.submit(SHORT, accounts)
    return found


HOLDERS = ("other", "small", "large")
"""As they rank: 200, 300 and 500 lots short."""


def at(market, *names):
    return tuple(market.get_contract_or_account_address(name) for name in names)


def test_the_first_close_and_prover_and_executor_share_what_bonds_pay(proven):
    """600 lots are left after an account has taken 400 over: 200, 300, and 100 of 500."""
    proven.deposit("taker", 50_000 * WAD)
    proven.do(f"{TRADING}.take", ETH, 400, sender="taker")
    before = {name: proven.equity(name) for name in HOLDERS}
    had = proven.equity("keeper")
    assert proven.execute_ranked_deleveraging(SHORT, at(proven, *HOLDERS)) == 0
    assert [proven.size(name) for name in HOLDERS] == [0, 0, -400]
    # At the mark, and for nothing; a third of a bond was for all 1,000.
    assert before == {name: proven.equity(name) for name in before}
    assert proven.equity("prover") == proven.equity("keeper") - had == WAD * 300 // 1_000
    proven.check_books_after_touching_all()


def test_who_proves_and_executes_has_both_halves(proven):
    proven.execute_ranked_deleveraging(SHORT, at(proven, *HOLDERS), by="prover")
    assert proven.equity("prover") == WAD


def test_each_call_is_paid_for_what_it_closes(crowd, calls):
    """480 lots of 600, and 120, of a third of a bond; two executors of a call are paid no more than one."""
    for accounts, name in zip(calls, ("one", "two"), strict=True):
        crowd.execute_ranked_deleveraging(SHORT, accounts, by=name)
    assert [crowd.equity(name) for name in ("one", "two")] == [WAD * 4 // 10, WAD // 10]
    assert crowd.equity("prover") == WAD // 2


def test_in_the_order_of_the_calls_and_as_they_were(crowd, calls):
    first, second = calls
    for accounts in (second, first[:-1], first + second, ()):
        with reverts("deleveraging: not the next"):
            crowd.execute_ranked_deleveraging(SHORT, accounts)
    assert crowd.execute_ranked_deleveraging(SHORT, first) == 120
    with reverts("deleveraging: not the next"):
        crowd.execute_ranked_deleveraging(SHORT, first)
    assert crowd.execute_ranked_deleveraging(SHORT, second) == 0


def test_only_what_is_proven(crowd):
    ranking = crowd.list_ranking(SHORT)
    crowd.submit(SHORT, ranking[:MIN_RANKED])
    with reverts("deleveraging: not proven"):
        crowd.execute_ranked_deleveraging(SHORT, ranking[:MIN_RANKED])
    crowd.submit(SHORT, ranking[MIN_RANKED:])
    with reverts("deleveraging: not proven"):
        crowd.execute_ranked_deleveraging(LONG, ranking[:MIN_RANKED])


def test_in_its_window_and_in_the_next(crowd, calls):
    """A call in each of them: the remainder is executed as well."""
    first, second = calls
    assert crowd.execute_ranked_deleveraging(SHORT, first) == 120
    crowd.advance_cycle()
    with crowd.system.fork_state():
        assert crowd.execute_ranked_deleveraging(SHORT, second) == 0
    crowd.advance_cycle()
    with reverts("deleveraging: not proven"):
        crowd.execute_ranked_deleveraging(SHORT, second)


def test_in_the_next_window_until_a_newer_one_is_proven(crash):
    """The price drops further after an account took 400 over: small and large gain, and overtake others."""
    old = crash.list_ranking(SHORT)
    crash.submit(SHORT, old)
    for name in ("taker", "friend"):
        crash.deposit(name, 50_000 * WAD)
    crash.trade("other", "friend", 200)
    crash.do(f"{TRADING}.take", ETH, 400, sender="taker")
    crash.mark(ETH, 15 * WAD)
    crash.advance_cycle()
    new = crash.list_ranking(SHORT)
    assert new != old
    with crash.system.fork_state():
        assert crash.execute_ranked_deleveraging(SHORT, old) == 0
    crash.submit(SHORT, new, by="another")
    with reverts("deleveraging: not the next"):
        crash.execute_ranked_deleveraging(SHORT, old)
    assert crash.execute_ranked_deleveraging(SHORT, new) == 0


def test_nothing_is_closed_without_a_mark_of_now_or_where_nobody_owes(proven):
    proven.advance_clock(61)
    with reverts("trading: no price to close at"):
        proven.execute_ranked_deleveraging(SHORT, at(proven, *HOLDERS))
    proven.report_current_prices_again()
    proven.deposit("taker", 50_000 * WAD)
    proven.do(f"{TRADING}.take", ETH, 1_000, sender="taker")
    with reverts("deleveraging: no lots to close"):
        proven.execute_ranked_deleveraging(SHORT, at(proven, *HOLDERS))


def test_more_lots_of_debtors_in_the_window_are_closed_in_the_same_order(proven):
    """Once none are left the same call is next: a winner that has opened anew is first again."""
    proven.deposit("taker", 50_000 * WAD)
    proven.do(f"{TRADING}.take", ETH, 900, sender="taker")
    assert proven.execute_ranked_deleveraging(SHORT, at(proven, *HOLDERS)) == 0
    assert proven.size("other") == -100
    proven.deposit("late", 700 * WAD)
    proven.deposit("friend", 50_000 * WAD)
    proven.trade("late", "friend", 400)
    proven.mark(ETH, 14 * WAD)
    assert proven.seize_insolvent("late") and proven.count_unassigned_lots() == 400
    assert proven.execute_ranked_deleveraging(SHORT, at(proven, *HOLDERS)) == 0
    assert [proven.size(name) for name in ("other", "small", "friend")] == [0, 0, -400]


def test_who_has_turned_is_left_alone(proven):
    for name in ("other", "friend"):
        proven.deposit(name, 50_000 * WAD)
    proven.trade("other", "friend", 300)
    assert proven.size("other") == 100
    assert proven.execute_ranked_deleveraging(SHORT, at(proven, *HOLDERS)) == 200
    assert [proven.size(name) for name in HOLDERS] == [100, 0, 0]
    assert proven.read(f"{CLOSER}.case_of", ETH, SHORT).executed == 1


def test_longs_as_well(market):
    for name, amount in (("short", 3_000), ("one", 1_500), ("two", 10_000)):
        market.deposit(name, amount * WAD)
    for name in ("one", "two"):
        market.trade(name, "short", 500)
    market.mark(ETH, 24 * WAD)
    market.seize_insolvent("short")
    market.advance_cycle()
    market.report_current_prices_again()
    assert market.count_unassigned_lots() == -1_000
    ranking = market.list_ranking(LONG)
    assert ranking == at(market, "one", "two")
    market.submit(LONG, ranking)
    assert market.execute_ranked_deleveraging(LONG, ranking) == 0
    assert market.size("one") == market.size("two") == market.count_unassigned_lots() == 0
    market.seize_and_roll_until_final()
    market.check_books_after_touching_all()


def test_calls_of_an_older_run_are_no_part_of_a_later_one(crowd, calls):
    """Once all of a ranking was closed, the next call of the prover's run of a cycle before was its next.

    A winner of that earlier cycle that had opened anew was closed.
    """
    for name in ("taker", "late", "friend", "short_29"):
        crowd.deposit(name, 50_000 * WAD)
    crowd.do(f"{TRADING}.take", ETH, 10, sender="taker")
    crowd.mark(ETH, 15 * WAD)
    crowd.advance_cycle()
    ranking = crowd.list_ranking(SHORT)
    assert len(ranking) == 30
    crowd.trade("short_29", "late", 20)
    crowd.submit(SHORT, ranking)
    assert crowd.execute_ranked_deleveraging(SHORT, ranking) == 10
    crowd.trade("friend", "short_29", 20)
    with reverts("deleveraging: not the next"):
        crowd.execute_ranked_deleveraging(SHORT, calls[1])
    assert crowd.size("short_29") == -20

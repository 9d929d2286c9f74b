"""execute: who ranks first is closed first, against lots of debtors, until there are none."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.price_path import LONG, SHORT
from tests.support.helpers import reverts
from tests.support.perpetuals import CLOSER, DESK, ETH


@pytest.fixture
def proven(crash):
    """One account in each call."""
    for owner in crash.ranking(SHORT):
        crash.submit(SHORT, (owner,))
    return crash


def at(market, *names):
    return tuple(market.at(name) for name in names)


def test_the_first_close_and_the_prover_has_what_bonds_pay(proven):
    """600 lots are left after somebody has taken 400 over: 200, 300, and 100 of 500."""
    proven.deposit("taker", 50_000 * WAD)
    proven.do(f"{DESK}.take", ETH, 400, sender="taker")
    before = {name: proven.equity(name) for name in ("other", "small", "large")}
    assert proven.execute(SHORT, at(proven, "other")) == 400
    assert proven.execute(SHORT, at(proven, "small")) == 100
    assert proven.execute(SHORT, at(proven, "large")) == 0
    assert [proven.size(name) for name in ("other", "small", "large")] == [0, 0, -400]
    # At the mark, and for nothing; a third of a bond was for all 1,000.
    assert before == {name: proven.equity(name) for name in before}
    assert proven.equity("prover") == WAD * 600 // 1_000
    proven.check_woken()


def test_in_the_order_of_the_calls_and_as_they_were(proven):
    for accounts in (at(proven, "small"), at(proven, "other", "small"), ()):
        with reverts("ranking: not the next"):
            proven.execute(SHORT, accounts)
    proven.execute(SHORT, at(proven, "other"))
    with reverts("ranking: not the next"):
        proven.execute(SHORT, at(proven, "other"))


def test_only_what_is_proven_and_only_in_its_window(crash):
    crash.submit(SHORT, at(crash, "other"))
    with reverts("ranking: not proven"):
        crash.execute(SHORT, at(crash, "other"))
    crash.submit(SHORT, at(crash, "small", "large"))
    with reverts("ranking: not proven"):
        crash.execute(LONG, at(crash, "other"))
    crash.roll()
    with reverts("ranking: not proven"):
        crash.execute(SHORT, at(crash, "other"))


def test_nothing_is_closed_without_a_mark_of_now_or_where_nobody_owes(proven):
    proven.advance(61)
    with reverts("desk: no price to close at"):
        proven.execute(SHORT, at(proven, "other"))
    proven.refresh()
    proven.deposit("taker", 50_000 * WAD)
    proven.do(f"{DESK}.take", ETH, 1_000, sender="taker")
    with reverts("ranking: no lots to close"):
        proven.execute(SHORT, at(proven, "other"))


def test_more_lots_of_debtors_in_the_window_are_closed_in_the_same_order(proven):
    """Once none are left the same call is next: who has opened anew since is first again."""
    proven.deposit("taker", 50_000 * WAD)
    proven.do(f"{DESK}.take", ETH, 900, sender="taker")
    assert proven.execute(SHORT, at(proven, "other")) == 0
    assert proven.size("other") == -100
    proven.deposit("late", 700 * WAD)
    proven.deposit("friend", 50_000 * WAD)
    proven.trade("late", "friend", 400)
    proven.mark(ETH, 14 * WAD)
    assert proven.meet("late") and proven.nobodys() == 400
    assert proven.execute(SHORT, at(proven, "other")) == 300
    assert proven.execute(SHORT, at(proven, "small")) == 0
    assert [proven.size(name) for name in ("other", "small", "friend")] == [0, 0, -400]


def test_who_has_turned_is_left_alone(proven):
    for name in ("other", "friend"):
        proven.deposit(name, 50_000 * WAD)
    proven.trade("other", "friend", 300)
    assert proven.size("other") == 100
    assert proven.execute(SHORT, at(proven, "other")) == 1_000
    assert proven.size("other") == 100
    assert proven.read(f"{CLOSER}.case_of", ETH, SHORT).executed == 1


def test_longs_as_well(market):
    for name, amount in (("short", 3_000), ("one", 1_500), ("two", 10_000)):
        market.deposit(name, amount * WAD)
    for name in ("one", "two"):
        market.trade(name, "short", 500)
    market.mark(ETH, 24 * WAD)
    market.meet("short")
    market.roll()
    market.refresh()
    assert market.nobodys() == -1_000
    ranking = market.ranking(LONG)
    assert ranking == at(market, "one", "two")
    market.submit(LONG, ranking)
    assert market.execute(LONG, ranking) == 0
    assert market.size("one") == market.size("two") == market.nobodys() == 0
    market.finish()
    market.check_woken()


def test_calls_of_an_older_run_are_no_part_of_a_later_one(crash):
    """Once all of a ranking was closed, the next call of the prover's run of a cycle before was its next.

    Whoever had gained then, and not since, was closed.
    """
    crash.submit(SHORT, at(crash, "other"))
    crash.submit(SHORT, at(crash, "small"))
    for name in ("heir", "late", "taker", "friend", "small"):
        crash.deposit(name, 50_000 * WAD)
    crash.trade("small", "heir", 300)
    crash.do(f"{DESK}.take", ETH, 100, sender="taker")
    crash.mark(ETH, 15 * WAD)
    crash.roll()
    crash.trade("large", "late", 500)
    crash.trade("friend", "small", 300)
    ranking = crash.ranking(SHORT)
    assert set(ranking) == set(at(crash, "heir", "large", "other"))
    crash.submit(SHORT, ranking)
    assert crash.execute(SHORT, ranking) == 400
    with reverts("ranking: not the next"):
        crash.execute(SHORT, at(crash, "small"))
    assert crash.size("small") == -300

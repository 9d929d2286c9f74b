"""Coins lose two fifths at once and half of all accounts owe: seized, booked, settled, and none escapes.

`ape run deleverage` plays thousands of accounts.
"""

import pytest

from backstop.errors import BackstopError
from backstop.hosts.host_registry import open_host
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.studies.auto_deleveraging.adl_position_closing import EXECUTING, SUBMITTING
from backstop.studies.auto_deleveraging.block_packing import BLOCK_GAS
from backstop.studies.auto_deleveraging.margin_crash import BOOKING, SEIZING, SETTLING, MarginCrash

ACCOUNTS = 40


def played(host, policy="by-cycle", accounts=ACCOUNTS, **more):
    with open_host(host) as opened:
        return MarginCrash(opened, accounts, 1, policy=policy, **more).run_crash()


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize("policy", ["by-cycle", "ranked", "shared"])
@pytest.mark.parametrize("markets", [1, 2])
def test_everybody_pays_once(policy, markets):
    result = played("revm", policy, markets=markets)
    assert result.insolvent == ACCOUNTS // 2 and result.steps > 100
    owed, *paid = result.paid
    assert owed == sum(paid) > 0 and result.paid.nobody == 0
    assert result.paid.winners < result.gained and 0 < result.most_taken <= 10_000
    for name in (SEIZING, BOOKING, SETTLING):
        assert result.phases[name].accounts == result.insolvent
    # Nothing stops a liquidation.
    assert result.liquidated == result.tried >= 7


@pytest.mark.parametrize("policy", ["ranked", "shared"])
def test_no_more_is_closed_than_was_nobodys(policy):
    result = played("revm", policy, markets=2)
    assert [closing.market for closing in result.closings] == [0, 1]
    for closing in result.closings:
        assert sum(closing.did.values()) == closing.nobodys - closing.left > 0
        assert closing.whole >= closing.nobodys
        if policy == "ranked":
            assert closing.left == 0
            # In the order of rank: only the last of them may keep lots.
            assert len(closing.did) == closing.whole_accounts
        else:
            assert closing.left < len(closing.would)
    assert result.nobodys == sum(closing.left for closing in result.closings)


@pytest.mark.parametrize("policy", ["by-cycle", "ranked"])
def test_dodgers_bear_what_they_have_to(policy):
    """A wei for each cycle, and the rounding of a move."""
    result = played("revm", policy, dodgers=50)
    assert result.escape is not None
    dodges = result.escape.dodges
    assert len(dodges.dodgers) == 10 and sum(dodges.went.values()) > 20
    assert sum(each.fees for each in dodges.dodgers) > 0
    assert result.escape.money < 1_000_000
    if policy == "ranked":
        # Whoever holds the position now has gained nothing by it, and has no rank.
        assert 0 < result.escape.missed <= result.escape.lots


@pytest.mark.deep(brief="tests/flows/test_a_perpetual_market_crashes.py::test_everybody_pays_once")
@pytest.mark.anvil
def test_gas_does_not_depend_on_who_has_gained():
    """Blocks are mined as planned; of three times as many debtors and winners, each costs the same.

    A call's fixed cost, some 70,000, falls on more of them, and on two calls, not one. A read of storage for
    every winner would be 8,000 more for each debtor.
    """
    results = [played("anvil", "ranked", accounts) for accounts in (80, 160, 240)]
    for result in results:
        assert result.measured and 0 < result.fullest <= BLOCK_GAS
        assert result.phases[SUBMITTING].accounts >= result.winners
        assert result.phases[EXECUTING].gas > 0
    assert results[2].winners == 3 * results[0].winners
    for name in (SEIZING, BOOKING, SETTLING):
        each = [result.phases[name].gas // result.phases[name].accounts for result in results]
        assert 100 * max(each) <= 101 * each[0] and 100 * min(each) >= 98 * each[0]


def test_it_can_be_interrupted():
    shown = []
    with open_host("revm") as host:
        crash = MarginCrash(
            host, ACCOUNTS, 1, progress=lambda *what: shown.append(what), stop=lambda: len(shown) > 5
        )
        with pytest.raises(RunInterruptedError, match="interrupted while accounts open"):
            crash.run_crash()
    assert shown[-1][2] == "accounts open" and 0 < shown[-1][0] < shown[-1][1]


def test_a_crash_has_debtors_and_others():
    with pytest.raises(BackstopError, match="accounts that will owe"):
        MarginCrash(None, 10, 1, insolvent=10)

"""cover: insurance takes the same share off all losses of a cycle, up to its cap."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import (
    BTC,
    ETH,
    FUND,
    HOUSE,
    deploy_perpetuals,
    open_long_and_two_shorts,
)
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def lost(new_protocol):
    """A cycle with two losses: a long in ether owes 1,000, and a short in bitcoin 500."""
    market = open_long_and_two_shorts(deploy_perpetuals(new_protocol))
    for name, amount in (("short", 1_500), ("winner", 10_000)):
        market.deposit(name, amount * WAD)
    market.trade("winner", "short", 100, BTC)
    market.mark(ETH, 16 * WAD)
    market.mark(BTC, 80 * WAD)
    market.advance_cycle()
    assert market.seize_insolvent("long") and market.seize_insolvent("short")
    market.advance_clock(3_600)
    market.report_current_prices_again()
    return market


def losses(market):
    """Return the pending cycle's losses that each side of both markets absorbs [wei]."""
    cycle = market.market.clocks[()].cycle - 1
    return [tuple(market.read(f"{HOUSE}.cycle_of", each, cycle)[1]) for each in (ETH, BTC)]


@pytest.mark.parametrize("insurance", [0, 1, 300 * WAD, 1_500 * WAD - 1, 1_500 * WAD, 9_000 * WAD])
def test_each_loss_is_covered_alike(lost, insurance):
    before = losses(lost)
    due = sum(map(sum, before))
    assert due == 1_500 * WAD
    if insurance:
        lost.do(f"{FUND}.insure", insurance, sender="rich")
    cycle = lost.market.clocks[()].cycle - 1
    lost.do(f"{HOUSE}.advance_cycle", sender="keeper")
    after = [tuple(lost.read(f"{HOUSE}.cycle_of", each, cycle)[1]) for each in (ETH, BTC)]
    paid = min(due, insurance)
    assert due - sum(map(sum, after)) == paid
    for was, now in zip(sum(before, ()), sum(after, ()), strict=True):
        assert abs((was - now) * due - was * paid) < due


def test_it_stays_under_its_cap(lost):
    lost.do(f"{FUND}.insure", 9_000 * WAD, sender="rich")
    lost.do(f"{FUND}.set_cap", 600, sender="admin")
    lost.do(f"{HOUSE}.advance_cycle", sender="keeper")
    assert lost.read(f"{FUND}.insurance_of").spent == 600 * WAD


def test_without_a_loss_nothing_is_paid(new_protocol):
    market = open_long_and_two_shorts(deploy_perpetuals(new_protocol))
    market.do(f"{FUND}.insure", 100 * WAD, sender="rich")
    market.advance_cycle()
    assert market.read(f"{FUND}.insurance_of").spent == 0


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_for_the_market_alone(lost, sender):
    with reverts("margin_fund: not the market"):
        lost.do(f"{FUND}.cover", lost.market.clocks[()].cycle - 1, 2, sender=sender)

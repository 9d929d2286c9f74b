"""New risk and withdrawals with positions wait while a mark is far from its index; nothing else does."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import BTC, ETH, HOUSE, deploy_perpetuals
from tests.support.revert_setter_and_source_helpers import reverts

OFF = "trading: mark is off its index"
SHARE = 2_000
INDEX = 20 * WAD


@pytest.fixture
def guarded(new_protocol):
    """A long and a short of 100 lots at 20, where a mark may be 20% from the feed's price."""
    made = deploy_perpetuals(new_protocol, divergence=SHARE)
    for name in ("long", "short", "other"):
        made.deposit(name, 10_000 * WAD)
    made.trade("long", "short", 100)
    return made


def widest(is_up: bool) -> int:
    """The mark at which risk may be taken still."""
    return INDEX * (12 if is_up else 8) // 10


@pytest.mark.parametrize("is_up", [True, False], ids=["up", "down"])
def test_new_risk_waits_one_wei_beyond(guarded, is_up):
    step = 1 if is_up else -1
    guarded.mark(ETH, widest(is_up) + 100 * step)
    with reverts(OFF):
        guarded.trade("other", "short", 1)
    with reverts(OFF):
        guarded.do(f"{HOUSE}.withdraw", WAD, guarded.get_contract_or_account_address("long"), sender="long")
    guarded.mark(ETH, widest(is_up))
    guarded.trade("other", "short", 1)
    guarded.do(f"{HOUSE}.withdraw", WAD, guarded.get_contract_or_account_address("long"), sender="long")


def test_a_stale_index_is_none(guarded):
    guarded.advance_clock(7 * 86_400)
    guarded.mark(ETH, INDEX)
    assert guarded.read("MarginPolicy.index_price", ETH) == 0
    with reverts(OFF):
        guarded.trade("other", "short", 1)


def test_every_market_of_the_account_counts(guarded):
    """Another account, with no lots in the market that is off, goes on."""
    guarded.trade("long", "short", 1, BTC)
    guarded.mark(ETH, INDEX * 2)
    guarded.mark(BTC, 60 * WAD)
    with reverts(OFF):
        guarded.trade("long", "other", 1, BTC)
    guarded.deposit("stranger", 1_000 * WAD)
    guarded.trade("stranger", "other", 1, BTC)


def test_it_shields_nobody_from_a_liquidation(guarded):
    """A liquidator takes risk over at once, with initial margin."""
    guarded.deposit("thin", 2_100 * WAD)
    guarded.trade("short", "thin", 100)
    guarded.mark(ETH, INDEX * 2)
    with reverts(OFF):
        guarded.trade("other", "short", 1)
    guarded.do(
        "PerpetualTrading.liquidate",
        guarded.get_contract_or_account_address("thin"),
        ETH,
        100,
        sender="other",
    )
    assert guarded.size("other") < 0


def test_positions_are_reduced_and_cash_is_paid_in_at_any_mark(guarded):
    guarded.mark(ETH, INDEX * 2)
    guarded.trade("short", "long", 10)
    guarded.deposit("short", WAD)
    guarded.trade("short", "long", 90)
    assert guarded.size("short") == guarded.size("long") == 0


def test_debtors_are_met_at_any_mark(guarded):
    guarded.deposit("thin", 300 * WAD)
    guarded.trade("short", "thin", 100)
    guarded.mark(ETH, INDEX * 2)
    assert guarded.seize_insolvent("thin")
    assert guarded.count_unassigned_lots() == -100


def test_the_index_is_the_feeds_current_price(guarded):
    assert guarded.read("MarginPolicy.index_price", ETH) == INDEX
    assert guarded.read("MarginPolicy.index_price", 2) == 0
    guarded.post(ETH, 1_500)
    assert guarded.read("MarginPolicy.index_price", ETH) == 15 * WAD

"""report_deficit: announced at once, added to earlier announcements, and booked after the delay."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.adapter_steps import ADAPTER, DELAY, UNIT, USD, read_deficit, report_deficit
from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts


def test_announced_and_booked(insured):
    report_deficit(insured, 5 * USD + 1)
    reported = 5 * WAD + UNIT
    assert get_only_event_values(insured, "DeficitReported", ADAPTER) == (reported,)
    assert insured.read("Lender.announcement") == (reported, insured.timestamp + DELAY)
    insured.advance(DELAY - 1)
    with reverts("facilitator: too early"):
        insured.do("Lender.realise_loss", sender="stranger")
    insured.advance(1)
    assert insured.do("Lender.realise_loss", sender="stranger") == reported
    assert read_deficit(insured) == reported


def test_one_after_another(insured):
    report_deficit(insured, 5 * USD)
    insured.advance(DELAY // 2)
    report_deficit(insured, 2 * USD)
    assert insured.read("Lender.announcement") == (7 * WAD, insured.timestamp + DELAY)


def test_no_member_leaves_ahead_of_it(insured):
    before = insured.read("Senior.pending_losses")
    report_deficit(insured, 5 * USD)
    assert insured.read("Senior.pending_losses") - before == 5 * WAD


def test_more_than_there_is(insured):
    report_deficit(insured, 200_000 * USD)
    insured.advance(DELAY)
    assert insured.do("Lender.realise_loss", sender="stranger") == 100_000 * WAD


def test_a_false_report_is_taken_back(insured):
    report_deficit(insured, USD)
    insured.do("Lender.cancel_loss", sender="admin")
    assert insured.read("Lender.announcement") == (0, 0)


def test_nothing(insured):
    with reverts("facilitator: only raise"):
        report_deficit(insured, 0)


@pytest.mark.parametrize("amount", [MAX_UINT256, MAX_UINT256 // UNIT + 1])
def test_more_than_any_amount(insured, amount):
    with reverts(""):
        report_deficit(insured, amount)


@pytest.mark.parametrize("sender", ["admin", "guardian", "holder"])
def test_by_nobody_else(insured, sender):
    with reverts("coin_adapter: not protocol"):
        insured.do(f"{ADAPTER}.report_deficit", 1, sender=sender)

"""waive_deficit: the protocol gives up what no stage pays, and the deficit is gone."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.adapter_steps import (
    ADAPTER,
    USD,
    book_deficit,
    cover_deficit,
    deposit_coins,
    read_coins,
    read_deficit,
    report_deficit,
    withdraw_coins,
)
from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts

K = 1_000 * USD


def test_the_rest_beyond_all_insurance(insured):
    book_deficit(insured, 90 * K)
    cover_deficit(insured)
    insured.do(f"{ADAPTER}.pay_protocol", sender="stranger")
    insured.do(f"{ADAPTER}.waive_deficit", 30_000 * WAD, sender="lender")
    assert get_only_event_values(insured, "DeficitWaived", ADAPTER) == (30_000 * WAD,)
    assert read_deficit(insured) == 0
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 0
    withdraw_coins(insured, 40 * K)
    assert read_coins(insured, ADAPTER) == 0


def test_it_insures_on(insured):
    book_deficit(insured, 10 * K)
    insured.do(f"{ADAPTER}.waive_deficit", 10_000 * WAD, sender="lender")
    assert cover_deficit(insured) == 0
    book_deficit(insured, 10 * K)
    assert cover_deficit(insured) == 10_000 * WAD * RAY
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 10 * K
    deposit_coins(insured, K)


@pytest.mark.parametrize("more", [1, WAD])
def test_no_more_than_there_is(insured, more):
    book_deficit(insured, 10 * K)
    with reverts("coin_adapter: over the deficit"):
        insured.do(f"{ADAPTER}.waive_deficit", 10_000 * WAD + more, sender="lender")


def test_not_while_another_is_announced(insured):
    book_deficit(insured, 10 * K)
    report_deficit(insured, 1)
    with reverts("facilitator: loss announced"):
        insured.do(f"{ADAPTER}.waive_deficit", 1, sender="lender")


def test_not_while_a_stage_has_reserved(insured):
    for i in (1, 2, 3):
        insured.do("PriceFeed.report", EQUITY_MARKET, RAY, sender=f"reporter_{i}")
    insured.do("PriceFeed.poke", EQUITY_MARKET, sender="stranger")
    book_deficit(insured, 90 * K)
    cover_deficit(insured)
    with reverts("facilitator: stages are busy"):
        insured.do(f"{ADAPTER}.waive_deficit", 1, sender="lender")


@pytest.mark.parametrize("sender", ["admin", "guardian", "holder"])
def test_by_nobody_else(insured, sender):
    book_deficit(insured, 10 * K)
    with reverts("coin_adapter: not protocol"):
        insured.do(f"{ADAPTER}.waive_deficit", 1, sender=sender)

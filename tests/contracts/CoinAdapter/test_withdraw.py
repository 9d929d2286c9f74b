"""withdraw: as many coins as stablecoin, however much the protocol has lost."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.adapter_steps import (
    ADAPTER,
    UNIT,
    USD,
    book_deficit,
    cover_deficit,
    read_coins,
    read_deficit,
    report_deficit,
    withdraw_coins,
)
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement

K = 1_000 * USD


def test_as_many_coins(insured):
    withdraw_coins(insured, K + 1)
    who = insured.address("holder")
    assert get_only_event_values(insured, "Withdrawn", ADAPTER) == (who, who, K + 1)
    assert read_coins(insured, "holder") == K + 1
    assert read_stablecoins(insured, "holder") == 39_000 * WAD - UNIT
    assert read_coins(insured, ADAPTER) == 99 * K - 1


def test_to_somebody_else(insured):
    insured.do("Stablecoin.approve", ADAPTER, UNIT, sender="holder")
    insured.do(f"{ADAPTER}.withdraw", 1, "friend", sender="holder")
    assert read_coins(insured, "friend") == 1


def test_more_than_one_has(insured):
    with reverts("erc20: transfer amount exceeds balance"):
        withdraw_coins(insured, 40 * K + 1)
    with reverts(""):
        withdraw_coins(insured, MAX_UINT256 // UNIT + 1)


def test_without_an_allowance(insured):
    with reverts("erc20: insufficient allowance"):
        insured.do(f"{ADAPTER}.withdraw", 1, "holder", sender="holder")


def test_while_a_deficit_is_announced(insured):
    report_deficit(insured, 90 * K)
    withdraw_coins(insured, 40 * K)
    assert read_coins(insured, "holder") == 40 * K


@pytest.mark.parametrize("covers_first", [False, True])
def test_a_deficit_beyond_the_pool(insured, covers_first):
    """90,000 are lost, the pool has 60,000: a holder outside the pool gets 40,000, the protocol 60,000."""
    book_deficit(insured, 90 * K)
    if covers_first:
        cover_deficit(insured)
    withdraw_coins(insured, 40 * K)
    if not covers_first:
        cover_deficit(insured)
    assert read_coins(insured, "holder") == 40 * K
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 60 * K
    assert read_coins(insured, ADAPTER) == 0
    assert read_deficit(insured) == 0


def test_not_beyond_the_debt_while_a_stage_has_reserved(insured):
    for i in (1, 2, 3):
        insured.do("PriceFeed.report", EQUITY_MARKET, RAY, sender=f"reporter_{i}")
    insured.do("PriceFeed.poke", EQUITY_MARKET, sender="stranger")
    book_deficit(insured, 90 * K)
    cover_deficit(insured)
    assert insured.read("LossWaterfall.reserved_of", 0) != 0
    with reverts("facilitator: stages are busy"):
        withdraw_coins(insured, 40 * K)
    withdraw_coins(insured, 10 * K)


def test_in_settlement(insured):
    start_settlement(insured)
    withdraw_coins(insured, 40 * K)
    assert read_coins(insured, "holder") == 40 * K
    assert read_stablecoins(insured, ADAPTER) == 40_000 * WAD
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 0

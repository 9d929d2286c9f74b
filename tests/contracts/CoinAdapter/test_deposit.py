"""deposit: the coin comes in, and as much stablecoin goes out, within the facilitator's line."""

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.adapter_steps import (
    ADAPTER,
    DELAY,
    LINE,
    UNIT,
    USD,
    deposit_coins,
    read_coins,
    replace_coin,
    report_deficit,
)
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement


def test_as_much_stablecoin(adapted):
    deposit_coins(adapted, 7 * USD + 1)
    who = adapted.address("holder")
    assert get_only_event_values(adapted, "Deposited", ADAPTER) == (who, who, 7 * USD + 1)
    assert read_stablecoins(adapted, "holder") == 7 * WAD + UNIT
    assert read_coins(adapted, ADAPTER) == 7 * USD + 1
    assert read_coins(adapted, "holder") == 0


def test_for_somebody_else(adapted):
    adapted.do("USDX.mint", "holder", USD, sender="holder")
    adapted.do("USDX.approve", ADAPTER, USD, sender="holder")
    adapted.do(f"{ADAPTER}.deposit", USD, "friend", sender="holder")
    assert read_stablecoins(adapted, "friend") == WAD and read_stablecoins(adapted, "holder") == 0


def test_up_to_the_line(adapted):
    deposit_coins(adapted, LINE * USD)
    with reverts("facilitator: over its line"):
        deposit_coins(adapted, 1)


def test_without_an_allowance(adapted):
    adapted.do("USDX.mint", "holder", USD, sender="holder")
    with reverts("token: insufficient allowance"):
        adapted.do(f"{ADAPTER}.deposit", 1, "holder", sender="holder")


def test_more_than_any_amount(adapted):
    adapted.do("USDX.mint", "holder", MAX_UINT256 // UNIT + 1, sender="holder")
    adapted.do("USDX.approve", ADAPTER, MAX_UINT256, sender="holder")
    with reverts(""):
        adapted.do(f"{ADAPTER}.deposit", MAX_UINT256 // UNIT + 1, "holder", sender="holder")


def test_not_while_a_deficit_is_announced(insured):
    report_deficit(insured, USD)
    with reverts("facilitator: loss announced"):
        deposit_coins(insured, USD)
    insured.advance(DELAY)
    insured.do("Lender.realise_loss", sender="stranger")
    deposit_coins(insured, USD)


def test_not_in_settlement(insured):
    start_settlement(insured)
    with reverts("ledger: in settlement"):
        deposit_coins(insured, USD)


def test_a_coin_that_takes_a_fee(adapted):
    replace_coin(adapted, "FeeOnTransferToken")
    with reverts("coin_adapter: fee on transfer"):
        adapted.do("Other.Adapter.deposit", USD, "holder", sender="holder")


def test_a_coin_that_returns_nothing(adapted):
    replace_coin(adapted, "NoReturnToken")
    adapted.do("Other.Adapter.deposit", USD, "holder", sender="holder")
    adapted.do("Stablecoin.approve", "Other.Adapter", MAX_UINT256, sender="holder")
    adapted.do("Other.Adapter.withdraw", USD, "friend", sender="holder")
    assert adapted.read("Other.balanceOf", "friend") == USD


def test_a_coin_that_returns_false(adapted):
    replace_coin(adapted, "ReturnsFalseToken")
    with reverts("coin_adapter: pull failed"):
        adapted.do("Other.Adapter.deposit", USD + 1, "holder", sender="holder")
    adapted.do("Other.Adapter.deposit", USD, "holder", sender="holder")
    adapted.do("Stablecoin.approve", "Other.Adapter", MAX_UINT256, sender="holder")
    adapted.do("Other.freeze", True, sender="holder")
    with reverts("coin_adapter: push failed"):
        adapted.do("Other.Adapter.withdraw", USD, "holder", sender="holder")

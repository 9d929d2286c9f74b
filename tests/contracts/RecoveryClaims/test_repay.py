"""repay, repayable: holders are paid pro rata, never above the loss; the last payment ends the series."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.contracts.RecoveryClaims.conftest import lose, move_to_workout
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "pool.Claims.repay"


def test_is_pulled_from_whoever_calls(owed):
    assert owed.do(CALL, 100 * WAD, sender="payer") == 100 * WAD
    assert owed.read("Stablecoin.balanceOf", "pool.Claims") == 100 * WAD
    assert owed.read("pool.Claims.outstanding") == 300 * WAD
    assert owed.read("pool.Claims.cash_of", "saver", 0) == 75 * WAD
    repaid = [log.values for log in owed.last.logs if log.event == "Repaid"]
    assert repaid == [(0, owed.address("payer"), 100 * WAD)]


def test_never_above_the_loss(owed):
    assert owed.read("pool.Claims.repayable", MAX_UINT256) == 400 * WAD
    assert owed.do(CALL, MAX_UINT256, sender="payer") == 400 * WAD
    assert owed.do(CALL, MAX_UINT256, sender="payer") == 0
    assert owed.last.logs == ()
    for who, cash in (("saver", 300), ("neighbour", 100)):
        assert owed.read("pool.Claims.cash_of", who, 0) == cash * WAD


def test_the_last_payment_starts_a_new_generation(owed):
    owed.do(CALL, 400 * WAD, sender="payer")
    assert owed.read("pool.Claims.generation") == 1
    assert owed.read("pool.Claims.tokens") == owed.read("pool.Claims.totalSupply") == 0
    lose(owed, 5 * WAD)
    assert owed.last.logs[0].values == (1, 5 * WAD, 5 * WAD)


def test_a_part_leaves_tokens_a_price(owed):
    least = -(-400 * WAD // 2**40)
    assert owed.read("pool.Claims.repayable", 400 * WAD - 1) == 400 * WAD - least
    assert owed.do(CALL, 400 * WAD - 1, sender="payer") == 400 * WAD - least
    assert owed.do(CALL, least - 1, sender="payer") == 0
    assert owed.do(CALL, least, sender="payer") == least
    assert owed.read("pool.Claims.generation") == 1


def test_what_is_left_over_by_rounding_stays(claims):
    lose(claims, 3, members=3)
    move_to_workout(claims, "saver", 2, until=(0, 1))
    claims.do(CALL, 1, sender="payer")
    assert claims.read("pool.Claims.cash_of", "saver", 0) == 0
    claims.do(CALL, 1, sender="payer")
    assert claims.read("pool.Claims.cash_of", "saver", 0) == 1


@pytest.mark.parametrize(
    ("sender", "reason"),
    [("stranger", "erc20: insufficient allowance"), ("poor", "erc20: transfer amount exceeds balance")],
)
def test_needs_the_money(owed, sender, reason):
    owed.do("Stablecoin.approve", "pool.Claims", MAX_UINT256, sender="poor")
    with reverts(reason):
        owed.do(CALL, 1, sender=sender)

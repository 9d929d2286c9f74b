"""issue: the pool hands its members the tokens of losses recorded before, and what was paid to them."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.helpers import reverts

CALL = "pool.Claims.issue"


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_the_pool_may_call(owed, sender):
    with reverts("recovery_claims: not pool"):
        owed.do(CALL, sender, 0, 1, 0, sender=sender)


def test_mints(owed):
    assert owed.read("pool.Claims.balanceOf", "saver") == 300 * WAD
    assert owed.read("pool.Claims.totalSupply") == 400 * WAD
    assert owed.read("pool.Claims.tokens") == 400 * WAD


def test_credits_what_was_paid_since(owed):
    owed.do("pool.Claims.record", 100 * WAD, sender="pool")
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    owed.do(CALL, "saver", 0, 50 * WAD, 3 * WAD, sender="pool")
    # 60 to the tokens held, and 10 less 3 to those that come.
    credited = [log.values for log in owed.last.logs if log.event == "Credited"]
    saver = owed.address("saver")
    assert credited == [(0, saver, 7 * WAD), (0, saver, 60 * WAD)]
    assert owed.read("pool.Claims.cash", "saver") == owed.read("pool.Claims.cash_of", "saver", 0) == 67 * WAD
    assert owed.read("pool.Claims.balanceOf", "saver") == 350 * WAD


def test_never_less_than_nothing(owed):
    owed.do(CALL, "third", 0, 0, 1, sender="pool")
    assert owed.read("pool.Claims.cash", "third") == 0
    assert owed.last.logs == ()


def test_of_a_generation_that_is_over_only_cash_is_left(claims):
    claims.do("pool.Claims.record", 400 * WAD, sender="pool")
    claims.do("pool.Claims.repay", MAX_UINT256, sender="payer")
    claims.do(CALL, "saver", 0, 300 * WAD, 0, sender="pool")
    assert claims.read("pool.Claims.cash", "saver") == 300 * WAD
    assert claims.read("pool.Claims.balanceOf", "saver") == 0


def test_what_older_generations_owe_comes_with_it(owed):
    owed.do(CALL, "saver", 0, 0, -5 * WAD, sender="pool")
    assert owed.read("pool.Claims.cash", "saver") == 5 * WAD

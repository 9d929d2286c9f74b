"""record: a loss becomes tokens that are worth as much as those before; it never fails."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.helpers import reverts

CALL = "pool.Claims.record"
MOST = 2**104 - 1


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_the_pool_may_call(claims, sender):
    with reverts("recovery_claims: not pool"):
        claims.do(CALL, 1, sender=sender)


def test_the_first_loss_is_one_to_one(claims):
    assert claims.do(CALL, 400 * WAD, sender="pool") == (0, 400 * WAD, 0)
    assert claims.read("pool.Claims.tokens") == claims.read("pool.Claims.outstanding") == 400 * WAD
    assert claims.last.logs[0].values == (0, 400 * WAD, 400 * WAD)


def test_a_later_loss_brings_tokens_of_the_same_worth_rounded_up(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    assert owed.do(CALL, 30 * WAD, sender="pool") == (0, 40 * WAD, RAY // 4)
    assert owed.do(CALL, 10, sender="pool") == (0, 14, RAY // 4)
    assert owed.read("pool.Claims.outstanding") == 330 * WAD + 10


def test_nothing_is_worth_nothing(owed):
    assert owed.do(CALL, 0, sender="pool") == (0, 0, 0)


def test_tokens_that_are_not_issued_are_nobodys(claims):
    claims.do(CALL, 400 * WAD, sender="pool")
    assert claims.read("pool.Claims.totalSupply") == 0


@pytest.mark.parametrize("amount", [MOST - 400 * WAD + 1, 2**255], ids=str)
def test_a_loss_beyond_the_bound_brings_none(owed, amount):
    assert owed.do(CALL, amount, sender="pool") == (0, 0, 0)
    assert owed.read("pool.Claims.outstanding") == 400 * WAD


def test_up_to_the_bound_at_the_highest_dilution(owed):
    """A series that was nearly repaid, so that a wei is owed for each 2**40 tokens; then a huge loss."""
    owed.do("pool.Claims.repay", 400 * WAD - 1, sender="payer")
    left = owed.read("pool.Claims.outstanding")
    assert left == -(-400 * WAD // 2**40)
    _, tokens, _ = owed.do(CALL, MOST - left, sender="pool")
    assert 2**143 < owed.read("pool.Claims.tokens") == 400 * WAD + tokens < 2**144
    assert owed.read("pool.Claims.outstanding") == MOST
    assert owed.do(CALL, 1, sender="pool")[1] == 0

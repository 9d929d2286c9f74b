"""record: a loss becomes tokens that are worth as much as those before; it never fails."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.contracts.RecoveryClaims.conftest import MEMBERS, VIRTUAL, lose, move_to_workout
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "pool.Claims.record"
MOST = 2**104 - 1


def checkpoint(protocol, mark, generation=0):
    """Return a share's total at a checkpoint [ray]: tokens, their series, and earlier payments."""
    key = generation, mark
    tokens, series = protocol.table("pool.Claims", "checkpoints", key)
    paid = protocol.lockstep.snapshot()["pool.Claims"]["paid_before"].get(key, 0)
    return tokens, series, paid - 2**256 if paid >> 255 else paid


def told(protocol):
    """Return the logged data of the last loss: series, amount, tokens."""
    return next(log.values for log in protocol.last.logs if log.event == "LossRecorded")


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_the_pool_may_call(claims, sender):
    with reverts("recovery_claims: not pool"):
        claims.do(CALL, 0, 2 * VIRTUAL, 1, sender=sender)


def test_the_first_loss_is_one_to_one(claims):
    assert lose(claims, 400 * WAD) == 1
    assert claims.read("pool.Claims.tokens") == claims.read("pool.Claims.outstanding") == 400 * WAD
    assert told(claims) == (0, 400 * WAD, 400 * WAD)
    # 400 coins for 400e24 shares: a wei for a million shares.
    assert checkpoint(claims, 1) == (RAY // 10**6, 0, 0)


@pytest.mark.parametrize(("amount", "lost"), [(0, 0), (1, 0), (2, 1), (7, 3), (8, 4)])
def test_what_virtual_shares_bear_is_nobodys(claims, amount, lost):
    """Half of a loss, rounded down, where members have as many shares as there are virtual shares."""
    claims.do(CALL, 0, 2 * VIRTUAL, amount, sender="pool")
    assert told(claims) == (0, lost, lost)
    assert claims.read("pool.Claims.outstanding") == lost


def test_a_later_loss_brings_tokens_of_the_same_worth_rounded_up(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    assert lose(owed, 30 * WAD) == 2
    assert told(owed) == (0, 30 * WAD, 40 * WAD)
    # A tenth of what a share had; a quarter was paid to each token before.
    assert checkpoint(owed, 2) == (11 * 10**20, 0, 10**20 // 4)
    assert lose(owed, 10) == 3
    assert told(owed) == (0, 10, 14)
    # 14 * 1e27 / 4e26 ray for a share, a quarter of it paid: 8.75, rounded up.
    assert checkpoint(owed, 3) == (11 * 10**20 + 35, 0, 10**20 // 4 + 9)
    assert owed.read("pool.Claims.outstanding") == 330 * WAD + 10


def test_nothing_is_worth_nothing(owed):
    assert owed.do(CALL, 0, MEMBERS + VIRTUAL, 0, sender="pool") == 1
    assert told(owed) == (0, 0, 0)


@pytest.mark.parametrize(("members", "mark"), [(10**27, 1), (10**27 + 1, 0)], ids=["as_many", "more"])
def test_a_loss_that_is_nothing_for_a_share_is_no_checkpoint(claims, members, mark):
    """A wei is 1e27 ray: of more shares than that each got none.

    It is owed all the same, but to no member.
    """
    assert lose(claims, 1, members=members) == mark
    assert told(claims) == (0, 1, 1)
    assert claims.read("pool.Claims.outstanding") == 1


def test_tokens_that_are_not_issued_are_nobodys(claims):
    lose(claims, 400 * WAD)
    assert claims.read("pool.Claims.totalSupply") == 0


def test_each_generation_of_shares_has_checkpoints_of_its_own(claims):
    assert lose(claims, 400 * WAD) == 1
    assert lose(claims, 400 * WAD) == 2
    # The same members, their shares divided by 1e9.
    assert lose(claims, 40 * WAD, 1, MEMBERS // 10**9) == 1
    assert lose(claims, 40 * WAD, 7, MEMBERS) == 1
    assert checkpoint(claims, 2) == (2 * 10**21, 0, 0)
    assert checkpoint(claims, 1, generation=1) == (10**29, 0, 0)
    assert checkpoint(claims, 1, generation=7) == (10**20, 0, 0)
    assert claims.read("pool.Claims.outstanding") == 880 * WAD


def test_after_a_series_is_over_what_its_tokens_were_paid_is_due(owed):
    """A share had 1e21 ray of tokens that were paid in full: that is carried to the series that follows."""
    owed.do("pool.Claims.repay", 400 * WAD, sender="payer")
    assert lose(owed, 40 * WAD) == 2
    assert told(owed) == (1, 40 * WAD, 40 * WAD)
    assert checkpoint(owed, 2) == (10**20, 1, -(10**21))
    owed.do("pool.Claims.repay", 40 * WAD, sender="payer")
    lose(owed, 4 * WAD)
    assert checkpoint(owed, 3) == (10**19, 2, -(10**21) - 10**20)


def test_what_is_carried_is_rounded_down(claims):
    """Three wei for 2e26 shares, 15 ray each; of three tokens one was paid, the others converted."""
    members = 2 * 10**26
    lose(claims, 3, members=members)
    move_to_workout(claims, "saver", members, until=(0, 1))
    claims.do("pool.Claims.repay", 1, sender="payer")
    assert claims.read("pool.Claims.paid_per_token", 0) == 333_333_333_333_333_333_333_333_333
    claims.do("pool.Claims.repay", 2, sender="payer")
    # Three thirds of a wei, each rounded down, are one ray less than that: 15 * 0.999... is under 15.
    assert claims.read("pool.Claims.paid_per_token", 0) == 999_999_999_999_999_999_999_999_999
    lose(claims, 3, members=members)
    assert checkpoint(claims, 2) == (15, 1, -14)


def test_a_loss_beyond_the_bound_brings_none(owed):
    assert lose(owed, MOST - 400 * WAD + 1) == 1
    assert told(owed) == (0, MOST - 400 * WAD + 1, 0)
    assert owed.read("pool.Claims.outstanding") == 400 * WAD


@pytest.mark.parametrize("members", [1, 2**152 - 1 - VIRTUAL], ids=["one_share", "as_many_as_may_be"])
def test_never_fails_for_what_a_pool_may_have(owed, members):
    """At most 2**96 - 1 wei, and shares of 152 bits."""
    owed.do("pool.Claims.repay", 400 * WAD - 1, sender="payer")
    for _ in range(2):
        owed.do(CALL, 0, members + VIRTUAL, 2**96 - 1, sender="pool")
        _, lost, tokens = told(owed)
        assert lost == (2**96 - 1) * members // (members + VIRTUAL)
        assert tokens >= lost * 2**39


def test_up_to_the_bound_at_the_highest_dilution(owed):
    """A series that was nearly repaid, so that a wei is owed for each 2**40 tokens; then a huge loss."""
    owed.do("pool.Claims.repay", 400 * WAD - 1, sender="payer")
    left = owed.read("pool.Claims.outstanding")
    assert left == -(-400 * WAD // 2**40)
    lose(owed, MOST - left)
    tokens = told(owed)[2]
    assert 2**143 < owed.read("pool.Claims.tokens") == 400 * WAD + tokens < 2**144
    assert owed.read("pool.Claims.outstanding") == MOST
    lose(owed, 1)
    assert told(owed) == (0, 1, 0)

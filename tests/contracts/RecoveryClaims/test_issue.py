"""issue: the pool hands its members the tokens of losses recorded before, and the payments on them."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.contracts.RecoveryClaims.conftest import MEMBERS, NEIGHBOUR, SAVER, lose, move_to_workout
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "pool.Claims.issue"
# Shares of a generation that one of the next is worth.
STEP = 10**9


def tokens_of(protocol, who):
    return protocol.read("pool.Claims.balanceOf", who)


def cash_of(protocol, who):
    return protocol.read("pool.Claims.cash", who)


def repay(protocol, amount=MAX_UINT256):
    return protocol.do("pool.Claims.repay", amount, sender="payer")


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_the_pool_may_call(owed, sender):
    with reverts("recovery_claims: not pool"):
        owed.do(CALL, sender, 1, 0, 0, 0, 1, sender=sender)


def test_mints(owed):
    assert tokens_of(owed, "saver") == 300 * WAD
    assert owed.read("pool.Claims.totalSupply") == 400 * WAD
    assert owed.read("pool.Claims.tokens") == 400 * WAD


@pytest.mark.parametrize(("shares", "tokens"), [(10**7 - 1, 9), (10**7, 10), (10**6 - 1, 0), (0, 0)])
def test_tokens_are_rounded_down(claims, shares, tokens):
    """A wei for a million shares."""
    lose(claims, 400 * WAD)
    move_to_workout(claims, "saver", shares, until=(0, 1))
    assert tokens_of(claims, "saver") == tokens
    assert bool(claims.last.logs) == bool(tokens)


def test_from_one_checkpoint_to_another(claims):
    for lost in (400, 200, 100):
        lose(claims, lost * WAD)
    for since, until, tokens in ((0, 0, 0), (1, 1, 0), (0, 1, 300), (1, 2, 150), (1, 3, 225), (0, 3, 525)):
        who = f"member_{since}_{until}"
        move_to_workout(claims, who, SAVER, since=(0, since), until=(0, until))
        assert tokens_of(claims, who) == tokens * WAD


def test_credits_what_was_paid_since(owed):
    lose(owed, 100 * WAD)
    repay(owed, 100 * WAD)
    move_to_workout(owed, "saver", SAVER, since=(0, 1), until=(0, 2))
    # A fifth: 60 to the 300 tokens held, and 15 to the 75 that come.
    credited = [log.values for log in owed.last.logs if log.event == "Credited"]
    saver = owed.address("saver")
    assert credited == [(0, saver, 15 * WAD), (0, saver, 60 * WAD)]
    assert cash_of(owed, "saver") == owed.read("pool.Claims.cash_of", "saver", 0) == 75 * WAD
    assert tokens_of(owed, "saver") == 375 * WAD


def test_not_what_was_paid_before_a_loss(owed):
    repay(owed, 40 * WAD)
    lose(owed, 90 * WAD)
    repay(owed, 90 * WAD)
    move_to_workout(owed, "third", SAVER, since=(0, 1), until=(0, 2))
    # 90 are 100 tokens then, 75 of which the saver gets; 0.1 was paid to each before, 90 / 500 since.
    assert tokens_of(owed, "third") == 75 * WAD
    assert cash_of(owed, "third") == 75 * WAD * 18 // 100


def test_what_was_paid_before_is_rounded_up(owed):
    """6e7 shares get 6 tokens that were paid a quarter before, and a quarter since: 1.5 wei, or 3 less 2."""
    repay(owed, 100 * WAD)
    lose(owed, 300 * WAD)
    repay(owed, 200 * WAD)
    move_to_workout(owed, "third", 6 * 10**6, since=(0, 1), until=(0, 2))
    assert (tokens_of(owed, "third"), cash_of(owed, "third")) == (6, 1)


def test_never_less_than_nothing(owed):
    """A single share gets no token, and the earlier payment is a wei then."""
    repay(owed, 100 * WAD)
    lose(owed, 30 * WAD)
    move_to_workout(owed, "third", 1, since=(0, 1), until=(0, 2))
    assert cash_of(owed, "third") == 0
    assert owed.last.logs == ()


# ------------------------------------------------- series of claims that are over


def test_of_a_series_that_is_over_only_cash_is_left(claims):
    lose(claims, 400 * WAD)
    repay(claims)
    move_to_workout(claims, "saver", SAVER, until=(0, 1))
    assert cash_of(claims, "saver") == 300 * WAD
    assert tokens_of(claims, "saver") == 0


def test_what_older_series_owe_comes_with_it(claims):
    """Three series, of which a member saw no checkpoint."""
    for lost in (400, 40):
        lose(claims, lost * WAD)
        repay(claims)
    lose(claims, 80 * WAD)
    repay(claims, 20 * WAD)
    move_to_workout(claims, "saver", SAVER, until=(0, 3))
    # 300 and 30 of the first two; 60 tokens of the third, a quarter paid.
    assert cash_of(claims, "saver") == 345 * WAD
    assert tokens_of(claims, "saver") == 60 * WAD


def test_a_series_that_ends_between_two_checkpoints_is_paid_once(owed):
    """The saver had the first loss's tokens, and a tenth more comes in the next series."""
    lose(owed, 40 * WAD)
    repay(owed)
    lose(owed, 4 * WAD)
    move_to_workout(owed, "saver", SAVER, since=(0, 1), until=(0, 3))
    # 30 of the loss of 40; what the 300 tokens held were paid is credited of their own generation.
    assert cash_of(owed, "saver") == 30 * WAD
    assert owed.read("pool.Claims.cash_of", "saver", 0) == 330 * WAD
    assert tokens_of(owed, "saver") == 3 * WAD
    # Who comes by each checkpoint gets the same.
    move_to_workout(owed, "third", SAVER, until=(0, 1))
    move_to_workout(owed, "third", SAVER, since=(0, 1), until=(0, 2))
    move_to_workout(owed, "third", SAVER, since=(0, 2), until=(0, 3))
    assert cash_of(owed, "third") == 330 * WAD
    assert tokens_of(owed, "third") == 3 * WAD


def test_what_a_series_that_is_over_was_paid_is_rounded_up_for_who_has_had_it(claims):
    """Of 3 tokens in two payments each was paid a ray less than a wei: 14.99... of the 15 ray of a share.

    That is 15 for the earlier holder of the tokens, so that of 2 wei for 3 tokens since one is paid less
    another.
    """
    members = 2 * 10**26
    lose(claims, 3, members=members)
    move_to_workout(claims, "saver", members, until=(0, 1))
    for amount in (1, 2):
        repay(claims, amount)
    lose(claims, 3, members=members)
    repay(claims, 2)
    move_to_workout(claims, "third", members, since=(0, 1), until=(0, 2))
    assert (tokens_of(claims, "third"), cash_of(claims, "third")) == (3, 0)


# ------------------------------------------------------- shares that were divided


def test_through_a_division(claims):
    """The saver's 3e26 shares are 3e17 of the next generation."""
    lose(claims, 400 * WAD)
    lose(claims, 40 * WAD, 1, MEMBERS // STEP)
    move_to_workout(claims, "saver", SAVER, until=(1, 1))
    assert tokens_of(claims, "saver") == 330 * WAD
    move_to_workout(claims, "neighbour", NEIGHBOUR, since=(0, 1), until=(1, 1))
    assert tokens_of(claims, "neighbour") == 10 * WAD
    move_to_workout(claims, "third", SAVER // STEP, since=(1, 0), until=(1, 1))
    assert tokens_of(claims, "third") == 30 * WAD


def test_up_to_a_checkpoint_of_the_last_generation_and_all_of_those_before(claims):
    for _ in range(2):
        lose(claims, 400 * WAD)
    for _ in range(2):
        lose(claims, 40 * WAD, 1, MEMBERS // STEP)
    for until, tokens in (((0, 1), 300), ((0, 2), 600), ((1, 0), 600), ((1, 1), 630), ((2, 0), 660)):
        who = "member_{}_{}".format(*until)
        move_to_workout(claims, who, SAVER, until=until)
        assert tokens_of(claims, who) == tokens * WAD


def test_generations_in_which_nothing_was_lost_divide_too(claims):
    lose(claims, 4 * WAD, 2, MEMBERS // STEP**2)
    move_to_workout(claims, "saver", SAVER, until=(2, 1))
    assert tokens_of(claims, "saver") == 3 * WAD


@pytest.mark.parametrize(("shares", "tokens"), [(STEP - 1, 0), (STEP, 100), (2 * STEP - 1, 100)])
def test_shares_are_divided_down_to_none(claims, shares, tokens):
    """A share of the second generation gets 100 tokens; of the first nothing was lost."""
    lose(claims, 40 * WAD, 1, MEMBERS // STEP)
    move_to_workout(claims, "saver", shares, until=(1, 1))
    assert tokens_of(claims, "saver") == tokens


def test_each_division_rounds_by_itself(claims):
    """The first division's rest is lost before the second: a share less than 2e18 is one, of two tokens."""
    lose(claims, 4, 2, members=2)
    move_to_workout(claims, "saver", 2 * STEP**2 - 1, until=(2, 1))
    assert tokens_of(claims, "saver") == 2


def test_five_generations_are_all_there_are(claims):
    """Of 2**147 - 1 shares 178 million are left in the fifth, and none in a sixth."""
    left = (2**147 - 1) // STEP**4
    assert left == 178_405_961
    for generation in range(3, 10):
        lose(claims, 2 * left, generation, left)
    move_to_workout(claims, "saver", 2**147 - 1, since=(3, 0), until=(7, 1))
    # Two tokens for each share, as many as are left in each generation.
    assert tokens_of(claims, "saver") == sum(2 * ((2**147 - 1) // STEP**k) for k in range(5))
    before = tokens_of(claims, "saver")
    move_to_workout(claims, "saver", left, since=(7, 0), until=(7, 1))
    assert tokens_of(claims, "saver") == before + 2 * left
    move_to_workout(claims, "other", 2**147 - 1, since=(3, 0), until=(8, 1))
    assert tokens_of(claims, "other") == before


def test_what_was_lost_before_all_became_void_is_handed_over(claims):
    """A pool that has lost all resumes five generations later: later claims belong to others."""
    lose(claims, 400 * WAD)
    for generation in (5, 6):
        lose(claims, 40 * WAD, generation)
    for end in (5, 6, 2**32 - 1):
        move_to_workout(claims, f"member_{end}", SAVER, until=(end, 1))
        assert tokens_of(claims, f"member_{end}") == 300 * WAD


def test_a_series_that_ends_between_generations(claims):
    lose(claims, 400 * WAD)
    repay(claims)
    lose(claims, 40 * WAD, 1, MEMBERS // STEP)
    repay(claims, 20 * WAD)
    lose(claims, 4 * WAD, 1, MEMBERS // STEP)
    move_to_workout(claims, "saver", SAVER, until=(1, 2))
    # 300 of the first series. Of the second 30 tokens, paid by half, and 6 for 3 that are owed since.
    assert cash_of(claims, "saver") == 315 * WAD
    assert tokens_of(claims, "saver") == 36 * WAD


def test_members_never_get_more_than_there_are(claims):
    """Shares that no division leaves whole, through three generations and two series."""
    parts = (SAVER + 7, NEIGHBOUR - 13, 5 * STEP + 1, 3)
    supply = sum(parts)
    for generation, lost in enumerate((10**18 + 1, 77_777_777, 3 * 10**17 + 5)):
        lose(claims, lost, generation, supply // STEP**generation)
        if generation == 1:
            repay(claims, 10**17 + 3)
    for i, shares in enumerate(parts):
        move_to_workout(claims, f"member_{i}", shares, until=(2, 1))
    handed, all_tokens = claims.read("pool.Claims.totalSupply"), claims.read("pool.Claims.tokens")
    assert all_tokens - 10**9 < handed <= all_tokens
    paid = sum(claims.read("pool.Claims.cash_of", f"member_{i}", 0) for i in range(len(parts)))
    assert 10**17 - 10**9 < paid <= 10**17 + 3

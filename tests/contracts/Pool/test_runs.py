"""Runs: batches that are settled together have one ceiling; those that losses reach first are first.

By hand, with a share of a coin: all that have not reached their ceiling bear alike, so that with ceilings c
of u coins each and others without, a part L of each share is a loss of sum(u * min(c, L)) + L * others.
"""

from fractions import Fraction

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    DAY,
    LOOK,
    charge_pool,
    claim_requests,
    cut_batch,
    cut_batch_and_wait_cooldown,
)

COIN = WAD * 10**6


def ask(protocol, coins, who="saver"):
    protocol.do("Young.requestRedeem", coins * COIN, who, who, sender=who)


def settle(protocol, coins):
    """Make an amount known as lost, and settle; return the logged payments."""
    protocol.do("Waterfall.claim", coins * RAD, sender="stranger")
    protocol.do("Young.settle", sender="stranger")
    (log,) = [log.values for log in protocol.last.logs if log.event == "BatchPaid"]
    return log


def check(protocol, **expected):
    """Check the batches' payments and holdings [coins], each rounded down at every step."""
    for name, parts in expected.items():
        found = protocol.read("Young.batch_of", int(name.removeprefix("b")))[2:4]
        for wei, coins in zip(found, parts, strict=True):
            assert abs(Fraction(coins) * WAD - wei) <= 4, (name, found, parts)


@pytest.fixture
def three(junior):
    """Three batches of 1,000, cut a day apart; 1,000 stay. The first is due, the second in LOOK."""
    for _ in range(3):
        ask(junior, 1_000)
        cut_batch(junior, "Young")
    return junior


def test_batches_that_are_due_together_are_one_run(three):
    three.advance(DAY + LOOK)
    batch, until, paid, held = settle(three, 400)
    assert (batch, until) == (1, 4)
    assert 2_550 * WAD - paid in range(3) and 450 * WAD - held in range(3)
    check(three, b1=(850, 150), b2=(850, 150), b3=(850, 150))
    assert three.read("Young.queue") == (1, 4, 4)
    assert three.table("Young", "token.state").open == 1
    assert [three.table("Young", "line.batches", k).link for k in (1, 2, 3)] == [0, 1, 1]


def test_only_those_that_are_due_join(three):
    """Cut a day apart; the third waits for another day."""
    three.advance(LOOK)
    assert settle(three, 400)[:2] == (1, 3)
    check(three, b1=(850, 150), b2=(850, 150), b3=(0, 1_000))
    three.advance(DAY - 1)
    assert settle(three, 400)[:2] == (1, 3)
    three.advance(1)
    assert settle(three, 400)[:2] == (1, 4)
    check(three, b3=(850, 150))


def test_a_run_that_losses_reach_stays_and_another_begins_behind_it(three):
    """In doubt are 15% of each, and of three thousands another 10%: the second holds 37.5%."""
    assert settle(three, 400)[:2] == (1, 2)
    three.advance(LOOK)
    assert settle(three, 900)[:2] == (2, 3)
    check(three, b1=(850, 150), b2=(625, 375), b3=(0, 1_000))
    assert three.read("Young.queue") == (1, 3, 4)
    assert three.table("Young", "token.state").open == 3
    assert [three.table("Young", "line.batches", k).link for k in (1, 2, 3)] == [2, 0, 0]


@pytest.fixture
def two_runs(three):
    """The first is paid 850 and the second 625; the third is due."""
    settle(three, 400)
    three.advance(LOOK)
    settle(three, 900)
    three.advance(DAY)
    return three


def test_the_top_run_takes_in_what_is_due_and_the_first_stays(two_runs):
    """At 750 a fifth is in doubt: between the ceilings of the two. Three tenths are held."""
    batch, until, paid, held = settle(two_runs, 750)
    assert (batch, until) == (2, 4)
    assert abs(paid - 775 * WAD) <= 3 and abs(held - 600 * WAD) <= 3
    check(two_runs, b1=(850, 150), b2=(700, 300), b3=(700, 300))
    assert two_runs.read("Young.queue") == (1, 4, 4)
    assert two_runs.table("Young", "token.state").open == 2
    assert [two_runs.table("Young", "line.batches", k).link for k in (1, 2, 3)] == [2, 0, 2]


def test_at_a_run_s_ceiling_it_is_paid_nothing_and_those_behind_join_it(two_runs):
    """Just the first run's 15% of 4,000 are in doubt."""
    assert settle(two_runs, 600)[:2] == (1, 4)
    check(two_runs, b1=(850, 150), b2=(850, 150), b3=(850, 150))


def test_a_wei_above_a_run_s_ceiling_it_stays(two_runs):
    two_runs.do("Waterfall.claim", (600 * WAD + 1) * RAY, sender="stranger")
    two_runs.do("Young.settle", sender="stranger")
    # 15% and half as much.
    check(two_runs, b1=(850, 150), b2=(775, 225), b3=(775, 225))


def test_runs_become_one_when_less_is_in_doubt_and_links_lead_to_it(two_runs):
    """The third joins the second, and both the first: 5% in doubt, 7.5% held of each."""
    settle(two_runs, 750)
    batch, until, paid, held = settle(two_runs, 200)
    assert (batch, until) == (1, 4)
    assert abs(paid - 525 * WAD) <= 4 and abs(held - 225 * WAD) <= 4
    check(two_runs, b1=(925, 75), b2=(925, 75), b3=(925, 75))
    assert [two_runs.table("Young", "line.batches", k).link for k in (1, 2, 3)] == [0, 1, 2]
    assert 2_775 * WAD - claim_requests(two_runs, "saver", "Young") in range(6)
    settle(two_runs, 0)
    assert all(two_runs.read("Young.batch_of", k)[3:] == (0, True) for k in (1, 2, 3))
    assert two_runs.read("Young.queue") == (4, 4, 4)
    assert 225 * WAD - claim_requests(two_runs, "saver", "Young") in range(6)
    assert two_runs.read("Young.maxRedeem", "saver") == 0
    assert two_runs.table("Young", "line.queue").held == 0
    assert two_runs.table("Young", "line.queue").owed in range(6)


def test_more_in_doubt_than_before_pays_nothing_and_begins_a_run_of_what_is_due(two_runs):
    """1,600 take 15% of 4,000, 22.5% of 3,000 and 16.25% of 2,000: 53.75%. Half of the rest is held."""
    assert settle(two_runs, 1_600)[:2] == (3, 4)
    check(two_runs, b1=(850, 150), b2=(625, 375), b3=(231.25, 768.75))
    assert [two_runs.table("Young", "line.batches", k).link for k in (1, 2, 3)] == [2, 3, 0]
    assert settle(two_runs, 0)[:2] == (1, 4)
    check(two_runs, b1=(1_000, 0), b2=(1_000, 0), b3=(1_000, 0))


def test_each_batch_of_a_run_is_paid_from_its_own_ceiling(junior):
    """Between two cuts a share has become worth two coins: the doubt is a tenth of a coin for each."""
    ask(junior, 1_000)
    cut_batch(junior, "Young")
    junior.do("Young.add_income", 3_000 * WAD, sender="payer")
    junior.advance(7 * DAY)
    ask(junior, 1_000)
    cut_batch_and_wait_cooldown(junior, "Young")
    assert settle(junior, 400)[:2] == (1, 3)
    check(junior, b1=(850, 150), b2=(1_850, 150))
    settle(junior, 0)
    check(junior, b1=(1_000, 0), b2=(2_000, 0))


@pytest.fixture
def dear(junior):
    """A run with a ceiling of 15%, a batch that waits with one of a coin, and 2,000 live of two coins."""
    ask(junior, 1_000)
    cut_batch_and_wait_cooldown(junior, "Young")
    settle(junior, 400)
    ask(junior, 1_000)
    cut_batch(junior, "Young")
    junior.do("Young.add_income", 2_000 * WAD, sender="payer")
    junior.advance(7 * DAY)
    assert junior.read("Young.totalAssets") - 4_000 * WAD in range(4)
    return junior


def test_a_loss_ends_a_run_and_a_batch_that_waits_in_one_step(dear):
    """600 to 15%, of the other 3,000 another 2,550 to a coin, and 100 by the remaining members."""
    charge_pool(dear, "Young", 3_250 * WAD)
    recorded = [log.values[1] for log in dear.last.logs if log.event == "LossRecorded"]
    assert all(abs(wei - coins * WAD) <= 4 for wei, coins in zip(recorded, (600, 2_550, 100), strict=True))
    check(dear, b1=(850, 0), b2=(0, 0))
    assert dear.read("Young.batch_of", 1)[4] and dear.read("Young.batch_of", 2)[4]
    assert dear.read("Young.queue") == (3, 3, 3)
    assert dear.table("Young", "token.state").open == 0
    assert dear.table("Young", "line.queue").held == 0
    assert abs(dear.read("Young.totalAssets") - 1_900 * WAD) <= 4
    # The run's 150, the batch's 1,000, and of those who stay each a half of 2,100.
    for who, bore in (("saver", 2_200), ("neighbour", 1_050)):
        dear.do("Young.collect_claims", who, sender="stranger")
        assert 0 <= bore * WAD - dear.read("Young.Claims.balanceOf", who) < 10**8
    assert 850 * WAD - claim_requests(dear, "saver", "Young") in (0, 1)
    with reverts("pool: nothing to settle"):
        dear.do("Young.settle", sender="stranger")


def test_a_loss_that_ends_the_run_alone_leaves_the_batch_its_place(dear):
    """600 to 15%, of the other 3,000 another 300: a quarter of the batch."""
    charge_pool(dear, "Young", 900 * WAD)
    check(dear, b1=(850, 0), b2=(0, 750))
    assert dear.read("Young.queue") == (2, 2, 3)
    assert dear.table("Young", "token.state").open == 1
    assert settle(dear, 0)[:2] == (2, 3)
    check(dear, b2=(750, 0))


def test_claims_are_handed_over_between_and_after_payments(dear):
    """Each 5% of a loss of 200 of 4,000 shares: the run's, the batch's and two thousands of the stayers."""
    for k in (1, 2, 3):
        charge_pool(dear, "Young", 200 * WAD)
        dear.do("Young.collect_claims", "saver", sender="stranger")
        assert 0 <= k * 150 * WAD - dear.read("Young.Claims.balanceOf", "saver") < 10**8
    # The run has borne its 15% but for a part of a wei.
    charge_pool(dear, "Young", 300 * WAD)
    dear.do("Young.collect_claims", "saver", sender="stranger")
    assert 0 <= 650 * WAD - dear.read("Young.Claims.balanceOf", "saver") < 10**8


def test_twenty_runs_are_all_there_can_be(junior):
    """Each day a little more is in doubt than the last run holds: each takes half of the way that is left.

    With 256ths of a share: 1, 2, 3, 4.5 and on, half as much again each, then half of the way to 256.
    """
    ceilings, level, doubt = list[Fraction](), Fraction(0), Fraction(1, 10**12)
    while 1 - (level := (ceilings[-1] if ceilings else 0) + doubt) >= Fraction(1, 256):
        margin = min(max(level / 2, Fraction(1, 256)), (1 - level) / 2)
        ceilings.append(level + margin)
    assert len(ceilings) == 20
    level = Fraction(0)
    for k, ceiling in enumerate(ceilings):
        ask(junior, 1)
        cut_batch_and_wait_cooldown(junior, "Young")
        level = (ceilings[k - 1] if k else 0) + doubt
        loss = sum(ceilings[:k]) + level * (4_000 - k)
        junior.do("Waterfall.claim", int(loss * RAD), sender="stranger")
        junior.do("Young.settle", sender="stranger")
        assert abs(junior.read("Young.batch_of", k + 1)[3] - ceiling * WAD) < 1_000, k
    assert junior.read("Young.queue") == (1, 21, 21)
    assert junior.table("Young", "token.state").open == 20
    # One more has less than a 256th out of doubt.
    ask(junior, 1)
    cut_batch_and_wait_cooldown(junior, "Young")
    loss = sum(ceilings) + (ceilings[-1] + doubt) * 3_980
    junior.do("Waterfall.claim", int(loss * RAD), sender="stranger")
    with reverts("pool: nothing to settle"):
        junior.do("Young.settle", sender="stranger")
    # Nor may one that would have more begin another: its shares are worth 2.5 coins.
    junior.do("Young.add_income", 6_000 * WAD, sender="payer")
    junior.advance(7 * DAY)
    ask(junior, 1)
    cut_batch_and_wait_cooldown(junior, "Young")
    with reverts("pool: nothing to settle"):
        junior.do("Young.settle", sender="stranger")
    # A loss that nobody knew ends all runs at once, and there is room.
    junior.do("Waterfall.claim", 0, sender="stranger")
    charge_pool(junior, "Young", int(loss * WAD))
    assert junior.read("Young.queue") == (21, 21, 23)
    assert junior.table("Young", "token.state").open == 2
    junior.do("Young.settle", sender="stranger")
    assert junior.read("Young.queue") == (23, 23, 23)
    assert abs(junior.read("Young.batch_of", 21)[2] - (1 - ceilings[-1] - doubt) * WAD) < 10**4


def test_with_twelve_that_wait_and_runs_beside_them_the_next_goes_on_collecting(junior):
    """Places are those of batches that wait; a run takes none."""
    ask(junior, 100)
    cut_batch_and_wait_cooldown(junior, "Young")
    settle(junior, 400)
    junior.do("Waterfall.claim", 10**6 * RAD, sender="stranger")
    for _ in range(12):
        ask(junior, 10)
        cut_batch(junior, "Young")
    ask(junior, 10)
    junior.advance(DAY)
    with reverts("pool: too many batches"):
        junior.do("Young.cut", sender="stranger")
    # What is in doubt ends: those whose time is over leave their places, all but the last.
    assert settle(junior, 0)[:2] == (1, 13)
    assert cut_batch(junior, "Young") == 14

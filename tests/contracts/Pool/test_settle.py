"""settle: batches are paid what no known loss can take, and the rest as that turns out."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.helpers import reverts
from tests.support.savings import DAY, LOOK, bear, claim, cut, mature, request, save

CALL = "Savings.settle"


def paid_and_held(protocol, batch, pool="Savings"):
    return tuple(protocol.read(f"{pool}.batch_of", batch)[2:4])


def check(protocol, batch, paid, held):
    """What a batch of Young was paid and holds [whole coins], each rounded down at every step."""
    found = paid_and_held(protocol, batch, "Young")
    assert all(0 <= each * WAD - part <= 2 for part, each in zip(found, (paid, held), strict=True))


@pytest.fixture
def known(junior):
    """The saver's 3,000 have left in a batch; a loss of 400 of 4,000 is known and not covered."""
    request(junior, "saver", "Young")
    mature(junior, "Young")
    junior.do("Waterfall.claim", 400 * RAD, sender="stranger")
    return junior


def test_without_a_known_loss_all_is_paid(savers):
    request(savers, "saver")
    mature(savers)
    savers.do(CALL, sender="stranger")
    assert savers.read("Savings.batch_of", 1)[2:] == (30_000 * WAD, 0, True)
    assert savers.read("Savings.queue") == (2, 2, 2)
    assert savers.read("Savings.capacity", 0) == 10_000 * WAD * RAY
    logs = [log.values for log in savers.last.logs if log.event == "BatchPaid"]
    assert logs == [(1, 30_000 * WAD, 0)]


def test_not_before_the_cooldown_and_a_look(savers):
    request(savers, "saver")
    cut(savers)
    savers.advance(DAY + LOOK - 1)
    with reverts("pool: nothing to settle"):
        savers.do(CALL, sender="stranger")
    savers.advance(1)
    savers.do(CALL, sender="stranger")
    with reverts("pool: nothing to settle"):
        savers.do(CALL, sender="stranger")


def test_what_a_known_loss_would_take_is_held(known):
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_700, 300)
    known.do("Waterfall.claim", 1_000 * RAD, sender="stranger")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_700, 300)


def test_it_is_paid_when_the_loss_does_not_come(known):
    known.do("Young.settle", sender="stranger")
    known.do("Waterfall.claim", 200 * RAD, sender="stranger")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_850, 150)
    known.do("Waterfall.claim", 0, sender="stranger")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 3_000, 0)
    assert known.read("Young.totalAssets") - 1_000 * WAD in (0, 1, 2)


def test_it_is_lost_when_the_loss_comes(known):
    known.do("Young.settle", sender="stranger")
    bear(known, "Young", 400 * WAD)
    check(known, 1, 2_700, 0)
    assert known.read("Young.batch_of", 1)[4]
    # Who has stayed has lost the same part.
    assert abs(known.read("Young.totalAssets") - 900 * WAD) <= 2


def test_a_loss_that_was_not_known_takes_no_more_than_was_held(known):
    known.do("Young.settle", sender="stranger")
    bear(known, "Young", 900 * WAD)
    assert known.read("Young.batch_of", 1)[2:] == (2_700 * WAD, 0, True)
    assert known.read("Young.totalAssets") == 400 * WAD


def test_all_is_held_while_more_is_known_than_there_is(known):
    known.do("Waterfall.claim", 10**6 * RAD, sender="stranger")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 0, 3_000)


def test_before_it_is_paid_a_batch_bears_all_that_comes(junior):
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    cut(junior, "Young")
    bear(junior, "Young", 400 * WAD)
    bear(junior, "Young", 1_600 * WAD)
    assert paid_and_held(junior, 1, "Young") == (0, 1_500 * WAD)
    junior.advance(DAY + LOOK)
    junior.do("Young.settle", sender="stranger")
    assert paid_and_held(junior, 1, "Young") == (1_500 * WAD, 0)
    assert junior.read("Young.totalAssets") == 500 * WAD


def test_who_enters_shares_what_is_known(known):
    """At the price of a share, which counts no loss that is not covered."""
    known.do("Young.settle", sender="stranger")
    save(known, "newcomer", 4_000 * WAD, "Young")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_850, 150)


def test_who_leaves_later_bears_more_of_what_is_known_later(known):
    known.do("Young.settle", sender="stranger")
    known.do("Young.requestRedeem", 500 * WAD * 10**6, "neighbour", "neighbour", sender="neighbour")
    mature(known, "Young")
    known.do("Waterfall.claim", 500 * RAD, sender="stranger")
    known.do("Young.settle", sender="stranger")
    # 300 of the first can be lost; the other 200 are shared by the second and who stays.
    check(known, 1, 2_700, 300)
    check(known, 2, 400, 100)
    bear(known, "Young", 500 * WAD)
    check(known, 2, 400, 0)
    assert known.read("Young.batch_of", 2)[4]
    assert abs(known.read("Young.totalAssets") - 400 * WAD) <= 2
    for who, bore in (("saver", 300), ("neighbour", 100)):
        claim(known, who, "Young")
        assert 0 <= bore * WAD - known.read("Young.Claims.balanceOf", who) < 10**8
    known.do("Young.collect_claims", "neighbour", sender="stranger")
    assert 0 <= 200 * WAD - known.read("Young.Claims.balanceOf", "neighbour") < 10**8


def test_of_several_batches_each_bears_its_part(junior):
    for who, shares in (("saver", 1_000), ("neighbour", 500), ("saver", 500)):
        junior.do("Young.requestRedeem", shares * WAD * 10**6, who, who, sender=who)
        cut(junior, "Young")
    bear(junior, "Young", 1_000 * WAD)
    assert [paid_and_held(junior, id, "Young")[1] for id in (1, 2, 3)] == [750 * WAD, 375 * WAD, 375 * WAD]
    junior.advance(DAY + LOOK)
    junior.do("Young.settle", sender="stranger")
    assert [paid_and_held(junior, id, "Young")[0] for id in (1, 2, 3)] == [750 * WAD, 375 * WAD, 375 * WAD]


def test_claims_are_for_what_a_batch_bore(junior):
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    cut(junior, "Young")
    bear(junior, "Young", 400 * WAD)
    junior.advance(DAY + LOOK)
    junior.do("Young.settle", sender="stranger")
    bear(junior, "Young", 100 * WAD)
    for who, expected in (("saver", 300), ("neighbour", 200)):
        if who == "saver":
            claim(junior, who, "Young")
        junior.do("Young.collect_claims", who, sender="stranger")
        assert 0 <= expected * WAD - junior.read("Young.Claims.balanceOf", who) < 10**8


def test_a_wipe_leaves_nobody_anything(junior):
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    cut(junior, "Young")
    bear(junior, "Young", 4_000 * WAD)
    assert junior.read("Young.batch_of", 1)[2:] == (0, 0, True)
    assert junior.read("Young.generation") == 1
    assert junior.read("Young.queue") == (2, 2, 2)
    assert claim(junior, "saver", "Young") == 0
    assert 0 <= 3_000 * WAD - junior.read("Young.Claims.balanceOf", "saver") < 10**8


def test_a_crumb_that_stays_is_no_reason_to_void_a_batch(junior):
    """Live shares of a few wei are worth nothing long before the batch beside them is."""
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    rest = 1_000 * WAD * 10**6 - 10**7
    junior.do("Young.requestRedeem", rest, "neighbour", "neighbour", sender="neighbour")
    cut(junior, "Young")
    assert junior.read("Young.totalAssets") < 100
    bear(junior, "Young", 2_000 * WAD)
    assert junior.read("Young.generation") == 0
    assert abs(paid_and_held(junior, 1, "Young")[1] - 2_000 * WAD) < 100

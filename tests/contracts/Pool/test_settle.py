"""settle: batches are paid all but three halves of the possible take of known losses, and the rest later.

By hand, with a share of a coin: a known loss of a part L of each share holds back half as much again, at
least 1/256 of a coin. Of a batch settled for the first time it holds back at most half of the undoubted part.
"""

from fractions import Fraction

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.revert_setter_and_source_helpers import get_revert_reason, reverts
from tests.support.saver_steps import (
    DAY,
    LOOK,
    charge_pool,
    claim_requests,
    create_claims_pool_and_return_name,
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    request_all_shares,
)

CALL = "Savings.settle"


def paid_and_held(protocol, batch, pool="Savings"):
    return tuple(protocol.read(f"{pool}.batch_of", batch)[2:4])


def check(protocol, batch, paid, held):
    """Check payments and holdings of a batch of Young [whole coins], each rounded down at every step."""
    found = paid_and_held(protocol, batch, "Young")
    assert all(0 <= Fraction(each) * WAD - part <= 2 for part, each in zip(found, (paid, held), strict=True))


@pytest.fixture
def known(junior):
    """The saver's 3,000 have left in a batch; a loss of 400 of 4,000 is known and not covered."""
    request_all_shares(junior, "saver", "Young")
    cut_batch_and_wait_cooldown(junior, "Young")
    junior.do("Waterfall.claim", 400 * RAD, sender="stranger")
    return junior


def test_without_a_known_loss_all_is_paid(savers):
    request_all_shares(savers, "saver")
    cut_batch_and_wait_cooldown(savers)
    savers.do(CALL, sender="stranger")
    assert savers.read("Savings.batch_of", 1)[2:] == (30_000 * WAD, 0, True)
    assert savers.read("Savings.queue") == (2, 2, 2)
    assert savers.read("Savings.capacity", 0) == 10_000 * WAD * RAY
    logs = [log.values for log in savers.last.logs if log.event == "BatchPaid"]
    assert logs == [(1, 2, 30_000 * WAD, 0)]


def test_not_before_the_cooldown_and_a_look(savers):
    request_all_shares(savers, "saver")
    cut_batch(savers)
    savers.advance(DAY + LOOK - 1)
    with reverts("pool: nothing to settle"):
        savers.do(CALL, sender="stranger")
    savers.advance(1)
    savers.do(CALL, sender="stranger")
    with reverts("pool: nothing to settle"):
        savers.do(CALL, sender="stranger")


def test_what_a_known_loss_would_take_is_held_and_half_as_much_again(known):
    """400 of 4,000 are a tenth: 15% of 3,000 are held. The log says so, to the wei that floor has cut off."""
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_550, 450)
    ((batch, until, paid, held),) = [log.values for log in known.last.logs if log.event == "BatchPaid"]
    assert (batch, until) == (1, 2) and (paid, held) == paid_and_held(known, 1, "Young")
    assert paid + held == 3_000 * WAD - 1
    assert known.read("Young.queue") == (1, 2, 2)


@pytest.mark.parametrize("known_now", [400, 600, 1_000], ids=str)
def test_what_was_paid_is_not_taken_back(known, known_now):
    """As much in doubt as before, all that it holds, or more: then there is nothing to settle."""
    known.do("Young.settle", sender="stranger")
    known.do("Waterfall.claim", known_now * RAD, sender="stranger")
    if known_now == 1_000:
        with reverts("pool: nothing to settle"):
            known.do("Young.settle", sender="stranger")
    else:
        known.do("Young.settle", sender="stranger")
        assert [log.values[2] for log in known.last.logs if log.event == "BatchPaid"] == [0]
    check(known, 1, 2_550, 450)


def test_it_is_paid_when_the_loss_does_not_come(known):
    known.do("Young.settle", sender="stranger")
    known.do("Waterfall.claim", 200 * RAD, sender="stranger")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_775, 225)
    known.do("Waterfall.claim", 0, sender="stranger")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 3_000, 0)
    assert known.read("Young.totalAssets") - 1_000 * WAD in (0, 1, 2)


def test_it_is_lost_when_the_loss_comes(known):
    known.do("Young.settle", sender="stranger")
    charge_pool(known, "Young", 400 * WAD)
    check(known, 1, 2_550, 150)
    known.do("Waterfall.claim", 0, sender="stranger")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_700, 0)
    assert known.read("Young.batch_of", 1)[4]
    # Who has stayed has lost the same part.
    assert abs(known.read("Young.totalAssets") - 900 * WAD) <= 2


def test_a_loss_that_was_not_known_takes_no_more_than_was_held(known):
    """Of 900 the batch bears the 450 that it holds: 15% of each share, until 600 are lost."""
    known.do("Young.settle", sender="stranger")
    charge_pool(known, "Young", 900 * WAD)
    check(known, 1, 2_550, 0)
    assert known.read("Young.batch_of", 1)[4]
    assert known.read("Young.queue") == (2, 2, 2)
    assert abs(known.read("Young.totalAssets") - 550 * WAD) <= 2


def test_all_is_held_while_more_is_known_than_there_is(known):
    known.do("Waterfall.claim", 10**6 * RAD, sender="stranger")
    with reverts("pool: nothing to settle"):
        known.do("Young.settle", sender="stranger")
    assert paid_and_held(known, 1, "Young") == (0, 3_000 * WAD)
    assert known.read("Young.queue") == (1, 1, 2)


@pytest.mark.parametrize(("wei", "settles"), [(0, True), (1, False)], ids=["1/256", "less"])
def test_a_run_begins_with_a_256th_of_a_share_out_of_doubt(known, wei, settles):
    """Of 4,000 all but 15.625 are in doubt: half of the undoubted part is held back."""
    known.do("Waterfall.claim", (3_984_375 * WAD // 1_000 + wei) * RAY, sender="stranger")
    if settles:
        known.do("Young.settle", sender="stranger")
        paid = 5_859_375 * WAD // 10**6
        assert paid_and_held(known, 1, "Young") == (paid, 3_000 * WAD - paid - 1)
    else:
        with reverts("pool: nothing to settle"):
            known.do("Young.settle", sender="stranger")


@pytest.fixture
def exact(protocol):
    """As `known`, a wei less: with the virtual one 4,000e18 wei for 4,000e24 shares; parts are exact."""
    create_claims_pool_and_return_name(protocol)
    deposit_savings(protocol, "saver", 3_000 * WAD, "Young")
    deposit_savings(protocol, "neighbour", 1_000 * WAD - 1, "Young")
    request_all_shares(protocol, "saver", "Young")
    cut_batch_and_wait_cooldown(protocol, "Young")
    return protocol


@pytest.mark.parametrize(("wei", "settles"), [(0, True), (1, False)], ids=["at", "under"])
def test_at_a_256th_to_the_part_of_a_wei(exact, wei, settles):
    """255/256 of 4,000e18 are 3,984.375e18."""
    exact.do("Waterfall.claim", (3_984_375 * 10**15 + wei) * RAY, sender="stranger")
    refused = get_revert_reason(exact, "Young.settle", sender="stranger")
    assert refused == (None if settles else "pool: nothing to settle")


@pytest.mark.parametrize(("wei", "settles"), [(0, True), (1, False)], ids=["at", "over"])
def test_a_run_joins_as_long_as_losses_do_not_pass_its_ceiling(exact, wei, settles):
    """A tenth is known first, so that the ceiling is at 15%; then 15% of 4,000e18, or a wei more."""
    exact.do("Waterfall.claim", 400 * RAD, sender="stranger")
    exact.do("Young.settle", sender="stranger")
    assert paid_and_held(exact, 1, "Young") == (2_550 * WAD, 450 * WAD)
    exact.do("Waterfall.claim", (600 * WAD + wei) * RAY, sender="stranger")
    refused = get_revert_reason(exact, "Young.settle", sender="stranger")
    assert refused == (None if settles else "pool: nothing to settle")
    assert paid_and_held(exact, 1, "Young") == (2_550 * WAD, 450 * WAD)


@pytest.mark.parametrize(
    ("known_wei", "held"),
    [
        (0, 0),
        # A 256th of a coin beside the doubt, which is a part of a wei: 3,000 / 256.
        (1, 11_718_750),
        # Half of a doubt of 1/128 is a 256th: 3,000 * 3/256.
        (31_250_000 * 10**12, 35_156_250),
        # Half of a doubt of 1/64 is more: 3,000 * 3/128.
        (62_500_000 * 10**12, 70_312_500),
        # Half of a doubt of a half is as much as half of what is left of it: 3,000 * 3/4.
        (2_000 * WAD, 2_250 * 10**6),
        # Half of a doubt of 3/4 is more than half of what is left: 3,000 * 7/8.
        (3_000 * WAD, 2_625 * 10**6),
    ],
    ids=["none", "a wei", "1/128", "1/64", "1/2", "3/4"],
)
def test_the_margin(known, known_wei, held):
    """Expected in millionths of a coin."""
    known.do("Waterfall.claim", known_wei * RAY, sender="stranger")
    known.do("Young.settle", sender="stranger")
    paid, kept = paid_and_held(known, 1, "Young")
    # Virtual shares bear a part of a wei of it.
    assert abs(kept - held * 10**12) <= 1
    assert 3_000 * WAD - paid - kept == (1 if known_wei else 0)


def test_losses_are_told_in_ray_and_counted_up(known):
    """A ray of a wei is a wei."""
    known.do("Waterfall.claim", 1, sender="stranger")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_988.28125, 11.71875)


def test_before_it_is_paid_a_batch_bears_all_that_comes(junior):
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    cut_batch(junior, "Young")
    charge_pool(junior, "Young", 400 * WAD)
    charge_pool(junior, "Young", 1_600 * WAD)
    assert paid_and_held(junior, 1, "Young") == (0, 1_500 * WAD)
    junior.advance(DAY + LOOK)
    junior.do("Young.settle", sender="stranger")
    assert paid_and_held(junior, 1, "Young") == (1_500 * WAD, 0)
    assert junior.read("Young.totalAssets") == 500 * WAD


def test_who_enters_shares_what_is_known(known):
    """At the price of a share, which counts no loss that is not covered. The run bears 15% of 8,000 at most:
    more than is known, of which each share has 400 of 5,450 now and the run holds half as much again."""
    known.do("Young.settle", sender="stranger")
    deposit_savings(known, "newcomer", 4_000 * WAD, "Young")
    known.do("Young.settle", sender="stranger")
    check(known, 1, 2_775, 225)


def test_who_leaves_later_bears_more_of_what_is_known_later(known):
    known.do("Young.settle", sender="stranger")
    known.do("Young.requestRedeem", 500 * WAD * 10**6, "neighbour", "neighbour", sender="neighbour")
    cut_batch_and_wait_cooldown(known, "Young")
    known.do("Waterfall.claim", 700 * RAD, sender="stranger")
    known.do("Young.settle", sender="stranger")
    # 600 take 15% of each share. The other 100 are shared by the second and who stays, to 25%: 37.5% held.
    check(known, 1, 2_550, 450)
    check(known, 2, 312.5, 187.5)
    assert known.read("Young.queue") == (1, 3, 3)
    charge_pool(known, "Young", 700 * WAD)
    known.do("Waterfall.claim", 0, sender="stranger")
    check(known, 1, 2_550, 0)
    check(known, 2, 312.5, 62.5)
    assert known.read("Young.batch_of", 1)[4]
    assert known.read("Young.queue") == (2, 3, 3)
    known.do("Young.settle", sender="stranger")
    check(known, 2, 375, 0)
    assert abs(known.read("Young.totalAssets") - 375 * WAD) <= 2
    for who, bore in (("saver", 450), ("neighbour", 125)):
        claim_requests(known, who, "Young")
        assert 0 <= bore * WAD - known.read("Young.Claims.balanceOf", who) < 10**8
    known.do("Young.collect_claims", "neighbour", sender="stranger")
    assert 0 <= 250 * WAD - known.read("Young.Claims.balanceOf", "neighbour") < 10**8


def test_of_several_batches_each_bears_its_part(junior):
    for who, shares in (("saver", 1_000), ("neighbour", 500), ("saver", 500)):
        junior.do("Young.requestRedeem", shares * WAD * 10**6, who, who, sender=who)
        cut_batch(junior, "Young")
    charge_pool(junior, "Young", 1_000 * WAD)
    assert [paid_and_held(junior, id, "Young")[1] for id in (1, 2, 3)] == [750 * WAD, 375 * WAD, 375 * WAD]
    junior.advance(DAY + LOOK)
    junior.do("Young.settle", sender="stranger")
    assert [paid_and_held(junior, id, "Young")[0] for id in (1, 2, 3)] == [750 * WAD, 375 * WAD, 375 * WAD]


def test_claims_are_for_what_a_batch_bore(junior):
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    cut_batch(junior, "Young")
    charge_pool(junior, "Young", 400 * WAD)
    junior.advance(DAY + LOOK)
    junior.do("Young.settle", sender="stranger")
    charge_pool(junior, "Young", 100 * WAD)
    for who, expected in (("saver", 300), ("neighbour", 200)):
        if who == "saver":
            claim_requests(junior, who, "Young")
        junior.do("Young.collect_claims", who, sender="stranger")
        assert 0 <= expected * WAD - junior.read("Young.Claims.balanceOf", who) < 10**8


def test_a_wipe_leaves_nobody_anything(junior):
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    cut_batch(junior, "Young")
    charge_pool(junior, "Young", 4_000 * WAD)
    assert junior.read("Young.batch_of", 1)[2:] == (0, 0, True)
    assert junior.read("Young.generation") == 5
    assert junior.read("Young.queue") == (2, 2, 2)
    assert claim_requests(junior, "saver", "Young") == 0
    assert 0 <= 3_000 * WAD - junior.read("Young.Claims.balanceOf", "saver") < 10**8


def test_a_crumb_that_stays_is_no_reason_to_void_a_batch(junior):
    """Live shares of a few wei are worth nothing long before the batch beside them is."""
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    rest = 1_000 * WAD * 10**6 - 10**7
    junior.do("Young.requestRedeem", rest, "neighbour", "neighbour", sender="neighbour")
    cut_batch(junior, "Young")
    assert junior.read("Young.totalAssets") < 100
    charge_pool(junior, "Young", 2_000 * WAD)
    assert junior.read("Young.generation") == 0
    assert abs(paid_and_held(junior, 1, "Young")[1] - 2_000 * WAD) < 100

"""request_redeem: shares are committed to the batch that collects; there is no way back."""

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.savings import DAY, XAU, bear, cut, leave, lose, mature, request, save

CALL = "Savings.request_redeem"


def test_moves_the_shares_into_escrow(savers):
    shares = savers.read("Savings.balanceOf", "saver")
    assert savers.do(CALL, shares // 4, sender="saver") == 1
    assert savers.read("Savings.balanceOf", "saver") == shares - shares // 4
    assert savers.read("Savings.balanceOf", "Savings") == shares // 4
    assert savers.read("Savings.requested_shares", 1, "saver") == shares // 4
    assert savers.read("Savings.batch_of", 1) == (shares // 4, savers.timestamp, 0, 0, False)
    requested = [log.values for log in savers.last.logs if log.event == "RedeemRequested"]
    assert requested == [(savers.address("saver"), 1, shares // 4)]


def test_the_batch_counts_its_day_from_the_first_request(savers):
    savers.do(CALL, 5, sender="saver")
    first = savers.timestamp
    savers.advance(DAY - 1)
    savers.do(CALL, 2, sender="saver")
    savers.do(CALL, 3, sender="neighbour")
    assert savers.read("Savings.batch_of", 1)[:2] == (10, first)
    assert savers.read("Savings.requested_shares", 1, "saver") == 7


def test_a_batch_that_nobody_has_cut_goes_on_collecting(savers):
    savers.do(CALL, 5, sender="saver")
    savers.advance(2 * DAY)
    assert savers.do(CALL, 2, sender="neighbour") == 1
    cut(savers)
    assert savers.do(CALL, 2, sender="neighbour") == 2


def test_requested_shares_go_on_as_a_members_until_the_cut(savers):
    request(savers, "saver")
    lose(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    kept = savers.read("Savings.totalAssets")
    mature(savers)
    assert leave(savers, "saver") - kept * 3 // 4 in (-1, 0)


def test_a_wipe_voids_the_batch_and_the_next_request_begins_another(junior):
    junior.do("Young.request_redeem", 1_000 * WAD * 10**6, sender="saver")
    bear(junior, "Young", 4_000 * WAD)
    assert junior.read("Young.queue") == (2, 2, 2)
    assert junior.read("Young.batch_of", 1)[4]
    save(junior, "newcomer", 100 * WAD, "Young")
    assert junior.do("Young.request_redeem", 1, sender="newcomer") == 2
    assert junior.do("Young.claim", 1, "saver", sender="stranger") == 0
    assert junior.read("Young.requested_shares", 1, "saver") == 0
    # The claims for what they bore are still theirs.
    assert 0 <= 1_000 * WAD - junior.read("Young.Claims.balanceOf", "saver") < 10**8


def test_only_shares_one_has_can_be_requested(savers):
    shares = savers.read("Savings.balanceOf", "saver")
    for amount in (shares + 1, 2**256 - 1):
        with reverts("shares: balance too small"):
            savers.do(CALL, amount, sender="saver")


def test_shares_in_escrow_cannot_be_moved(savers):
    request(savers, "saver")
    with reverts("shares: balance too small"):
        savers.do("Savings.transfer", "neighbour", 1, sender="saver")


def test_an_empty_request_is_refused(savers):
    with reverts("pool: empty request"):
        savers.do(CALL, 0, sender="saver")


def test_a_naive_pool_takes_no_requests(naive):
    with reverts("pool: no request needed"):
        naive.do(CALL, 1, sender="saver")

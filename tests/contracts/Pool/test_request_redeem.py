"""request_redeem: shares go into escrow, keep bearing losses, and mature after the cooldown."""

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.savings import XAU, leave, lose, mature, request

CALL = "Savings.request_redeem"
DAY = 86_400


def test_moves_the_shares_into_escrow(savers):
    shares = savers.read("Savings.balanceOf", "saver")
    savers.do(CALL, shares // 4, sender="saver")
    assert savers.read("Savings.balanceOf", "saver") == shares - shares // 4
    assert savers.read("Savings.balanceOf", "Savings") == shares // 4
    assert savers.read("Savings.requested_shares", "saver") == shares // 4
    assert savers.read("Savings.requested_at", "saver") == savers.timestamp


def test_says_when_it_matures(savers):
    savers.do(CALL, 7, sender="saver")
    requested = [log.values for log in savers.last.logs if log.event == "RedeemRequested"]
    assert requested == [(savers.address("saver"), 7, savers.timestamp + DAY)]


def test_adding_to_a_request_starts_its_clock_again(savers):
    savers.do(CALL, 5, sender="saver")
    mature(savers)
    assert savers.read("Savings.maxRedeem", "saver") == 5
    savers.do(CALL, 2, sender="saver")
    assert savers.read("Savings.maxRedeem", "saver") == 0
    mature(savers)
    assert savers.read("Savings.maxRedeem", "saver") == 7


def test_requested_shares_keep_bearing_losses(savers):
    request(savers, "saver")
    lose(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    mature(savers)
    assert leave(savers, "saver") < 30_000 * WAD


def test_each_owner_has_a_request_of_his_own(leavers):
    assert leavers.read("Savings.requested_shares", "saver") == 30_000 * WAD * 10**6
    assert leavers.read("Savings.requested_shares", "neighbour") == 10_000 * WAD * 10**6


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

"""cancel_request: escrowed shares come back, whole, at any time."""

import pytest

from tests.support.helpers import reverts
from tests.support.savings import mature, request

CALL = "Savings.cancel_request"
DAY = 86_400


@pytest.mark.parametrize("waited", [0, DAY - 1, DAY, 3 * DAY, 4 * DAY], ids=str)
def test_returns_all_requested_shares(savers, waited):
    shares = request(savers, "saver")
    savers.advance(waited)
    assert savers.do(CALL, sender="saver") == shares
    assert savers.read("Savings.balanceOf", "saver") == shares
    assert savers.read("Savings.balanceOf", "Savings") == 0
    assert savers.read("Savings.requested_shares", "saver") == 0
    assert savers.read("Savings.requested_at", "saver") == 0


def test_returns_what_was_not_redeemed(savers):
    shares = request(savers, "saver")
    mature(savers)
    savers.do("Savings.redeem", shares // 3, "saver", "saver", sender="saver")
    assert savers.do(CALL, sender="saver") == shares - shares // 3


def test_logs_it(savers):
    shares = request(savers, "saver")
    savers.do(CALL, sender="saver")
    cancelled = [log.values for log in savers.last.logs if log.event == "RequestCancelled"]
    assert cancelled == [(savers.address("saver"), shares)]


def test_nothing_can_be_claimed_after_it(savers):
    request(savers, "saver")
    mature(savers)
    savers.do(CALL, sender="saver")
    assert savers.read("Savings.maxRedeem", "saver") == 0


def test_leaves_the_requests_of_others_alone(leavers):
    before = leavers.read("Savings.requested_shares", "neighbour")
    leavers.do(CALL, sender="saver")
    assert leavers.read("Savings.requested_shares", "neighbour") == before


def test_without_a_request_there_is_nothing_to_cancel(savers):
    with reverts("pool: no request"):
        savers.do(CALL, sender="saver")

"""claim: each member of a batch gets a part of what it was paid, as often as it is paid."""

import pytest

from backstop.model.arithmetic import RAD, WAD
from tests.support.helpers import reverts
from tests.support.savings import bear, leave, lose, mature, request

CALL = "Savings.claim"


@pytest.fixture
def paid(leavers):
    """Both have left, in the first batch."""
    mature(leavers)
    leavers.do("Savings.settle", sender="stranger")
    return leavers


def test_pays_what_was_put_in(paid):
    for who, assets in (("saver", 30_000 * WAD), ("neighbour", 10_000 * WAD)):
        assert paid.read("Savings.claimable", 1, who) == assets
        assert paid.do(CALL, 1, who, sender="stranger") == assets
        assert paid.read("Stablecoin.balanceOf", who) == assets
        assert paid.read("Savings.requested_shares", 1, who) == paid.read("Savings.claimable", 1, who) == 0
    assert paid.read("Savings.totalSupply") == paid.read("Savings.totalAssets") == 0


def test_logs_it(paid):
    paid.do(CALL, 1, "saver", sender="stranger")
    saver, stranger = paid.address("saver"), paid.address("stranger")
    assert [log.values for log in paid.last.logs if log.event == "Claimed"] == [(saver, 1, 30_000 * WAD)]
    withdrawn = [log.values for log in paid.last.logs if log.event == "Withdraw"]
    assert withdrawn == [(stranger, saver, saver, 30_000 * WAD, 30_000 * WAD * 10**6)]


def test_once(paid):
    paid.do(CALL, 1, "saver", sender="saver")
    with reverts("pool: nothing requested"):
        paid.do(CALL, 1, "saver", sender="saver")
    with reverts("pool: nothing requested"):
        paid.do(CALL, 1, "stranger", sender="saver")


def test_in_parts_as_it_is_paid(junior):
    for who in ("saver", "neighbour"):
        request(junior, who, "Young")
    mature(junior, "Young")
    junior.do("Waterfall.claim", 400 * RAD, sender="stranger")
    assert 2_700 * WAD - leave(junior, "saver", "Young") in (0, 1)
    assert junior.do("Young.claim", 1, "saver", sender="saver") == 0
    bear(junior, "Young", 100 * WAD)
    junior.do("Waterfall.claim", 0, sender="stranger")
    assert 225 * WAD - leave(junior, "saver", "Young") in (0, 1)
    assert 975 * WAD - junior.do("Young.claim", 1, "neighbour", sender="stranger") in (0, 1)
    assert junior.read("Young.requested_shares", 1, "saver") == 0


def test_nothing_before_it_is_paid(leavers):
    assert leavers.do(CALL, 1, "saver", sender="saver") == 0
    mature(leavers)
    assert leavers.do(CALL, 1, "saver", sender="saver") == 0
    assert leavers.read("Savings.requested_shares", 1, "saver") == 30_000 * WAD * 10**6


def test_what_is_paid_waits_out_of_every_loss(paid):
    lose(paid)
    assert paid.read("Savings.capacity", 0) == 0
    assert paid.do(CALL, 1, "saver", sender="saver") == 30_000 * WAD


def test_a_token_that_returns_nothing_is_fine(protocol, silent_pool):
    request(protocol, "saver", silent_pool)
    mature(protocol, silent_pool)
    assert leave(protocol, "saver", silent_pool) == WAD
    assert protocol.read("SIL.balanceOf", "saver") == WAD

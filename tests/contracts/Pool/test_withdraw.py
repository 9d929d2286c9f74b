"""withdraw: exact assets for matured shares, rounded up."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.helpers import reverts
from tests.support.savings import exit, mature

CALL = "Savings.withdraw"
DAY = 86_400


def test_pays_exactly_what_is_asked(leavers):
    mature(leavers)
    assert leavers.do(CALL, 12_345 * WAD, "saver", "saver", sender="saver") == 12_345 * WAD * 10**6
    assert leavers.read("Stablecoin.balanceOf", "saver") == 12_345 * WAD
    assert leavers.read("Savings.totalAssets") == 27_655 * WAD


def test_shares_are_rounded_up(pending):
    mature(pending)
    supply = pending.read("Savings.totalSupply")
    shares = pending.do(CALL, 1, "saver", "saver", sender="saver")
    assert shares > 10**6
    assert pending.read("Savings.totalSupply") == supply - shares


def test_all_that_may_be_withdrawn_can_be(pending):
    mature(pending)
    most = pending.read("Savings.maxWithdraw", "saver")
    assert most == exit(pending, 30_000 * WAD * 10**6)
    pending.do(CALL, most, "saver", "saver", sender="saver")
    assert pending.read("Savings.maxWithdraw", "saver") == 0


def test_not_a_wei_more(pending):
    mature(pending)
    most = pending.read("Savings.maxWithdraw", "saver")
    for assets in (most + 1, MAX_UINT256):
        with reverts("pool: more than max withdraw"):
            pending.do(CALL, assets, "saver", "saver", sender="saver")


@pytest.mark.parametrize("waited", [0, DAY - 1, 3 * DAY + 1], ids=str)
def test_not_before_the_cooldown_nor_after_the_window(leavers, waited):
    leavers.advance(waited)
    with reverts("pool: more than max withdraw"):
        leavers.do(CALL, 1, "saver", "saver", sender="saver")


def test_pays_the_receiver_and_logs_it(leavers):
    mature(leavers)
    shares = leavers.do(CALL, WAD, "stranger", "saver", sender="saver")
    assert leavers.read("Stablecoin.balanceOf", "stranger") == WAD
    saver, stranger = leavers.address("saver"), leavers.address("stranger")
    withdrawn = [log.values for log in leavers.last.logs if log.event == "Withdraw"]
    assert withdrawn == [(saver, stranger, saver, WAD, shares)]


def test_a_spender_of_the_shares_may_withdraw(leavers):
    mature(leavers)
    with reverts("shares: allowance too small"):
        leavers.do(CALL, WAD, "stranger", "saver", sender="stranger")
    leavers.do("Savings.approve", "stranger", WAD * 10**6, sender="saver")
    leavers.do(CALL, WAD, "stranger", "saver", sender="stranger")
    assert leavers.read("Savings.allowance", "saver", "stranger") == 0


def test_nothing_is_refused(leavers):
    mature(leavers)
    with reverts("pool: no assets"):
        leavers.do(CALL, 0, "saver", "saver", sender="saver")


def test_a_naive_pool_pays_at_once(naive):
    assert naive.do(CALL, 30_000 * WAD, "saver", "saver", sender="saver") == 30_000 * WAD * 10**6

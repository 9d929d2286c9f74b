"""maxDeposit, maxMint, maxWithdraw, maxRedeem: what would succeed now."""

from backstop.model.arithmetic import WAD
from tests.support.savings import exit, mature

DAY = 86_400


def test_entry_is_limited_by_what_can_be_booked(savers):
    most = 2**96 - 1 - 40_000 * WAD
    assert savers.read("Savings.maxDeposit", "saver") == most
    assert savers.read("Savings.maxMint", "saver") == most * 10**6


def test_exits_need_a_matured_request(leavers):
    for waited, shares in (
        (0, 0),
        (DAY - 1, 0),
        (1, 30_000 * WAD * 10**6),
        (2 * DAY, 30_000 * WAD * 10**6),
        (1, 0),
    ):
        leavers.advance(waited)
        assert leavers.read("Savings.maxRedeem", "saver") == shares
        assert leavers.read("Savings.maxWithdraw", "saver") == shares // 10**6


def test_shares_that_are_not_requested_do_not_count(savers):
    mature(savers)
    assert savers.read("Savings.maxRedeem", "saver") == 0
    assert savers.read("Savings.maxWithdraw", "saver") == 0


def test_assets_are_those_of_the_exit_price(pending):
    mature(pending)
    shares = pending.read("Savings.maxRedeem", "saver")
    assert shares == 30_000 * WAD * 10**6
    assert pending.read("Savings.maxWithdraw", "saver") == exit(pending, shares) < 30_000 * WAD


def test_nobody_else_has_any(leavers):
    mature(leavers)
    assert leavers.read("Savings.maxRedeem", "stranger") == 0
    assert leavers.read("Savings.maxWithdraw", "stranger") == 0


def test_a_naive_pool_has_no_clock(naive):
    assert naive.read("Savings.maxRedeem", "saver") == naive.read("Savings.balanceOf", "saver")
    assert naive.read("Savings.maxWithdraw", "saver") == 30_000 * WAD

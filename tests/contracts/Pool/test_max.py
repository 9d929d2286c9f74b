"""maxDeposit, maxMint, maxWithdraw, maxRedeem: the largest amounts that would succeed now."""

from backstop.model.arithmetic import WAD
from tests.support.saver_steps import compute_exit_assets, cut_batch_and_wait_cooldown, deposit_savings


def test_entry_is_limited_by_what_can_be_booked(savers):
    most = 2**96 - 1 - 40_000 * WAD
    assert savers.read("Savings.maxDeposit", "saver") == most
    assert savers.read("Savings.maxMint", "saver") == most * 10**6


def test_only_what_was_paid_is_redeemed_where_leaving_takes_a_request(leavers):
    deposit_savings(leavers, "newcomer", 5 * WAD)
    cut_batch_and_wait_cooldown(leavers)
    for who in ("saver", "neighbour", "newcomer"):
        assert leavers.read("Savings.maxRedeem", who) == leavers.read("Savings.maxWithdraw", who) == 0
    leavers.do("Savings.settle", sender="stranger")
    for who, assets in (("saver", 30_000 * WAD), ("neighbour", 10_000 * WAD), ("newcomer", 0)):
        assert leavers.read("Savings.maxRedeem", who) == assets * 10**6
        assert leavers.read("Savings.maxWithdraw", who) == assets


def test_assets_are_those_of_the_exit_price(naive_pending):
    shares = naive_pending.read("Savings.maxRedeem", "saver")
    assert shares == 30_000 * WAD * 10**6
    most = naive_pending.read("Savings.maxWithdraw", "saver")
    assert most == compute_exit_assets(naive_pending, shares) < 30_000 * WAD


def test_nobody_else_has_any(leavers):
    cut_batch_and_wait_cooldown(leavers)
    assert leavers.read("Savings.maxRedeem", "stranger") == 0
    assert leavers.read("Savings.maxWithdraw", "stranger") == 0


def test_a_naive_pool_has_no_clock(naive):
    assert naive.read("Savings.maxRedeem", "saver") == naive.read("Savings.balanceOf", "saver")
    assert naive.read("Savings.maxWithdraw", "saver") == 30_000 * WAD

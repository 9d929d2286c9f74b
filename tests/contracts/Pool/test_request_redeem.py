"""requestRedeem: shares are committed to the batch that collects; there is no way back."""

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    DAY,
    XAU,
    charge_pool,
    claim_requests,
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    lose_new_vault,
    read_requested_shares,
    redeem_all_shares,
    request_all_shares,
)

CALL = "Savings.requestRedeem"


def test_moves_the_shares_into_escrow(savers):
    shares = savers.read("Savings.balanceOf", "saver")
    assert savers.do(CALL, shares // 4, "saver", "saver", sender="saver") == 1
    assert savers.read("Savings.balanceOf", "saver") == shares - shares // 4
    assert savers.read("Savings.balanceOf", "Savings") == shares // 4
    assert read_requested_shares(savers, "saver") == shares // 4
    assert savers.read("Savings.batch_of", 1) == (shares // 4, savers.timestamp, 0, 0, False)
    saver = savers.address("saver")
    logs = [log.values for log in savers.last.logs if log.event == "RedeemRequest"]
    assert logs == [(saver, saver, 1, saver, shares // 4)]


def test_the_batch_counts_its_day_from_the_first_request(savers):
    savers.do(CALL, 5, "saver", "saver", sender="saver")
    first = savers.timestamp
    savers.advance(DAY - 1)
    savers.do(CALL, 2, "saver", "saver", sender="saver")
    savers.do(CALL, 3, "neighbour", "neighbour", sender="neighbour")
    assert savers.read("Savings.batch_of", 1)[:2] == (10, first)
    assert read_requested_shares(savers, "saver") == 7


def test_a_batch_that_nobody_has_cut_goes_on_collecting(savers):
    savers.do(CALL, 5, "saver", "saver", sender="saver")
    savers.advance(2 * DAY)
    assert savers.do(CALL, 2, "neighbour", "neighbour", sender="neighbour") == 1
    cut_batch(savers)
    assert savers.do(CALL, 2, "neighbour", "neighbour", sender="neighbour") == 2


def test_requested_shares_go_on_as_a_members_until_the_cut(savers):
    request_all_shares(savers, "saver")
    lose_new_vault(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    kept = savers.read("Savings.totalAssets")
    cut_batch_and_wait_cooldown(savers)
    assert redeem_all_shares(savers, "saver") - kept * 3 // 4 in (-1, 0)


def test_a_wipe_voids_requests_and_the_next_one_begins_the_batch_anew(junior):
    junior.do("Young.requestRedeem", 1_000 * WAD * 10**6, "saver", "saver", sender="saver")
    charge_pool(junior, "Young", 4_000 * WAD)
    junior.advance(DAY)
    assert junior.read("Young.queue") == (1, 1, 1)
    with reverts("pool: no requests"):
        junior.do("Young.cut", sender="stranger")
    deposit_savings(junior, "newcomer", 100 * WAD, "Young")
    assert junior.do("Young.requestRedeem", 7, "newcomer", "newcomer", sender="newcomer") == 1
    assert junior.read("Young.batch_of", 1)[:2] == (7, junior.timestamp)
    assert read_requested_shares(junior, "saver", pool="Young") == 0
    cut_batch_and_wait_cooldown(junior, "Young")
    junior.do("Young.settle", sender="stranger")
    assert claim_requests(junior, "saver", "Young") == 0
    # The claims for what they bore are still theirs.
    assert 0 <= 1_000 * WAD - junior.read("Young.Claims.balanceOf", "saver") < 10**8


def test_only_shares_one_has_can_be_requested(savers):
    shares = savers.read("Savings.balanceOf", "saver")
    for amount in (shares + 1, 2**256 - 1):
        with reverts("shares: balance too small"):
            savers.do(CALL, amount, "saver", "saver", sender="saver")


def test_shares_in_escrow_cannot_be_moved(savers):
    request_all_shares(savers, "saver")
    with reverts("shares: balance too small"):
        savers.do("Savings.transfer", "neighbour", 1, sender="saver")


def test_an_empty_request_is_refused(savers):
    with reverts("pool: empty request"):
        savers.do(CALL, 0, "saver", "saver", sender="saver")


def test_a_naive_pool_takes_no_requests(naive):
    with reverts("pool: no request needed"):
        naive.do(CALL, 1, "saver", "saver", sender="saver")


def test_the_request_is_the_controllers(savers):
    """A controller that approved the owner: strangers' dust would stand before its own requests."""
    with reverts("pool: not for this controller"):
        savers.do(CALL, 7, "neighbour", "saver", sender="saver")
    # It is the controller's word that counts.
    savers.do("Savings.setOperator", "neighbour", True, sender="saver")
    with reverts("pool: not for this controller"):
        savers.do(CALL, 7, "neighbour", "saver", sender="saver")
    savers.do("Savings.setOperator", "saver", True, sender="neighbour")
    assert savers.do(CALL, 7, "neighbour", "saver", sender="saver") == 1
    assert read_requested_shares(savers, "neighbour") == 7 and read_requested_shares(savers, "saver") == 0
    logs = [log.values for log in savers.last.logs if log.event == "RedeemRequest"]
    saver, neighbour = savers.address("saver"), savers.address("neighbour")
    assert logs == [(neighbour, saver, 1, saver, 7)]


def test_an_operator_may_request_and_a_spender_as_far_as_allowed(savers):
    with reverts("shares: allowance too small"):
        savers.do(CALL, 7, "stranger", "saver", sender="stranger")
    savers.do("Savings.approve", "stranger", 10, sender="saver")
    savers.do(CALL, 7, "stranger", "saver", sender="stranger")
    assert savers.read("Savings.allowance", "saver", "stranger") == 3
    savers.do("Savings.setOperator", "stranger", True, sender="saver")
    savers.do(CALL, 1_000, "stranger", "saver", sender="stranger")
    assert savers.read("Savings.allowance", "saver", "stranger") == 3
    assert read_requested_shares(savers, "stranger") == 1_007


def test_nobody_and_the_pool_itself_are_no_controllers(savers):
    for controller in (ZERO_ADDRESS, "Savings"):
        with reverts("shares: bad receiver"):
            savers.do(CALL, 7, controller, "saver", sender="saver")


def test_shares_that_wait_are_pending(savers):
    request_all_shares(savers, "saver")
    shares = 30_000 * WAD * 10**6
    for wait in (cut_batch, lambda pool: pool.advance(2 * DAY)):
        assert savers.read("Savings.pendingRedeemRequest", 1, "saver") == shares
        assert savers.read("Savings.claimableRedeemRequest", 1, "saver") == 0
        assert savers.read("Savings.maxRedeem", "saver") == savers.read("Savings.maxWithdraw", "saver") == 0
        wait(savers)
    savers.do("Savings.settle", sender="stranger")
    assert savers.read("Savings.pendingRedeemRequest", 1, "saver") == 0
    assert savers.read("Savings.claimableRedeemRequest", 1, "saver") == shares
    assert savers.read("Savings.pendingRedeemRequest", 9, "saver") == 0

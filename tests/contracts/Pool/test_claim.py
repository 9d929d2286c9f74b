"""redeem and withdraw with withdrawal requests: each controller gets its part of the batches' payments."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import RAD, WAD
from backstop.model.redeem_queue import MOST_AT_ONCE
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    DAY,
    charge_pool,
    claim_requests,
    cut_batch,
    cut_batch_and_wait_cooldown,
    lose_new_vault,
    read_requested_shares,
    redeem_all_shares,
    request_all_shares,
)

SHARE = 10**6
ALL = 30_000 * WAD * SHARE


@pytest.fixture
def paid(leavers):
    """Both have left, in the first batch."""
    cut_batch_and_wait_cooldown(leavers)
    leavers.do("Savings.settle", sender="stranger")
    return leavers


@pytest.fixture
def partly(junior):
    """Young's first batch, of 3,000 and 1,000; a tenth is known to be lost, not yet: 85% are paid."""
    for who in ("saver", "neighbour"):
        request_all_shares(junior, who, "Young")
    cut_batch_and_wait_cooldown(junior, "Young")
    junior.do("Waterfall.claim", 400 * RAD, sender="stranger")
    junior.do("Young.settle", sender="stranger")
    return junior


def test_pays_what_was_put_in(paid):
    for who, assets in (("saver", 30_000 * WAD), ("neighbour", 10_000 * WAD)):
        assert paid.read("Savings.maxWithdraw", who) == assets
        assert paid.read("Savings.maxRedeem", who) == assets * SHARE
        assert claim_requests(paid, who) == assets
        assert paid.read("Stablecoin.balanceOf", who) == assets
        assert read_requested_shares(paid, who) == paid.read("Savings.maxWithdraw", who) == 0
    assert paid.read("Savings.totalSupply") == paid.read("Savings.totalAssets") == 0


def test_pays_the_receiver_and_logs_it(paid):
    paid.do("Savings.redeem", ALL, "stranger", "saver", sender="saver")
    saver, stranger = paid.address("saver"), paid.address("stranger")
    withdrawn = [log.values for log in paid.last.logs if log.event == "Withdraw"]
    assert withdrawn == [(saver, stranger, saver, 30_000 * WAD, ALL)]
    assert paid.read("Stablecoin.balanceOf", "stranger") == 30_000 * WAD


def test_only_the_controller_and_its_operators_claim(paid):
    """Nothing is pushed: in ERC-7540 the controller pulls the payment, and chooses its receiver."""
    for call in ("redeem", "withdraw"):
        with reverts("pool: not controller"):
            paid.do(f"Savings.{call}", 7, "stranger", "saver", sender="stranger")
    # An allowance over shares is none over what was paid for them.
    paid.do("Savings.approve", "stranger", ALL, sender="saver")
    with reverts("pool: not controller"):
        paid.do("Savings.redeem", SHARE, "stranger", "saver", sender="stranger")
    paid.do("Savings.setOperator", "stranger", True, sender="saver")
    assert paid.do("Savings.redeem", ALL, "stranger", "saver", sender="stranger") == 30_000 * WAD


def test_in_parts_by_shares_and_by_assets(paid):
    assert paid.do("Savings.redeem", ALL // 3, "saver", "saver", sender="saver") == 10_000 * WAD
    assert paid.read("Savings.claimableRedeemRequest", 1, "saver") == 2 * ALL // 3
    assert paid.do("Savings.withdraw", 5_000 * WAD + 1, "saver", "saver", sender="saver") == ALL // 6 + SHARE
    assert claim_requests(paid, "saver") == 15_000 * WAD - 1
    assert paid.read("Stablecoin.balanceOf", "saver") == 30_000 * WAD


def test_a_part_of_a_share_pays_nothing_and_takes_nothing_from_the_rest(paid):
    assert paid.do("Savings.redeem", 1, "saver", "saver", sender="saver") == 0
    assert claim_requests(paid, "saver") == 30_000 * WAD


def test_not_more_than_was_paid(paid):
    for call, most in (("redeem", ALL), ("withdraw", 30_000 * WAD)):
        with reverts("pool: more than max"):
            paid.do(f"Savings.{call}", most + 1, "saver", "saver", sender="saver")
    claim_requests(paid, "saver")
    for call in ("redeem", "withdraw"):
        with reverts("pool: more than max"):
            paid.do(f"Savings.{call}", 1, "saver", "saver", sender="saver")


def test_as_much_is_claimable_as_was_paid_at_the_batchs_price(partly):
    """2,550 of 3,000 are paid: 85% of the shares, and all of the same request at one price."""
    part = 2_550 * WAD * SHARE
    assert 0 <= part - partly.read("Young.claimableRedeemRequest", 1, "saver") < 10**7
    assert partly.read("Young.maxRedeem", "saver") == partly.read("Young.claimableRedeemRequest", 1, "saver")
    waits = partly.read("Young.pendingRedeemRequest", 1, "saver")
    assert waits + partly.read("Young.maxRedeem", "saver") == 3_000 * WAD * SHARE
    # Whoever claims early and whoever claims late get the same for a share.
    assert 2_550 * WAD - claim_requests(partly, "saver", "Young") in (0, 1)
    assert claim_requests(partly, "saver", "Young") == 0
    assert partly.read("Young.pendingRedeemRequest", 1, "saver") == waits
    charge_pool(partly, "Young", 100 * WAD)
    partly.do("Waterfall.claim", 0, sender="stranger")
    assert 375 * WAD - redeem_all_shares(partly, "saver", "Young") in (0, 1)
    assert 975 * WAD - claim_requests(partly, "neighbour", "Young") in (0, 1)
    assert read_requested_shares(partly, "saver", pool="Young") == 0


def test_nothing_before_it_is_paid(leavers):
    for wait in (cut_batch, lambda pool: pool.advance(2 * DAY)):
        with reverts("pool: more than max"):
            leavers.do("Savings.redeem", 1, "saver", "saver", sender="saver")
        wait(leavers)
    assert claim_requests(leavers, "saver") == 0
    assert read_requested_shares(leavers, "saver") == ALL


def test_what_is_paid_waits_out_of_every_loss(paid):
    lose_new_vault(paid)
    assert paid.read("Savings.capacity", 0) == 0
    assert claim_requests(paid, "saver") == 30_000 * WAD


def test_the_oldest_batch_first_and_several_at_once(savers):
    for _ in range(3):
        savers.do("Savings.requestRedeem", ALL // 3, "saver", "saver", sender="saver")
        cut_batch(savers)
    savers.advance(2 * DAY)
    savers.do("Savings.settle", sender="stranger")
    assert savers.read("Savings.maxRedeem", "saver") == ALL
    assert savers.do("Savings.redeem", ALL // 2, "saver", "saver", sender="saver") == 15_000 * WAD
    left = [savers.read("Savings.claimableRedeemRequest", batch, "saver") for batch in (1, 2, 3)]
    assert left == [0, ALL // 6, ALL // 3]
    assert savers.do("Savings.withdraw", 12_000 * WAD, "saver", "saver", sender="saver") == 2 * ALL // 5
    assert savers.read("Savings.maxWithdraw", "saver") == 3_000 * WAD
    # A new request goes behind what is left, and once all is claimed it is the first.
    savers.do("Savings.setOperator", "neighbour", True, sender="saver")
    savers.do("Savings.requestRedeem", ALL // 3, "saver", "neighbour", sender="neighbour")
    assert claim_requests(savers, "saver") == 3_000 * WAD
    cut_batch_and_wait_cooldown(savers)
    savers.do("Savings.settle", sender="stranger")
    assert claim_requests(savers, "saver") == 10_000 * WAD


def test_a_batch_that_lost_all_is_claimed_for_nothing_with_its_claims(junior):
    request_all_shares(junior, "saver", "Young")
    cut_batch(junior, "Young")
    charge_pool(junior, "Young", 4_000 * WAD)
    shares = 3_000 * WAD * SHARE
    assert junior.read("Young.maxRedeem", "saver") == shares
    assert junior.read("Young.maxWithdraw", "saver") == 0
    assert junior.do("Young.redeem", shares, "saver", "saver", sender="saver") == 0
    assert 0 <= 3_000 * WAD - junior.read("Young.Claims.balanceOf", "saver") < 10**8
    assert junior.read("Young.maxRedeem", "saver") == 0


def test_requests_in_many_batches_are_claimed_in_several_calls(savers):
    """One call visits a bounded number of batches; only an operator can make the requests so many."""
    savers.do("Savings.requestRedeem", ALL, "saver", "saver", sender="saver")
    savers.do("Savings.setOperator", "neighbour", True, sender="saver")
    for _ in range(MOST_AT_ONCE + 3):
        cut_batch(savers)
        savers.advance(2 * DAY)
        savers.do("Savings.settle", sender="stranger")
        savers.do("Savings.requestRedeem", 1, "saver", "neighbour", sender="neighbour")
    assert savers.read("Savings.maxRedeem", "saver") == ALL + MOST_AT_ONCE - 1
    assert claim_requests(savers, "saver") == 30_000 * WAD
    assert claim_requests(savers, "saver") == 0
    assert savers.read("Savings.maxRedeem", "saver") == 0
    assert read_requested_shares(savers, "saver", MOST_AT_ONCE + 4) == 1


def test_not_to_the_zero_address(paid):
    with reverts("erc20: transfer to the zero address"):
        paid.do("Savings.redeem", ALL, ZERO_ADDRESS, "saver", sender="saver")


def test_a_token_that_returns_nothing_is_fine(protocol, silent_pool):
    request_all_shares(protocol, "saver", silent_pool)
    cut_batch_and_wait_cooldown(protocol, silent_pool)
    assert redeem_all_shares(protocol, "saver", silent_pool) == WAD
    assert protocol.read("SIL.balanceOf", "saver") == WAD

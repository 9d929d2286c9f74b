"""redeem: matured shares for assets, rounded down, at the price that recognised losses will leave."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.state import ZERO_ADDRESS
from tests.support.helpers import reverts
from tests.support.savings import XAU, exit, leave, lose, mature, request, save

CALL = "Savings.redeem"
DAY = 86_400


def test_pays_what_was_put_in(leavers):
    mature(leavers)
    assert leave(leavers, "saver") == 30_000 * WAD
    assert leavers.read("Stablecoin.balanceOf", "saver") == 30_000 * WAD
    assert leavers.read("Savings.totalAssets") == 10_000 * WAD
    assert leavers.read("Savings.requested_shares", "saver") == 0


def test_burns_the_shares_from_escrow(leavers):
    mature(leavers)
    supply = leavers.read("Savings.totalSupply")
    leavers.do(CALL, 10**24, "saver", "saver", sender="saver")
    assert leavers.read("Savings.totalSupply") == supply - 10**24
    assert leavers.read("Savings.requested_shares", "saver") == 30_000 * WAD * 10**6 - 10**24


def test_pays_the_receiver_and_logs_it(leavers):
    mature(leavers)
    assets = leavers.do(CALL, 10**24, "stranger", "saver", sender="saver")
    assert leavers.read("Stablecoin.balanceOf", "stranger") == assets
    saver, stranger = leavers.address("saver"), leavers.address("stranger")
    withdrawn = [log.values for log in leavers.last.logs if log.event == "Withdraw"]
    assert withdrawn == [(saver, stranger, saver, assets, 10**24)]


@pytest.mark.parametrize("waited", [0, DAY - 1, 3 * DAY + 1], ids=str)
def test_not_before_the_cooldown_nor_after_the_window(leavers, waited):
    leavers.advance(waited)
    with reverts("pool: more than max redeem"):
        leavers.do(CALL, 10**24, "saver", "saver", sender="saver")


@pytest.mark.parametrize("waited", [DAY, 3 * DAY], ids=str)
def test_from_the_cooldown_to_the_end_of_the_window(leavers, waited):
    leavers.advance(waited)
    assert leave(leavers, "saver") == 30_000 * WAD


def test_a_lapsed_request_can_be_made_again(leavers):
    leavers.advance(4 * DAY)
    leavers.do("Savings.cancel_request", sender="saver")
    request(leavers, "saver")
    mature(leavers)
    assert leave(leavers, "saver") == 30_000 * WAD


def test_shares_that_were_not_requested_stay(savers):
    savers.do("Savings.request_redeem", 10**24, sender="saver")
    mature(savers)
    with reverts("pool: more than max redeem"):
        savers.do(CALL, 10**24 + 1, "saver", "saver", sender="saver")


def test_a_spender_of_the_shares_may_redeem(leavers):
    mature(leavers)
    leavers.do("Savings.approve", "stranger", 10**24, sender="saver")
    leavers.do(CALL, 10**24, "stranger", "saver", sender="stranger")
    assert leavers.read("Savings.allowance", "saver", "stranger") == 0
    with reverts("shares: allowance too small"):
        leavers.do(CALL, 1 + 10**7, "stranger", "saver", sender="stranger")


def test_an_uncovered_loss_lowers_the_claim(pending):
    mature(pending)
    shares = pending.read("Savings.maxRedeem", "saver")
    expected = exit(pending, shares)
    assert 0 < expected < 30_000 * WAD
    assert pending.do(CALL, shares, "saver", "saver", sender="saver") == expected


def test_what_is_forfeited_stays_for_those_who_bear_the_loss(pending):
    mature(pending)
    worth = pending.read("Savings.previewRedeem", pending.read("Savings.requested_shares", "neighbour"))
    leave(pending, "saver")
    assert leave(pending, "neighbour") - worth in (0, 1)


def test_shares_worth_nothing_are_not_burned(pending):
    mature(pending)
    with reverts("pool: no assets"):
        pending.do(CALL, 0, "saver", "saver", sender="saver")
    with reverts("pool: no assets"):
        pending.do(CALL, 10**6, "saver", "saver", sender="saver")


def test_a_round_trip_never_pays(savers):
    """Also not from a share price that is not round."""
    lose(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    for assets in (1, 2, 3, 10**6 + 1, 12_345 * WAD + 6_789):
        newcomer = f"newcomer_{assets}"
        save(savers, newcomer, assets)
        shares = request(savers, newcomer)
        mature(savers)
        worth = savers.read("Savings.previewRedeem", shares)
        assert worth <= assets
        if worth:
            assert savers.do(CALL, shares, newcomer, newcomer, sender=newcomer) == worth


def test_the_last_saver_leaves_only_dust(leavers):
    mature(leavers)
    leave(leavers, "saver")
    leave(leavers, "neighbour")
    assert leavers.read("Savings.totalSupply") == 0
    assert leavers.read("Savings.totalAssets") <= 1


def test_a_naive_pool_pays_at_once(naive):
    shares = naive.read("Savings.balanceOf", "saver")
    assert naive.do(CALL, shares, "saver", "saver", sender="saver") == 30_000 * WAD
    assert naive.read("Savings.totalSupply") == 0


def test_a_naive_pool_pays_no_more_than_one_has(naive):
    with reverts("pool: more than max redeem"):
        naive.do(CALL, naive.read("Savings.balanceOf", "saver") + 1, "saver", "saver", sender="saver")


def test_not_to_the_zero_address(leavers):
    mature(leavers)
    with reverts("erc20: transfer to the zero address"):
        leavers.do(CALL, 10**24, ZERO_ADDRESS, "saver", sender="saver")


def test_an_absurd_amount_is_refused(leavers):
    mature(leavers)
    with reverts("pool: more than max redeem"):
        leavers.do(CALL, MAX_UINT256, "saver", "saver", sender="saver")


def test_a_token_that_returns_nothing_is_fine(protocol, silent_pool):
    shares = request(protocol, "saver", silent_pool)
    protocol.advance(86_400)
    assert protocol.do(f"{silent_pool}.redeem", shares, "saver", "saver", sender="saver") == WAD
    assert protocol.read("SIL.balanceOf", "saver") == WAD

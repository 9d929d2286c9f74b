"""redeem: shares for assets without a cooldown, rounded down, at the price that known losses will leave."""

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    XAU,
    compute_exit_assets,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    redeem_all_shares,
)

CALL = "Savings.redeem"


def test_pays_what_was_put_in(naive):
    assert redeem_all_shares(naive, "saver") == 30_000 * WAD
    assert naive.read("Stablecoin.balanceOf", "saver") == 30_000 * WAD
    assert naive.read("Savings.totalAssets") == 10_000 * WAD
    assert naive.read("Savings.totalSupply") == 10_000 * WAD * 10**6


def test_pays_the_receiver_and_logs_it(naive):
    assets = naive.do(CALL, 10**24, "stranger", "saver", sender="saver")
    assert naive.read("Stablecoin.balanceOf", "stranger") == assets
    saver, stranger = naive.address("saver"), naive.address("stranger")
    withdrawn = [log.values for log in naive.last.logs if log.event == "Withdraw"]
    assert withdrawn == [(saver, stranger, saver, assets, 10**24)]


def test_a_spender_of_the_shares_may_redeem(naive):
    naive.do("Savings.approve", "stranger", 10**24, sender="saver")
    naive.do(CALL, 10**24, "stranger", "saver", sender="stranger")
    assert naive.read("Savings.allowance", "saver", "stranger") == 0
    with reverts("shares: allowance too small"):
        naive.do(CALL, 1 + 10**7, "stranger", "saver", sender="stranger")


def test_an_uncovered_loss_lowers_the_claim(naive_pending):
    shares = naive_pending.read("Savings.maxRedeem", "saver")
    expected = compute_exit_assets(naive_pending, shares)
    assert 0 < expected < 30_000 * WAD
    assert naive_pending.do(CALL, shares, "saver", "saver", sender="saver") == expected


def test_what_is_forfeited_stays_for_those_who_bear_the_loss(naive_pending):
    shares = naive_pending.read("Savings.balanceOf", "neighbour")
    worth = naive_pending.read("Savings.previewRedeem", shares)
    redeem_all_shares(naive_pending, "saver")
    assert redeem_all_shares(naive_pending, "neighbour") - worth in (0, 1)


def test_shares_worth_nothing_are_not_burned(naive_pending):
    with reverts("pool: no assets"):
        naive_pending.do(CALL, 0, "saver", "saver", sender="saver")
    with reverts("pool: no assets"):
        naive_pending.do(CALL, 10**6, "saver", "saver", sender="saver")


def test_where_leaving_takes_a_request_nothing_is_redeemed_before_it_is_paid(leavers):
    cut_batch_and_wait_cooldown(leavers)
    with reverts("pool: more than max"):
        leavers.do(CALL, 10**24, "saver", "saver", sender="saver")


def test_a_round_trip_never_pays(naive_pending):
    """Also not from a share price that is not round."""
    naive_pending.do("LossWaterfall.cover", XAU, sender="stranger")
    for assets in (1, 2, 3, 10**6 + 1, 12_345 * WAD + 6_789):
        newcomer = f"newcomer_{assets}"
        shares = deposit_savings(naive_pending, newcomer, assets)
        worth = naive_pending.read("Savings.previewRedeem", shares)
        assert worth <= assets
        if worth:
            assert naive_pending.do(CALL, shares, newcomer, newcomer, sender=newcomer) == worth


def test_the_last_saver_leaves_only_dust(naive):
    redeem_all_shares(naive, "saver")
    redeem_all_shares(naive, "neighbour")
    assert naive.read("Savings.totalSupply") == 0
    assert naive.read("Savings.totalAssets") <= 1


def test_a_naive_pool_pays_no_more_than_one_has(naive):
    with reverts("shares: balance too small"):
        naive.do(CALL, naive.read("Savings.balanceOf", "saver") + 1, "saver", "saver", sender="saver")


def test_not_to_the_zero_address(naive):
    with reverts("erc20: transfer to the zero address"):
        naive.do(CALL, 10**24, ZERO_ADDRESS, "saver", sender="saver")


def test_an_absurd_amount_is_refused(naive):
    with reverts(""):
        naive.do(CALL, MAX_UINT256, "saver", "saver", sender="saver")

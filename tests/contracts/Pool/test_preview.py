"""previewDeposit, previewMint, previewWithdraw, previewRedeem: exactly what the calls then do."""

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    XAU,
    compute_entry_shares,
    compute_exit_assets,
    give_stablecoin,
    lose_new_vault,
)

AMOUNT = 1_234 * WAD + 567


def test_deposit(savers):
    lose_new_vault(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    preview = savers.read("Savings.previewDeposit", AMOUNT)
    assert preview == compute_entry_shares(savers, AMOUNT)
    give_stablecoin(savers, "newcomer", AMOUNT)
    savers.do("Stablecoin.approve", "Savings", AMOUNT, sender="newcomer")
    assert savers.do("Savings.deposit", AMOUNT, "newcomer", sender="newcomer") == preview


def test_mint(savers):
    lose_new_vault(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    shares = AMOUNT * 10**6 + 1
    preview = savers.read("Savings.previewMint", shares)
    assert compute_entry_shares(savers, preview - 1) < shares <= compute_entry_shares(savers, preview)
    give_stablecoin(savers, "newcomer", preview)
    savers.do("Stablecoin.approve", "Savings", MAX_UINT256, sender="newcomer")
    assert savers.do("Savings.mint", shares, "newcomer", sender="newcomer") == preview


def test_withdraw(naive_pending):
    preview = naive_pending.read("Savings.previewWithdraw", AMOUNT)
    assert (
        compute_exit_assets(naive_pending, preview - 1)
        < AMOUNT
        <= compute_exit_assets(naive_pending, preview)
    )
    assert naive_pending.do("Savings.withdraw", AMOUNT, "saver", "saver", sender="saver") == preview


def test_redeem(naive_pending):
    shares = AMOUNT * 10**6 + 1
    preview = naive_pending.read("Savings.previewRedeem", shares)
    assert preview == compute_exit_assets(naive_pending, shares)
    assert naive_pending.do("Savings.redeem", shares, "saver", "saver", sender="saver") == preview


def test_no_exit_is_previewed_where_it_takes_a_request(savers):
    for call in ("previewRedeem", "previewWithdraw"):
        with reverts("pool: request first"):
            savers.read(f"Savings.{call}", 10**6)


def test_an_empty_pool_has_previews(protocol):
    assert protocol.read("Savings.previewDeposit", 7) == 7 * 10**6
    assert protocol.read("Savings.previewMint", 1) == 1

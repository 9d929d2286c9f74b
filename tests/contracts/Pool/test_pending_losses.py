"""pending_losses: the assets that recognised losses will take once they are covered."""

from backstop.model.arithmetic import RAD, WAD
from tests.support.saver_steps import (
    XAU,
    compute_known_losses,
    create_additional_pool,
    deposit_savings,
    lose_new_vault,
)


def test_none_while_there_is_no_deficit(savers):
    assert savers.read("Savings.pending_losses") == 0


def test_what_passes_the_buffer_and_the_reserve_rounded_up(savers):
    savers.earn_fees("XAU")
    deficit = lose_new_vault(savers)
    pending = savers.read("Savings.pending_losses")
    assert pending == compute_known_losses(savers)
    assert 0 < pending < deficit // 10**27


def test_is_what_the_cover_takes(savers):
    lose_new_vault(savers)
    pending, booked = savers.read("Savings.pending_losses"), savers.read("Savings.totalAssets")
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    assert savers.read("Savings.totalAssets") == booked - pending
    assert savers.read("Savings.pending_losses") == 0


def test_counts_the_losses_of_all_types(savers):
    lose_new_vault(savers)
    one = savers.read("Savings.pending_losses")
    lose_new_vault(savers, "WBTC")
    assert savers.read("Savings.pending_losses") == compute_known_losses(savers)
    assert savers.read("Savings.pending_losses") > one + 9_000 * WAD


def test_never_more_than_the_assets(protocol):
    deposit_savings(protocol, "saver", 100 * WAD)
    assert lose_new_vault(protocol) > 200 * RAD
    assert protocol.read("Savings.pending_losses") == 100 * WAD


def test_a_pool_that_is_no_stage_bears_nothing(protocol):
    deposit_savings(protocol, "saver", 100 * WAD, create_additional_pool(protocol))
    lose_new_vault(protocol)
    assert protocol.read("Made.pending_losses") == 0

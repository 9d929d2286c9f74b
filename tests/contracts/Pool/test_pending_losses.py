"""pending_losses: what recognised losses will take once they are covered."""

from backstop.model.arithmetic import RAD, WAD
from tests.support.savings import XAU, lose, losses, make_pool, save


def test_none_while_there_is_no_deficit(savers):
    assert savers.read("Savings.pending_losses") == 0


def test_what_passes_the_buffer_and_the_reserve_rounded_up(savers):
    savers.earn_fees("XAU")
    deficit = lose(savers)
    pending = savers.read("Savings.pending_losses")
    assert pending == losses(savers)
    assert 0 < pending < deficit // 10**27


def test_is_what_the_cover_takes(savers):
    lose(savers)
    pending, booked = savers.read("Savings.pending_losses"), savers.read("Savings.totalAssets")
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    assert savers.read("Savings.totalAssets") == booked - pending
    assert savers.read("Savings.pending_losses") == 0


def test_counts_the_losses_of_all_types(savers):
    lose(savers)
    one = savers.read("Savings.pending_losses")
    lose(savers, "WBTC")
    assert savers.read("Savings.pending_losses") == losses(savers)
    assert savers.read("Savings.pending_losses") > one + 9_000 * WAD


def test_never_more_than_the_assets(protocol):
    save(protocol, "saver", 100 * WAD)
    assert lose(protocol) > 200 * RAD
    assert protocol.read("Savings.pending_losses") == 100 * WAD


def test_a_pool_that_is_no_stage_bears_nothing(protocol):
    save(protocol, "saver", 100 * WAD, make_pool(protocol))
    lose(protocol)
    assert protocol.read("Made.pending_losses") == 0

"""convertToShares, convertToAssets: the entry price, rounded down."""

from backstop.model.arithmetic import WAD
from tests.support.saver_steps import XAU, compute_entry_shares, lose_new_vault


def test_an_empty_pool_starts_at_a_million_shares_for_each_wei(protocol):
    assert protocol.read("Savings.convertToShares", 5) == 5 * 10**6
    assert protocol.read("Savings.convertToAssets", 5 * 10**6) == 5
    assert protocol.read("Savings.convertToAssets", 10**6 - 1) == 0


def test_both_directions_round_down(savers):
    lose_new_vault(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    for assets in (1, 2, 999, 10**18 + 1):
        shares = savers.read("Savings.convertToShares", assets)
        assert shares == compute_entry_shares(savers, assets)
        assert savers.read("Savings.convertToAssets", shares) <= assets


def test_a_loss_that_is_not_covered_does_not_count(savers):
    before = savers.read("Savings.convertToAssets", WAD), savers.read("Savings.convertToShares", WAD)
    lose_new_vault(savers)
    after = savers.read("Savings.convertToAssets", WAD), savers.read("Savings.convertToShares", WAD)
    assert after == before


def test_nothing_is_worth_nothing(savers):
    assert savers.read("Savings.convertToShares", 0) == 0
    assert savers.read("Savings.convertToAssets", 0) == 0

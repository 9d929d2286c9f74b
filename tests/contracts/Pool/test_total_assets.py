"""totalAssets: the booked assets, not the token balance."""

from backstop.model.arithmetic import WAD
from tests.support.saver_steps import XAU, cut_batch_and_wait_cooldown, give_stablecoin, lose_new_vault


def test_follows_entries_and_exits(leavers):
    assert leavers.read("Savings.totalAssets") == 40_000 * WAD
    cut_batch_and_wait_cooldown(leavers)
    assert leavers.read("Savings.totalAssets") == 0


def test_ignores_donations(savers):
    give_stablecoin(savers, "stranger", WAD)
    savers.do("Stablecoin.transfer", "Savings", WAD, sender="stranger")
    assert savers.read("Savings.totalAssets") == 40_000 * WAD


def test_falls_when_a_loss_is_covered_not_when_it_is_recognised(savers):
    lose_new_vault(savers)
    assert savers.read("Savings.totalAssets") == 40_000 * WAD
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    assert savers.read("Savings.totalAssets") < 40_000 * WAD


def test_the_asset_is_the_stablecoin(protocol):
    assert protocol.read("Savings.asset") == protocol.address("Stablecoin")

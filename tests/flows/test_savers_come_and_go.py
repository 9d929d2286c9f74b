"""Savers leave by request and claim. Every member at the recognition of a loss bears a part of it."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.ledger_reading_steps import SAVINGS, XAU, cover_losses, read_savings_assets
from tests.support.no_fee_deployments import build_uncapped_stages
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    lose_new_vault,
    redeem_all_shares,
    request_all_shares,
)

LOSS = 8_000 * RAD
DAY = 86_400


@pytest.fixture
def savers(quiet):
    return in_use(quiet())


def in_use(protocol):
    """30,000 and 10,000 in the pool; nothing in the buffer or the reserve."""
    deposit_savings(protocol, "saver", 30_000 * WAD)
    deposit_savings(protocol, "neighbour", 10_000 * WAD)
    return protocol


def test_leaving_before_or_after_the_loss_is_covered_pays_the_same(quiet):
    savers = in_use(quiet(stages=build_uncapped_stages("savings")))
    request_all_shares(savers, "saver")
    cut_batch(savers)
    request_all_shares(savers, "neighbour")
    assert lose_new_vault(savers, "XAU", 7_000 * WAD) == 7_000 * RAD
    savers.advance(DAY)
    # The saver is paid before anybody has covered: three halves of the part of the loss are held back.
    early = redeem_all_shares(savers, "saver")
    assert (30_000 - 7_875) * WAD - early in (0, 1)
    assert cover_losses(savers, XAU) == {0: 7_000 * RAD}
    cut_batch_and_wait_cooldown(savers)
    assert 24_750 * WAD - early - redeem_all_shares(savers, "saver") in (0, 1, 2)
    assert 8_250 * WAD - redeem_all_shares(savers, "neighbour") in (0, 1)
    assert read_savings_assets(savers) <= 3 and savers.read("Savings.totalSupply") == 0


def test_what_is_held_of_a_leaver_bears_the_loss_with_who_stays(savers):
    request_all_shares(savers, "saver")
    cut_batch_and_wait_cooldown(savers)
    lose_new_vault(savers, "XAU", 30_000 * WAD)
    # Half of what the pool holds in one epoch, before anybody is paid.
    assert cover_losses(savers, XAU) == {SAVINGS: 20_000 * RAD}
    # Half of what is left can still be lost: three halves of that are held back.
    paid = redeem_all_shares(savers, "saver")
    assert 3_750 * WAD - paid in (0, 1)
    for rest in (8_125, 1_875):
        savers.advance(2 * savers.parameters.epoch_length)
        assert cover_losses(savers, XAU) == {SAVINGS: rest * RAD}
    # Both bore three quarters, though one was paid in parts meanwhile.
    paid += redeem_all_shares(savers, "saver")
    assert 7_500 * WAD - paid in (0, 1, 2)
    assert savers.read("Savings.totalAssets") - 2_500 * WAD in range(-2, 3)


def test_a_loss_after_the_payment_is_borne_by_those_who_stay(savers):
    request_all_shares(savers, "saver")
    cut_batch_and_wait_cooldown(savers)
    assert redeem_all_shares(savers, "saver") == 30_000 * WAD
    lose_new_vault(savers, "XAU", LOSS // RAY)
    # Half of what the pool holds in one epoch, and it alone.
    assert cover_losses(savers, XAU) == {SAVINGS: 5_000 * RAD}
    assert savers.read("Stablecoin.balanceOf", "saver") == 30_000 * WAD


def test_who_comes_after_the_loss_is_covered_has_no_part_in_it(savers):
    lose_new_vault(savers, "XAU", LOSS // RAY)
    cover_losses(savers, XAU)
    deposit_savings(savers, "newcomer", 16_000 * WAD)
    for who in ("saver", "neighbour", "newcomer"):
        request_all_shares(savers, who)
    cut_batch_and_wait_cooldown(savers)
    paid = [redeem_all_shares(savers, who) for who in ("saver", "neighbour", "newcomer")]
    assert all(each * WAD - part in (0, 1) for part, each in zip(paid, (24_000, 8_000, 16_000), strict=True))


def test_income_that_comes_before_the_loss_is_covered_spares_the_saver(quiet):
    savers = in_use(quiet(stages=build_uncapped_stages("buffer", "reserve", "savings")))
    request_all_shares(savers, "saver")
    cut_batch_and_wait_cooldown(savers)
    lose_new_vault(savers, "XAU", LOSS // RAY)
    # Three halves of the part of the loss, 6,000, are held back.
    early = redeem_all_shares(savers, "saver")
    assert 21_000 * WAD - early in (0, 1)
    # A year's fees of 2% on 20,000 for gold's buffer and the reserve: the earlier stages can pay 400.
    savers.do("VaultEngine.set_stability_fee", XAU, 627_937_192_491_029_810, sender="admin")
    savers.earn_fees("XAU")
    earlier = savers.read("VaultEngine.buffer_of", XAU) + savers.read("VaultEngine.reserve")
    assert -(-earlier // RAD) == 400
    rest = -(-(LOSS - earlier) // RAY)
    assert savers.read("Savings.pending_losses") == rest
    spared = 30_000 * (LOSS // RAY - rest) // 40_000
    early += redeem_all_shares(savers, "saver")
    assert (21_000 * WAD + 3 * spared // 2) - early in (0, 1, 2)
    cover_losses(savers, XAU)
    assert (24_000 * WAD + spared) - early - redeem_all_shares(savers, "saver") in range(4)


def test_there_is_no_way_back(savers):
    shares = request_all_shares(savers, "saver")
    assert savers.read("Savings.balanceOf", "saver") == 0
    with reverts("shares: balance too small"):
        savers.do("Savings.transfer", "neighbour", shares, sender="saver")
    cut_batch_and_wait_cooldown(savers)
    with reverts("pool: more than max"):
        savers.do("Savings.redeem", 1, "saver", "saver", sender="saver")
    # It need not be claimed at once: nothing can happen to it any more.
    savers.do("Savings.settle", sender="stranger")
    savers.advance(30 * DAY)
    assert redeem_all_shares(savers, "saver") == 30_000 * WAD

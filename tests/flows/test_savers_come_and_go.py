"""Savers leave by request and claim. Whoever was in when a loss was recognised bears a part of it."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.books import SAVINGS, XAU, cover, event_of, saved
from tests.support.helpers import reverts
from tests.support.savings import leave, lose, mature, request, save

LOSS = 8_000 * RAD
DAY = 86_400


@pytest.fixture
def savers(quiet):
    """30,000 and 10,000 in the pool; nothing in the buffer or the reserve."""
    protocol = quiet()
    save(protocol, "saver", 30_000 * WAD)
    save(protocol, "neighbour", 10_000 * WAD)
    return protocol


def test_leaving_before_or_after_the_loss_is_booked_pays_the_same(savers):
    request(savers, "saver")
    request(savers, "neighbour")
    assert lose(savers, "XAU", 7_000 * WAD) == 7_000 * RAD
    mature(savers)
    # The saver leaves before anybody has covered, the neighbour after.
    assert (saved(savers), savers.read("Savings.pending_losses")) == (40_000 * WAD, 7_000 * WAD)
    assert leave(savers, "saver") == 24_750 * WAD
    assert cover(savers, XAU) == {SAVINGS: 7_000 * RAD}
    assert savers.read("Savings.pending_losses") == 0
    assert leave(savers, "neighbour") == 8_250 * WAD
    assert saved(savers) == savers.read("Savings.totalSupply") == 0


def test_what_a_leaver_forfeits_stays_and_so_does_the_loss(savers):
    request(savers, "saver")
    lose(savers, "XAU", 20_000 * WAD)
    mature(savers)
    # Covered at once it would be half of 40,000: all of it. Now it is half of what has stayed.
    assert leave(savers, "saver") == 15_000 * WAD
    assert saved(savers) == 25_000 * WAD
    most = 12_500 * WAD
    assert cover(savers, XAU) == {SAVINGS: most * RAY}
    # For who stays nothing has changed: what is outstanding still counts against the exit price.
    assert savers.read("Savings.pending_losses") == 20_000 * WAD - most
    assert savers.read("Savings.previewRedeem", savers.read("Savings.balanceOf", "neighbour")) == 5_000 * WAD


def test_a_loss_after_the_claim_is_borne_by_those_who_stay(savers):
    request(savers, "saver")
    mature(savers)
    assert leave(savers, "saver") == 30_000 * WAD
    lose(savers, "XAU", LOSS // RAY)
    # Half of what the pool holds in one epoch, and it alone.
    assert cover(savers, XAU) == {SAVINGS: 5_000 * RAD}
    assert savers.read("Stablecoin.balanceOf", "saver") == 30_000 * WAD


def test_who_comes_after_the_loss_is_covered_has_no_part_in_it(savers):
    lose(savers, "XAU", LOSS // RAY)
    cover(savers, XAU)
    save(savers, "newcomer", 16_000 * WAD)
    for who in ("saver", "neighbour", "newcomer"):
        request(savers, who)
    mature(savers)
    paid = [leave(savers, who) for who in ("saver", "neighbour", "newcomer")]
    assert paid == [24_000 * WAD, 8_000 * WAD, 16_000 * WAD]


def test_income_that_comes_before_the_claim_spares_the_saver(savers):
    request(savers, "saver")
    lose(savers, "XAU", LOSS // RAY)
    pending = savers.read("Savings.previewRedeem", savers.read("Savings.requested_shares", "saver"))
    assert pending == 24_000 * WAD
    # A year's fees of 2% on 20,000 for gold's buffer and the reserve: the earlier stages can pay 400.
    savers.do("VaultEngine.set_stability_fee", XAU, 627_937_192_491_029_810, sender="admin")
    savers.earn_fees("XAU")
    earlier = savers.read("VaultEngine.buffer_of", XAU) + savers.read("VaultEngine.reserve")
    assert -(-earlier // RAD) == 400
    rest = -(-(LOSS - earlier) // RAY)
    assert savers.read("Savings.pending_losses") == rest
    cover(savers, XAU)
    assert saved(savers) == 40_000 * WAD - rest
    assert event_of(savers, XAU).outstanding == 0


def test_a_request_that_lapses_has_to_be_made_again(savers):
    shares = request(savers, "saver")
    savers.advance(DAY - 1)
    with reverts("pool: more than max redeem"):
        savers.do("Savings.redeem", shares, "saver", "saver", sender="saver")
    savers.advance(1 + 2 * DAY)
    assert savers.read("Savings.maxRedeem", "saver") == shares
    savers.advance(1)
    assert savers.read("Savings.maxRedeem", "saver") == 0
    with reverts("pool: more than max redeem"):
        savers.do("Savings.redeem", shares, "saver", "saver", sender="saver")

    # The shares are still in escrow and bear losses; they are taken back and requested again.
    lose(savers, "XAU", LOSS // RAY)
    cover(savers, XAU)
    assert savers.do("Savings.cancel_request", sender="saver") == shares
    assert request(savers, "saver") == shares
    mature(savers)
    assert leave(savers, "saver") == 24_000 * WAD


def test_a_cancelled_request_changes_nothing(savers):
    shares = request(savers, "saver")
    assert savers.read("Savings.balanceOf", "saver") == 0
    with reverts("shares: balance too small"):
        savers.do("Savings.transfer", "neighbour", shares, sender="saver")
    assert savers.do("Savings.cancel_request", sender="saver") == shares
    mature(savers)
    with reverts("pool: more than max redeem"):
        savers.do("Savings.redeem", 1, "saver", "saver", sender="saver")
    with reverts("pool: no request"):
        savers.do("Savings.cancel_request", sender="saver")
    assert savers.read("Savings.balanceOf", "saver") == shares == 30_000 * WAD * 10**6
    assert saved(savers) == 40_000 * WAD

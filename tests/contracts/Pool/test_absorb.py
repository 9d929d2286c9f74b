"""absorb: the pool pays for a loss with its own assets, at the waterfall's call alone."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    DAY,
    XAU,
    charge_pool,
    create_additional_pool,
    create_claims_pool_and_return_name,
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    give_stablecoin,
    lose_new_vault,
    redeem_all_shares,
    request_all_shares,
)


@pytest.mark.parametrize("sender", ["stranger", "admin", "saver"])
def test_only_the_waterfall_may_call(savers, sender):
    with reverts("pool: not loss waterfall"):
        savers.do("Savings.absorb", 0, 10**45, sender=sender)


def test_burns_what_it_pays(savers):
    lose_new_vault(savers)
    booked, supply = savers.read("Savings.totalAssets"), savers.read("Stablecoin.totalSupply")
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    paid = booked - savers.read("Savings.totalAssets")
    assert paid > 0
    assert savers.read("Stablecoin.totalSupply") == supply - paid
    assert savers.read("Stablecoin.balanceOf", "Savings") == booked - paid
    absorbed = [log.values for log in savers.last.logs if log.event == "LossAbsorbed"]
    assert absorbed == [(XAU, paid)]


def test_the_payment_is_rounded_up_and_the_rest_goes_to_the_reserve(savers):
    lose_new_vault(savers)
    booked = savers.read("Savings.totalAssets")
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    paid = (booked - savers.read("Savings.totalAssets")) * RAY
    covered = [log.values[3] for log in savers.last.logs if log.event == "LossCovered"][-1]
    assert 0 <= paid - covered < RAY
    assert savers.read("VaultEngine.reserve") == paid - covered


def test_shares_do_not_change(savers):
    lose_new_vault(savers)
    supply = savers.read("Savings.totalSupply")
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    assert savers.read("Savings.totalSupply") == supply


def test_never_more_than_what_is_vested(junior):
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    junior.advance(DAY)
    assert junior.read("Young.totalAssets") == 4_100 * WAD
    paid = junior.do("Waterfall.charge", "Young", XAU, 10**60, sender="stranger")
    assert paid == (0, 0)  # there is no deficit: all of it goes to the reserve
    # With it goes the income that had not vested: nobody is left who could have earned it.
    assert junior.read("VaultEngine.reserve") == 4_700 * WAD * RAY
    assert junior.read("Young.totalAssets") == junior.read("Young.unvested") == 0


@pytest.mark.parametrize(("left", "void"), [(0, True), (999_999, True), (1_000_000, False)], ids=str)
def test_less_than_a_million_wei_left_voids_the_shares(junior, left, void):
    supply = junior.read("Young.totalSupply")
    charge_pool(junior, "Young", 4_000 * WAD - left)
    begun = [log.values for log in junior.last.logs if log.event == "NewGeneration"]
    assert begun == ([(5, supply, left)] if void else [])
    assert junior.read("Young.generation") == (5 if void else 0)
    assert junior.read("Young.totalSupply") == (0 if void else supply)
    assert junior.read("Young.balanceOf", "saver") == (0 if void else 3 * supply // 4)
    assert junior.read("Young.totalAssets") == (0 if void else left)
    assert junior.read("VaultEngine.reserve") == (4_000 * WAD - (0 if void else left)) * RAY


def test_income_that_has_not_vested_does_not_save_the_shares(junior):
    """999,999 wei are vested; the reserve gets these and the 700 that were still to vest."""
    supply = junior.read("Young.totalSupply")
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    charge_pool(junior, "Young", 4_000 * WAD - 999_999)
    begun = [log.values for log in junior.last.logs if log.event == "NewGeneration"]
    assert begun == [(5, supply, 700 * WAD + 999_999)]
    assert junior.read("VaultEngine.reserve") == 4_700 * WAD * RAY


@pytest.mark.parametrize(("left", "void"), [(999_999, True), (1_000_000, False)], ids=str)
def test_what_batches_hold_counts(junior, left, void):
    """Three quarters of the remainder are a batch's: 250,000 wei of live shares alone are no reason."""
    request_all_shares(junior, "saver", "Young")
    cut_batch(junior, "Young")
    charge_pool(junior, "Young", 4_000 * WAD - left)
    assert junior.read("Young.generation") == (5 if void else 0)
    held = junior.read("Young.batch_of", 1)[3]
    assert held == (0 if void else 3 * left // 4)
    assert junior.read("Young.totalAssets") == (0 if void else left - held)
    assert junior.read("Young.queue") == ((2, 2, 2) if void else (1, 1, 2))


def test_a_batch_alone_is_void_as_well(junior):
    """No member has stayed."""
    for who in ("saver", "neighbour"):
        request_all_shares(junior, who, "Young")
    cut_batch(junior, "Young")
    assert junior.read("Young.totalSupply") == 0
    charge_pool(junior, "Young", 4_000 * WAD - 1_000_000)
    assert junior.read("Young.generation") == 0
    charge_pool(junior, "Young", 1)
    begun = [log.values for log in junior.last.logs if log.event == "NewGeneration"]
    assert begun == [(5, 0, 999_999)]
    assert junior.read("Young.batch_of", 1)[2:] == (0, 0, True)


def test_a_small_pool_keeps_its_shares_to_the_wei(protocol):
    create_claims_pool_and_return_name(protocol)
    deposit_savings(protocol, "saver", 2 * 10**6, "Young")
    charge_pool(protocol, "Young", 10**6)
    assert protocol.read("Young.totalAssets") == 10**6
    assert protocol.read("Young.generation") == 0
    charge_pool(protocol, "Young", 1)
    assert protocol.read("Young.generation") == 5


def test_who_pays_nothing_keeps_what_little_it_has(protocol):
    """As a stage proves itself: it once voided the shares, and took a few wei into books that were closed."""
    create_claims_pool_and_return_name(protocol)
    deposit_savings(protocol, "saver", 6, "Young")
    charge_pool(protocol, "Young", 0)
    assert protocol.read("Young.generation") == 0
    assert protocol.read("Young.totalAssets") == 6
    charge_pool(protocol, "Young", 1)
    assert protocol.read("Young.generation") == 5


def test_without_members_nothing_becomes_void(protocol):
    create_claims_pool_and_return_name(protocol)
    charge_pool(protocol, "Young", 5)
    assert protocol.read("Young.generation") == 0
    assert [log.event for log in protocol.last.logs if log.contract == "Young"] == ["LossAbsorbed"]


def test_requests_are_void_as_well(junior):
    junior.do("Young.requestRedeem", 10**24, "saver", "saver", sender="saver")
    charge_pool(junior, "Young", 4_000 * WAD)
    junior.advance(DAY)
    with reverts("pool: no requests"):
        junior.do("Young.cut", sender="stranger")
    assert junior.read("Young.batch_of", 1)[2:] == (0, 0, False)
    assert junior.read("Young.queue") == (1, 1, 1)


def test_a_pool_can_be_wiped_out_again_and_again(junior):
    """Neither entering nor covering ever fails; each time members get claims for all they lost."""
    for generation in range(1, 21):
        lost = junior.read("Young.totalAssets")
        charge_pool(junior, "Young", lost - generation * 40_000)
        assert junior.read("Young.generation") == 5 * generation
        deposit_savings(junior, "saver", 100 * WAD, "Young")
        shares = junior.read("Young.balanceOf", "saver")
        assert 100 * WAD - 10**7 < junior.read("Young.convertToAssets", shares) <= 100 * WAD
        request_all_shares(junior, "saver", "Young")
        cut_batch_and_wait_cooldown(junior, "Young")
        redeem_all_shares(junior, "saver", "Young")
        deposit_savings(junior, "saver", 100 * WAD, "Young")
    before = junior.read("Young.Claims.outstanding")
    junior.do("Young.collect_claims", "saver", sender="stranger")
    held = junior.read("Young.Claims.balanceOf", "saver")
    assert before == junior.read("Young.Claims.outstanding")
    assert 0 <= 3_000 * WAD + 19 * 100 * WAD - held < 21 * 10**8


def test_members_get_claims_for_what_they_lose(junior):
    charge_pool(junior, "Young", 400 * WAD)
    recorded = [log.values for log in junior.last.logs if log.event == "LossRecorded"]
    (borne,) = {amount for _, amount, tokens in recorded if amount == tokens}
    assert 0 < 400 * WAD - borne < 10**6
    assert junior.read("Young.Claims.tokens") == junior.read("Young.Claims.outstanding") == borne


def test_a_pool_without_claims_gives_none(protocol):
    protocol.lockstep.create_contract("ScriptedWaterfall", "Waterfall")
    create_additional_pool(protocol, loss_waterfall="Waterfall")
    deposit_savings(protocol, "saver", 1_000 * WAD, "Made")
    charge_pool(protocol, "Made", 100 * WAD)
    protocol.do("Made.collect_claims", "saver", sender="saver")
    assert protocol.last.logs == ()


def test_what_the_virtual_shares_lose_is_owed_to_nobody(protocol):
    create_claims_pool_and_return_name(protocol)
    deposit_savings(protocol, "saver", 1, "Young")
    give_stablecoin(protocol, "payer", 1_000 * WAD)
    protocol.do("Stablecoin.approve", "Young", 1_000 * WAD, sender="payer")
    protocol.do("Young.add_income", 1_000 * WAD, sender="payer")
    protocol.advance(7 * DAY)
    charge_pool(protocol, "Young", 100 * WAD)
    assert protocol.read("Young.Claims.outstanding") == 50 * WAD

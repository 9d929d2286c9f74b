"""A type's buffer is its own; the reserve and the savings serve all types."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.ledger_reading_steps import (
    BUFFER,
    RESERVE,
    SAVINGS,
    WBTC,
    WETH,
    XAU,
    cover_losses,
    earn_penalty,
    read_buffer,
    read_deficit,
    read_loss_event,
    read_reserve,
    read_savings_assets,
)
from tests.support.saver_steps import deposit_savings, lose_new_vault

FEE = 10**19  # ray a second: about 37% a year


@pytest.fixture
def two(quiet):
    """1,300 in gold's buffer, 2,600 in ether's; one saver of 100,000."""
    protocol = quiet(epoch_length=365 * 86_400)
    deposit_savings(protocol, "saver", 100_000 * WAD)
    earn_penalty(protocol, "XAU", 10_000 * WAD)
    earn_penalty(protocol, "WETH", 20_000 * WAD)
    return protocol


def test_one_types_buffer_never_pays_for_another(two):
    lose_new_vault(two, "XAU", 10_000 * WAD)
    assert cover_losses(two, XAU) == {BUFFER: 1_300 * RAD, SAVINGS: 8_700 * RAD}
    assert read_buffer(two, WETH) == 2_600 * RAD
    assert read_savings_assets(two) == 91_300 * WAD
    # Gold has lost all it had; ether's own loss finds ether's buffer whole.
    lose_new_vault(two, "WETH", 3_000 * WAD)
    assert cover_losses(two, WETH) == {BUFFER: 2_600 * RAD, SAVINGS: 400 * RAD}
    assert (read_buffer(two, XAU), read_buffer(two, WETH), read_savings_assets(two)) == (0, 0, 90_900 * WAD)


def test_a_type_in_distress_does_not_hold_the_others_up(two):
    lose_new_vault(two, "XAU", 10_000 * WAD)
    debts = [two.table("VaultEngine", "ledger.debts", c) for c in (WETH, XAU)]
    assert [each.distressed for each in debts] == [0, 1]
    two.post_price("WETH", 2_000 * RAY)
    two.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    assert read_loss_event(two, XAU).outstanding == 10_000 * RAD
    assert read_deficit(two, WETH) == read_loss_event(two, WETH).created == 0


def test_the_reserve_is_for_whoever_comes_first(two):
    two.do("VaultEngine.set_stability_fee", WBTC, FEE, sender="admin")
    two.do("VaultEngine.set_buffer_share", WBTC, 0, sender="admin")
    two.earn_fees("WBTC")
    shared = read_reserve(two)
    assert 7_000 * RAD < shared < 8_000 * RAD
    assert read_buffer(two, WBTC) == 0
    lose_new_vault(two, "XAU", 6_000 * WAD)
    lose_new_vault(two, "WETH", 6_000 * WAD)

    # Before anybody has covered, savers are told what both losses will leave to them.
    needed = 2 * 6_000 * RAD - 1_300 * RAD - 2_600 * RAD - shared
    assert two.read("Savings.pending_losses") == -(-needed // RAY)
    assert cover_losses(two, XAU) == {BUFFER: 1_300 * RAD, RESERVE: 4_700 * RAD}
    assert two.read("Savings.pending_losses") == -(-needed // RAY)
    paid = cover_losses(two, WETH)
    assert paid == {BUFFER: 2_600 * RAD, RESERVE: shared - 4_700 * RAD, SAVINGS: needed}
    # Tokens are burned in whole wei: what that is too much goes to the reserve.
    assert read_reserve(two) == -needed % RAY
    assert read_savings_assets(two) == 100_000 * WAD - -(-needed // RAY)


def test_the_cap_of_the_savings_binds_both_types_together(two):
    lose_new_vault(two, "XAU", 60_000 * WAD)
    lose_new_vault(two, "WETH", 60_000 * WAD)
    first = 50_000 * WAD
    assert cover_losses(two, XAU) == {BUFFER: 1_300 * RAD, SAVINGS: first * RAY}
    assert cover_losses(two, WETH) == {BUFFER: 2_600 * RAD}
    assert read_savings_assets(two) == 100_000 * WAD - first
    assert read_deficit(two, XAU) == (58_700 * WAD - first) * RAY
    assert read_deficit(two, WETH) == 57_400 * RAD

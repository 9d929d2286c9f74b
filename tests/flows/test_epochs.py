"""A loss that one epoch cannot pay is carried on; every epoch's record adds up, and so do all together."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.ledger_reading_steps import (
    BUFFER,
    SAVINGS,
    XAU,
    advance_to_next_epoch,
    cover_losses,
    get_epoch,
    read_deficit,
    read_loss_event,
    read_savings_assets,
)
from tests.support.ledger_reading_steps import earn_penalty as earn
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import deposit_savings, give_stablecoin, lose_new_vault

LOSS = 33_000 * RAD


@pytest.fixture
def carried(quiet):
    """One saver of 40,000, of which an epoch and the next take at most half; 33,000 are lost early in one."""
    protocol = quiet()
    deposit_savings(protocol, "saver", 40_000 * WAD)
    advance_to_next_epoch(protocol)
    assert lose_new_vault(protocol, "XAU", LOSS // RAY) == LOSS
    return protocol


def half(assets):
    """Return the most that two epochs take from the pool."""
    return assets // 2


def check_conservation(protocol, epochs):
    """Of all that was lost, each rad was paid by a stage, came back otherwise, or is outstanding."""
    events = [read_loss_event(protocol, XAU, at) for at in epochs]
    assert sum(each.created for each in events) == (
        sum(each.covered + each.recovered for each in events) + read_deficit(protocol, XAU)
    )
    # What one epoch hands on, the next one that anything happened in takes over.
    met = [each for each in events if any(each)]
    assert [each.carried_out for each in met[:-1]] == [each.carried_in for each in met[1:]]
    assert met[-1].carried_out == 0
    return events


def test_every_second_epoch_takes_half_until_nothing_is_left(carried):
    """Any stretch as long as an epoch lies in two of them, which together take no more than the cap."""
    first = get_epoch(carried)
    assets, due = 40_000 * WAD, LOSS // RAY
    for number in range(2):
        paid = half(assets)
        assert cover_losses(carried, XAU) == {SAVINGS: paid * RAY}
        assert cover_losses(carried, XAU) == {}
        assets, due = assets - paid, due - paid
        assert (read_savings_assets(carried), read_deficit(carried, XAU)) == (assets, due * RAY)
        advance_to_next_epoch(carried)
        assert cover_losses(carried, XAU) == {}
        assert advance_to_next_epoch(carried) == first + 2 * number + 2
    # 20,000 and 10,000 are paid; what is left is under the cap.
    assert due == 3_000 * WAD < half(assets)
    assert cover_losses(carried, XAU) == {SAVINGS: due * RAY}
    with reverts("loss_waterfall: no deficit"):
        cover_losses(carried, XAU)

    events = check_conservation(carried, range(first, first + 5))
    paid = half(40_000 * WAD) * RAY
    left = LOSS - paid
    assert events[0] == (LOSS, 0, 0, paid, left, 0)
    assert events[1] == (0, left, 0, 0, left, 0)
    assert events[2] == (0, left, 0, left - due * RAY, due * RAY, 0)
    assert events[4] == (0, due * RAY, 0, due * RAY, 0, 0)
    assert read_savings_assets(carried) == 7_000 * WAD


def test_an_epoch_in_which_nothing_happens_is_skipped(carried):
    first = get_epoch(carried)
    cover_losses(carried, XAU)
    left = read_deficit(carried, XAU)
    for _ in range(3):
        advance_to_next_epoch(carried)
    # Nobody has come by: the loss still stands with its old epoch.
    assert read_loss_event(carried, XAU, first).outstanding == left
    cover_losses(carried, XAU)
    assert get_only_event_values(carried, "LossCarried", "LossWaterfall") == (XAU, first + 3, left)
    events = check_conservation(carried, range(first, first + 4))
    assert events[1] == events[2] == (0, 0, 0, 0, 0, 0)
    assert (events[0].carried_out, events[3].carried_in) == (left, left)


def test_a_new_loss_joins_what_was_carried(carried):
    first = get_epoch(carried)
    cover_losses(carried, XAU)
    left, assets = read_deficit(carried, XAU), read_savings_assets(carried)
    advance_to_next_epoch(carried)
    advance_to_next_epoch(carried)
    assert lose_new_vault(carried, "XAU", 5_000 * WAD) == 5_000 * RAD
    assert read_loss_event(carried, XAU)[:2] == (5_000 * RAD, left)
    # One cap for both: it does not matter when a loss came about.
    assert cover_losses(carried, XAU) == {SAVINGS: half(assets) * RAY}
    check_conservation(carried, range(first, first + 3))


def test_income_between_the_epochs_spares_the_savers(carried):
    first = get_epoch(carried)
    cover_losses(carried, XAU)
    left, assets = read_deficit(carried, XAU), read_savings_assets(carried)
    advance_to_next_epoch(carried)
    advance_to_next_epoch(carried)
    earn(carried, "XAU", 50_000 * WAD)
    assert left == 13_000 * RAD
    assert cover_losses(carried, XAU) == {BUFFER: 6_500 * RAD, SAVINGS: 6_500 * RAD}
    assert read_savings_assets(carried) == assets - 6_500 * WAD
    check_conservation(carried, range(first, first + 3))


def test_a_gift_counts_as_recovered(carried):
    first = get_epoch(carried)
    cover_losses(carried, XAU)
    left = read_deficit(carried, XAU)
    carried.do("VaultEngine.grant_role", STAGE, "benefactor", sender="admin")
    give_stablecoin(carried, "benefactor", 1_000 * WAD)
    carried.do("VaultEngine.cover_from_tokens", XAU, "benefactor", 1_000 * RAD, sender="benefactor")
    assert read_deficit(carried, XAU) == left - 1_000 * RAD
    assert read_loss_event(carried, XAU).recovered == 1_000 * RAD
    # It belongs to the epoch in which it came, whoever notices it and when.
    advance_to_next_epoch(carried)
    cover_losses(carried, XAU)
    assert get_only_event_values(carried, "LossRecovered", "LossWaterfall") == (XAU, first, 1_000 * RAD)
    events = check_conservation(carried, range(first, first + 2))
    assert events[0].recovered == 1_000 * RAD
    assert events[1].carried_in == left - 1_000 * RAD

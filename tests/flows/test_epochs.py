"""A loss that one epoch cannot pay is carried on; every epoch's record adds up, and so do all together."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auctions import event
from tests.support.books import BUFFER, SAVINGS, XAU, cover, deficit, epoch, event_of, next_epoch, saved
from tests.support.books import earn_penalty as earn
from tests.support.helpers import STAGE, reverts
from tests.support.savings import give, lose, save

LOSS = 33_000 * RAD


@pytest.fixture
def carried(quiet):
    """One saver of 40,000, of which an epoch and the next take at most half; 33,000 are lost early in one."""
    protocol = quiet()
    save(protocol, "saver", 40_000 * WAD)
    next_epoch(protocol)
    assert lose(protocol, "XAU", LOSS // RAY) == LOSS
    return protocol


def half(assets):
    """What two epochs take from the pool at most."""
    return assets // 2


def check_conservation(protocol, epochs):
    """Of all that was lost, each rad was paid by a stage, came back otherwise, or is outstanding."""
    events = [event_of(protocol, XAU, at) for at in epochs]
    assert sum(each.created for each in events) == (
        sum(each.covered + each.recovered for each in events) + deficit(protocol, XAU)
    )
    # What one epoch hands on, the next one that anything happened in takes over.
    met = [each for each in events if any(each)]
    assert [each.carried_out for each in met[:-1]] == [each.carried_in for each in met[1:]]
    assert met[-1].carried_out == 0
    return events


def test_every_second_epoch_takes_half_until_nothing_is_left(carried):
    """Any stretch as long as an epoch lies in two of them, which together take no more than the cap."""
    first = epoch(carried)
    assets, due = 40_000 * WAD, LOSS // RAY
    for number in range(2):
        paid = half(assets)
        assert cover(carried, XAU) == {SAVINGS: paid * RAY}
        assert cover(carried, XAU) == {}
        assets, due = assets - paid, due - paid
        assert (saved(carried), deficit(carried, XAU)) == (assets, due * RAY)
        next_epoch(carried)
        assert cover(carried, XAU) == {}
        assert next_epoch(carried) == first + 2 * number + 2
    # 20,000 and 10,000 are paid; what is left is under the cap.
    assert due == 3_000 * WAD < half(assets)
    assert cover(carried, XAU) == {SAVINGS: due * RAY}
    with reverts("loss_waterfall: no deficit"):
        cover(carried, XAU)

    events = check_conservation(carried, range(first, first + 5))
    paid = half(40_000 * WAD) * RAY
    left = LOSS - paid
    assert events[0] == (LOSS, 0, 0, paid, left, 0)
    assert events[1] == (0, left, 0, 0, left, 0)
    assert events[2] == (0, left, 0, left - due * RAY, due * RAY, 0)
    assert events[4] == (0, due * RAY, 0, due * RAY, 0, 0)
    assert saved(carried) == 7_000 * WAD


def test_an_epoch_in_which_nothing_happens_is_skipped(carried):
    first = epoch(carried)
    cover(carried, XAU)
    left = deficit(carried, XAU)
    for _ in range(3):
        next_epoch(carried)
    # Nobody has come by: the loss still stands with its old epoch.
    assert event_of(carried, XAU, first).outstanding == left
    cover(carried, XAU)
    assert event(carried, "LossCarried", "LossWaterfall") == (XAU, first + 3, left)
    events = check_conservation(carried, range(first, first + 4))
    assert events[1] == events[2] == (0, 0, 0, 0, 0, 0)
    assert (events[0].carried_out, events[3].carried_in) == (left, left)


def test_a_new_loss_joins_what_was_carried(carried):
    first = epoch(carried)
    cover(carried, XAU)
    left, assets = deficit(carried, XAU), saved(carried)
    next_epoch(carried)
    next_epoch(carried)
    assert lose(carried, "XAU", 5_000 * WAD) == 5_000 * RAD
    assert event_of(carried, XAU)[:2] == (5_000 * RAD, left)
    # One cap for both: it does not matter when a loss came about.
    assert cover(carried, XAU) == {SAVINGS: half(assets) * RAY}
    check_conservation(carried, range(first, first + 3))


def test_income_between_the_epochs_spares_the_savers(carried):
    first = epoch(carried)
    cover(carried, XAU)
    left, assets = deficit(carried, XAU), saved(carried)
    next_epoch(carried)
    next_epoch(carried)
    earn(carried, "XAU", 50_000 * WAD)
    assert left == 13_000 * RAD
    assert cover(carried, XAU) == {BUFFER: 6_500 * RAD, SAVINGS: 6_500 * RAD}
    assert saved(carried) == assets - 6_500 * WAD
    check_conservation(carried, range(first, first + 3))


def test_a_gift_counts_as_recovered(carried):
    first = epoch(carried)
    cover(carried, XAU)
    left = deficit(carried, XAU)
    carried.do("VaultEngine.grant_role", STAGE, "benefactor", sender="admin")
    give(carried, "benefactor", 1_000 * WAD)
    carried.do("VaultEngine.cover_from_tokens", XAU, "benefactor", 1_000 * RAD, sender="benefactor")
    assert deficit(carried, XAU) == left - 1_000 * RAD
    assert event_of(carried, XAU).recovered == 1_000 * RAD
    # It belongs to the epoch in which it came, whoever notices it and when.
    next_epoch(carried)
    cover(carried, XAU)
    assert event(carried, "LossRecovered", "LossWaterfall") == (XAU, first, 1_000 * RAD)
    events = check_conservation(carried, range(first, first + 2))
    assert events[0].recovered == 1_000 * RAD
    assert events[1].carried_in == left - 1_000 * RAD

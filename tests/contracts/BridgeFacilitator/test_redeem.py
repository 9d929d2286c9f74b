"""redeem: in settlement, the bridge's payments are shared pro rata among all notes."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.facilitator_steps import (
    ROLLUP,
    announce_loss,
    draw_stablecoin_as_bridge,
    pay_facilitator,
    read_notes_in_facilitator_vault,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import settle_protocol

K = 1_000 * WAD


@pytest.fixture
def settled(owing):
    """Two thirds of all stablecoin are the receiver's, a third another's; both redeem and cash some notes."""
    draw_stablecoin_as_bridge(owing, 50 * K, "another")
    settle_protocol(owing)
    for who, amount in (("receiver", 80 * K), ("another", 40 * K)):
        owing.do("Settlement.redeem", amount, sender=who)
        owing.do("Settlement.cash", ROLLUP, amount, sender=who)
        assert owing.read("Rollup.balanceOf", who) == amount
    return owing


def redeem(protocol, who, notes):
    return protocol.do("Rollup.redeem", notes, sender=who)


def test_their_share_of_what_was_paid(settled):
    pay_facilitator(settled, 15 * K)
    assert redeem(settled, "another", 40 * K) == 4 * K
    assert get_only_event_values(settled, "Redeemed", "Rollup") == (settled.address("another"), 40 * K, 4 * K)
    assert read_stablecoins(settled, "another") == 14 * K
    assert settled.read("Rollup.redeemed_of", "another") == 40 * K
    assert settled.read("Rollup.collected_of", "another") == 4 * K


def test_the_first_and_the_last_are_paid_alike(settled):
    pay_facilitator(settled, 5 * K)
    first = redeem(settled, "another", 40 * K)
    pay_facilitator(settled, 10 * K)
    assert redeem(settled, "another", 0) == 3 * K - first + K
    assert redeem(settled, "receiver", 40 * K) == 4 * K


def test_in_parts_it_is_the_same(settled):
    pay_facilitator(settled, 10 * K + 7)
    parts = sum(redeem(settled, "another", notes) for notes in (1, 7 * K, 33 * K - 1))
    assert parts == redeem(settled, "receiver", 40 * K) == (10 * K + 7) * 40 // 150


def test_before_anything_was_paid(settled):
    assert redeem(settled, "another", K) == 0


def test_only_ones_own(settled):
    with reverts("erc20: transfer amount exceeds balance"):
        redeem(settled, "another", 40 * K + 1)


def test_gifts_bring_nobody_anything(settled):
    settled.do("Rollup.transfer", "Rollup", K, sender="receiver")
    pay_facilitator(settled, 15 * K)
    assert redeem(settled, "another", 40 * K) == 4 * K


def test_notes_that_cover_no_debt_do_not_count(owing):
    """They stay in the vault, for good."""
    pay_facilitator(owing, 40 * K)
    settle_protocol(owing)
    assert read_notes_in_facilitator_vault(owing) == 40 * K
    owing.do("Settlement.redeem", 30 * K, sender="receiver")
    owing.do("Settlement.cash", ROLLUP, 30 * K, sender="receiver")
    pay_facilitator(owing, 6 * K)
    assert redeem(owing, "receiver", 30 * K) == 3 * K


def test_a_loss_announced_before_settlement_is_the_stages_to_bear(owing):
    announce_loss(owing, 25 * K)
    settle_protocol(owing)
    # Nobody could cover it, so what holders get is all notes for all stablecoin.
    assert owing.read("VaultEngine.salvage_of", ROLLUP) == 100 * K


def test_of_a_facilitator_that_never_drew(bridged):
    settle_protocol(bridged)
    assert redeem(bridged, "stranger", 0) == 0


def test_only_in_settlement(owing):
    with reverts("facilitator: not settling"):
        redeem(owing, "receiver", 0)

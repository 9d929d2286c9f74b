"""losses_reaching: the losses that would pass the earlier stages if every deficit were covered now."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import MAX_UINT256, RAD, WAD
from tests.support.deficit_reservation_steps import reserve_deficit_part
from tests.support.no_fee_deployments import build_uncapped_stages
from tests.support.saver_steps import XAU, deposit_savings, earn_year_of_high_fees, lose_new_vault

CALL = "LossWaterfall.losses_reaching"
CAPS = {"buffer": {"cap_bps": 5_000}, "reserve": {"cap_absolute": 10 * RAD}}
WBTC = 1
STAGES = ("BufferStage", "ReserveStage", "Savings")


def figures(protocol):
    deficits = [protocol.read("VaultEngine.deficit_of", c) for c in range(3)]
    buffers = [protocol.read("VaultEngine.buffer_of", c) for c in range(3)]
    return deficits, buffers, protocol.read("VaultEngine.reserve")


def test_nothing_while_there_is_no_deficit(protocol):
    for stage in STAGES:
        assert protocol.read(CALL, stage) == 0


def test_the_first_stage_faces_everything(protocol):
    total = lose_new_vault(protocol) + lose_new_vault(protocol, "WBTC")
    assert protocol.read(CALL, "BufferStage") == total


def test_a_buffer_counts_for_its_own_type_only(protocol):
    protocol.earn_fees("WBTC")
    lose_new_vault(protocol)
    deficits, buffers, _ = figures(protocol)
    assert buffers[WBTC] > 0
    assert protocol.read(CALL, "ReserveStage") == deficits[XAU] - buffers[XAU]


def test_the_reserve_counts_once_for_all_types(protocol):
    protocol.earn_fees("WBTC")
    lose_new_vault(protocol)
    lose_new_vault(protocol, "WBTC")
    deficits, buffers, reserve = figures(protocol)
    left = sum(deficit - buffer for deficit, buffer in zip(deficits[1:], buffers[1:], strict=True))
    assert 0 < reserve < left
    assert protocol.read(CALL, "Savings") == left - reserve


def test_a_buffer_behind_a_stage_for_all_types_does_not_count(new_protocol):
    """The buffer's contribution depends on the order in which types are covered."""
    stages = build_uncapped_stages("junior", "buffer", "savings")
    protocol = new_protocol(replace(build_standard_parameters(), stages=stages), prices=True)
    deposit_savings(protocol, "elder", 1_000 * WAD, "Junior")
    protocol.earn_fees("XAU")
    deficit = lose_new_vault(protocol)
    assert protocol.read("VaultEngine.buffer_of", XAU) > 0
    assert protocol.read(CALL, "Savings") == deficit - protocol.read("Junior.capacity", XAU)


def test_nothing_if_the_buffer_and_the_reserve_are_enough(deployed):
    protocol = deployed()
    protocol.do("VaultEngine.set_buffer_share", XAU, 1_000, sender="admin")
    earn_year_of_high_fees(protocol)
    lose_new_vault(protocol, debt=4_000 * WAD)
    deficits, buffers, reserve = figures(protocol)
    assert 0 < buffers[XAU] < deficits[XAU] < deficits[XAU] + buffers[XAU] < reserve
    assert protocol.read(CALL, "ReserveStage") == deficits[XAU] - buffers[XAU]
    assert protocol.read(CALL, "Savings") == 0


def test_earlier_stages_count_at_their_caps(deployed):
    protocol = deployed(caps=CAPS)
    earn_year_of_high_fees(protocol)
    lose_new_vault(protocol, debt=40_000 * WAD)
    deficits, buffers, reserve = figures(protocol)
    assert reserve > 10 * RAD
    expected = deficits[XAU] - buffers[XAU] // 2 // 10**27 * 10**27 - 10 * RAD
    assert protocol.read(CALL, "Savings") == expected
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    assert protocol.read(CALL, "Savings") == protocol.read("VaultEngine.deficit_of", XAU)


def test_caps_have_room_again_two_epochs_later_before_anything_happens(deployed):
    protocol = deployed(caps=CAPS)
    earn_year_of_high_fees(protocol)
    lose_new_vault(protocol, debt=40_000 * WAD)
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    deficits, buffers, _ = figures(protocol)
    protocol.advance(7 * 86_400)
    assert protocol.read(CALL, "Savings") == deficits[XAU]
    protocol.advance(7 * 86_400)
    expected = deficits[XAU] - buffers[XAU] // 2 // 10**27 * 10**27 - 10 * RAD
    assert protocol.read(CALL, "Savings") == expected < deficits[XAU] - 10 * RAD


def test_is_what_the_cover_then_takes(deployed):
    protocol = deployed()
    protocol.earn_fees("XAU")
    lose_new_vault(protocol)
    lose_new_vault(protocol, "WBTC")
    beyond = protocol.read(CALL, "Savings")
    for c in (XAU, WBTC):
        protocol.do("LossWaterfall.cover", c, sender="stranger")
    paid = 40_000 * RAD - protocol.read("Savings.totalAssets") * 10**27
    assert 0 <= paid - beyond < 2 * 10**27
    assert protocol.read(CALL, "Savings") == 0


def test_whoever_is_no_stage_bears_nothing(protocol):
    lose_new_vault(protocol)
    assert protocol.read(CALL, "stranger") == 0


@pytest.mark.parametrize("claimed", [2**224, MAX_UINT256])
def test_a_stage_that_claims_what_nobody_can_hold_counts_as_nothing(lying, claimed):
    deficit = lying.read("VaultEngine.deficit_of", XAU)
    lying.do("BufferStage.claim", claimed, 0, 0, sender="stranger")
    assert lying.read(CALL, "ReserveStage") == deficit
    lying.do("BufferStage.claim", RAD, 0, 0, sender="stranger")
    assert lying.read(CALL, "ReserveStage") == deficit - RAD


def test_a_single_rad_is_a_loss_as_well(slow):
    left = slow.read("VaultEngine.deficit_of", XAU)
    slow.do("ScriptedStage.claim", left - 1, 0, left - 1, sender="stranger")
    slow.do("LossWaterfall.cover", XAU, sender="stranger")
    slow.do("ScriptedStage.pay", XAU, left - 1, sender="buyer")
    assert slow.read("LossWaterfall.pending_total") == 1
    assert slow.read(CALL, "BufferStage") == 1


def test_what_a_stage_has_reserved_has_reached_it_already(slow):
    deficit = slow.read("VaultEngine.deficit_of", XAU)
    assert slow.read(CALL, "ScriptedStage") == deficit
    reserve_deficit_part(slow, 3_000 * RAD)
    assert slow.read(CALL, "ScriptedStage") == deficit - 3_000 * RAD
    slow.do("ScriptedStage.pay", XAU, 1_000 * RAD, sender="buyer")
    assert slow.read(CALL, "ScriptedStage") == deficit - 3_000 * RAD


def test_what_another_has_reserved_it_may_give_up(slow):
    before = slow.read(CALL, "Savings")
    reserve_deficit_part(slow, slow.read("VaultEngine.deficit_of", XAU))
    assert slow.read(CALL, "Savings") == before > 0
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    assert slow.read(CALL, "Savings") == before

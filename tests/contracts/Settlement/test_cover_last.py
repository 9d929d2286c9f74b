"""cover_last: the stages of a type pay a last time, in a call of its own."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.model.arithmetic import RAD
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import WBTC, WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU, lose_new_vault
from tests.support.settlement_steps import (
    cover_and_fix_redemption_rates,
    cover_deficits_last_time,
    list_indebted_vaults,
    skim_vault_and_read_amounts,
    start_settlement,
)

CALL = "Settlement.cover_last"


def test_what_is_left_is_kept(sunk):
    skim_vault_and_read_amounts(sunk, WETH, "borrower")
    deficit = sunk.read("VaultEngine.deficit_of", WETH)
    left = sunk.do(CALL, WETH, sender="stranger")
    assert 0 < left < deficit
    assert left == sunk.read("VaultEngine.deficit_of", WETH) == sunk.read("Settlement.left_of", WETH)
    assert get_only_event_values(sunk, "CoveredLast", "Settlement") == (WETH, left)


def test_in_any_order_with_the_other_types(sunk):
    skim_vault_and_read_amounts(sunk, WETH, "borrower")
    cover_deficits_last_time(sunk)
    for c, who in ((WBTC, "neighbour"), (XAU, "third")):
        skim_vault_and_read_amounts(sunk, c, who)
    cover_and_fix_redemption_rates(sunk)
    assert sunk.read("Settlement.progress_of").fixed_at == sunk.timestamp


def test_of_a_type_without_a_deficit(priced):
    with reverts("loss_waterfall: no deficit"):
        priced.do(CALL, WETH, sender="stranger")


def test_waits_for_what_a_stage_has_reserved(new_protocol):
    """Otherwise what it then does not pay would be left to holders, past the stages behind it."""
    protocol = new_protocol(replace(build_standard_parameters(), stages=(StageParameters("scripted"),)))
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    lose_new_vault(protocol)
    protocol.do("ScriptedStage.claim", 1_000 * RAD, 0, 1_000 * RAD, sender="stranger")
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    start_settlement(protocol)
    with reverts("settlement: stages are busy"):
        protocol.do(CALL, XAU, sender="stranger")


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_not_before_settlement(protocol, sender):
    lose_new_vault(protocol)
    with reverts("settlement: not begun"):
        protocol.do(CALL, XAU, sender=sender)


def test_not_after_it(sunk):
    for c, owner in list_indebted_vaults(sunk):
        skim_vault_and_read_amounts(sunk, c, owner)
    cover_and_fix_redemption_rates(sunk)
    with reverts("settlement: is fixed"):
        sunk.do(CALL, WETH, sender="stranger")

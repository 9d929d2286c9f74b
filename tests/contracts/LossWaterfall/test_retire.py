"""retire: the record of a type that is taken off the list is closed, once no stage sells for it."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD
from backstop.proof.local_protocol import PRICES
from tests.support.deficit_reservation_steps import reserve_deficit_part
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import XAU, give_stablecoin

CALL = "LossWaterfall.retire"


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_the_ledger_only(protocol, sender):
    with reverts("loss_waterfall: not vault engine"):
        protocol.do(CALL, XAU, sender=sender)


def pay(protocol) -> None:
    """Pay the whole deficit from an account with a stage's role, past the waterfall; sell salvage."""
    protocol.post_price("XAU", PRICES["XAU"] // 10**7)
    id = protocol.do("CollateralAuction.sell_salvage", XAU, sender="stranger")
    protocol.do("CollateralAuction.take", id, MAX_UINT256, MAX_UINT256, "buyer", b"", sender="buyer")
    # What is reserved is more than the deficit then, until the sale ends.
    protocol.lockstep.state_check = None
    deficit = protocol.read("VaultEngine.deficit_of", XAU)
    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    give_stablecoin(protocol, "donor", -(-deficit // 10**27))
    protocol.do("VaultEngine.cover_from_tokens", XAU, "donor", deficit, sender="donor")


def retire(protocol) -> None:
    protocol.do("VaultEngine.retire_collateral_type", XAU, sender="admin")


def test_not_while_a_stage_sells_for_it(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    pay(slow)
    with reverts("loss_waterfall: stages sell"):
        retire(slow)
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    retire(slow)


def test_what_was_repaid_past_the_stages_is_recovered(slow):
    pay(slow)
    assert slow.read("LossWaterfall.pending_total") != 0
    retire(slow)
    assert slow.read("LossWaterfall.pending_total") == 0
    assert [log.event for log in slow.last.logs if log.contract == "LossWaterfall"] == ["LossRecovered"]

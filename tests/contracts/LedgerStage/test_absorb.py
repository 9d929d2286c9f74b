"""absorb: the buffer or the reserve pays, exactly, at the waterfall's call alone."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused, reverts
from tests.support.saver_steps import XAU, deposit_savings, lose_new_vault


@pytest.mark.parametrize("stage", ["BufferStage", "ReserveStage"])
@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_the_waterfall_may_call(protocol, stage, sender):
    with reverts("ledger_stage: not loss waterfall"):
        protocol.do(f"{stage}.absorb", XAU, 1, sender=sender)


def test_both_pay_all_that_they_hold_before_the_pool_pays(protocol):
    deposit_savings(protocol, "saver", 40_000 * WAD)
    protocol.earn_fees("XAU")
    lose_new_vault(protocol, debt=30_000 * WAD)
    buffer, reserve = protocol.read("VaultEngine.buffer_of", XAU), protocol.read("VaultEngine.reserve")
    deficit = protocol.read("VaultEngine.deficit_of", XAU)
    assert buffer % RAY and 0 < buffer + reserve < deficit
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    paid = [log.values[3] for log in protocol.last.logs if log.event == "LossCovered"]
    assert paid[:2] == [buffer, reserve]
    assert protocol.read("VaultEngine.buffer_of", XAU) == 0
    assert protocol.read("VaultEngine.reserve") < RAY  # the rounding of the pool's payment


def test_a_buffer_pays_for_its_own_type_only(protocol):
    protocol.earn_fees("WBTC")
    buffer = protocol.read("VaultEngine.buffer_of", 1)
    lose_new_vault(protocol)
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    assert protocol.read("VaultEngine.buffer_of", 1) == buffer > 0


def test_there_are_three_accounts(protocol):
    wiring = protocol.address("VaultEngine"), protocol.address("LossWaterfall")
    assert protocol.read("BufferStage.ACCOUNT") == 0
    assert protocol.read("ReserveStage.ACCOUNT") == 1
    assert protocol.read("BufferStage.VAULT_ENGINE") == wiring[0]
    assert protocol.read("BufferStage.LOSS_WATERFALL") == wiring[1]
    for account in (3, 2**256 - 1):
        check_contract_creation_refused(
            protocol, "LedgerStage", *wiring, account, reason="ledger_stage: unknown account"
        )

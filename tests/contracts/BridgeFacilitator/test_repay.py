"""repay: any account repays debt, in every state of the bridge; in settlement for the notes."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.facilitator_steps import (
    ROLLUP,
    announce_loss,
    deploy_protocol_with_facilitators,
    pay_facilitator,
    read_bridge_debt,
    read_bridge_debt_at_risk,
    read_notes_in_facilitator_vault,
)
from tests.support.guard_steps import CAUTION, EMERGENCY, with_guards
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement
from tests.support.vault_size_margin_and_call_steps import set_mode_as_circuit_breaker

K = 1_000 * WAD


def test_in_part(owing):
    assert pay_facilitator(owing, 30 * K) == 30 * K
    assert get_only_event_values(owing, "Repaid", "Rollup") == (owing.address("receiver"), 30 * K)
    assert read_bridge_debt(owing) == 70 * K * RAY
    assert read_stablecoins(owing, "receiver") == 70 * K == owing.read("Stablecoin.totalSupply")
    assert read_notes_in_facilitator_vault(owing) == 100 * K


def test_by_anyone(owing):
    owing.do("Stablecoin.transfer", "stranger", K, sender="receiver")
    assert pay_facilitator(owing, K, who="stranger") == K


@pytest.mark.parametrize("amount", [100 * K + 1, MAX_UINT256])
def test_no_more_than_the_debt(owing, amount):
    assert pay_facilitator(owing, amount) == 100 * K
    assert read_bridge_debt(owing) == 0
    assert pay_facilitator(owing, amount) == 0


def test_with_an_allowance(owing):
    with reverts("erc20: insufficient allowance"):
        owing.do("Rollup.repay", 1, sender="receiver")


def test_nothing_stays_at_the_facilitator(owing):
    pay_facilitator(owing, 7)
    assert read_stablecoins(owing, "Rollup") == 0


@pytest.mark.parametrize("mode", [CAUTION, EMERGENCY])
def test_in_every_mode(new_protocol, mode):
    protocol = deploy_protocol_with_facilitators(new_protocol, with_guards())
    protocol.do("Rollup.draw", K, "receiver", sender="bridge")
    set_mode_as_circuit_breaker(protocol, mode)
    assert pay_facilitator(protocol, K) == K


def test_with_a_loss_announced_the_doubt_stays_whole(owing):
    """The remaining collateral is worth less of the debt than before: the loss is the same."""
    announce_loss(owing, 40 * K)
    pay_facilitator(owing, 30 * K)
    assert (
        40 * K * RAY
        <= read_bridge_debt_at_risk(owing)
        < 40 * K * RAY + read_notes_in_facilitator_vault(owing)
    )
    pay_facilitator(owing, 50 * K)
    assert read_bridge_debt_at_risk(owing) == read_bridge_debt(owing) == 20 * K * RAY


def test_whoever_else_repays_its_vault(owing):
    """At the vault engine, as for any vault."""
    owing.do("VaultEngine.repay_and_withdraw", ROLLUP, "Rollup", 30 * K, 0, "receiver", sender="receiver")
    assert read_bridge_debt(owing) == 70 * K * RAY


def test_in_settlement_it_is_kept_for_the_notes(owing):
    start_settlement(owing)
    assert pay_facilitator(owing, 30 * K) == 30 * K
    assert owing.read("Rollup.paid") == read_stablecoins(owing, "Rollup") == 30 * K
    assert read_bridge_debt(owing) == 100 * K * RAY

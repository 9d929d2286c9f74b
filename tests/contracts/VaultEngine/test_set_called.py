"""set_called: the liquidation engine notes a margin call."""

import pytest

from tests.support.auction_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    allow_calls,
    margin_call_ether_vault_as_stranger,
    open_vault_below_call_ratio,
    read_call_time,
)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_the_liquidation_engine_alone(guarded, sender):
    with reverts("vault_engine: only liquidation"):
        guarded.do("VaultEngine.set_called", WETH, "borrower", sender=sender)


def test_notes_the_time_beside_the_vault(guarded):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    before = guarded.read("VaultEngine.vault", WETH, "borrower")
    assert before.called_at == 0
    margin_call_ether_vault_as_stranger(guarded)
    assert guarded.read("VaultEngine.vault", WETH, "borrower") == before._replace(called_at=guarded.timestamp)
    assert read_call_time(guarded, "stranger") == 0

"""set_called: the liquidation engine notes a margin call."""

import pytest

from tests.support.auction_steps import WETH
from tests.support.helpers import reverts
from tests.support.risk_policy_steps import allow_calls, call_vault, open_callable_vault, read_call_time


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_the_liquidation_engine_alone(guarded, sender):
    with reverts("vault_engine: only liquidation"):
        guarded.do("VaultEngine.set_called", WETH, "borrower", sender=sender)


def test_notes_the_time_beside_the_vault(guarded):
    allow_calls(guarded)
    open_callable_vault(guarded)
    before = guarded.read("VaultEngine.vault", WETH, "borrower")
    assert before.called_at == 0
    call_vault(guarded)
    assert guarded.read("VaultEngine.vault", WETH, "borrower") == before._replace(called_at=guarded.timestamp)
    assert read_call_time(guarded, "stranger") == 0

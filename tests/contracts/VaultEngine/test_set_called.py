"""set_called: the liquidation engine notes a margin call."""

import pytest

from tests.support.auctions import WETH
from tests.support.helpers import reverts
from tests.support.policy import allow_calls, call, called_at, open_between


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_the_liquidation_engine_alone(guarded, sender):
    with reverts("vault_engine: only liquidation"):
        guarded.do("VaultEngine.set_called", WETH, "borrower", sender=sender)


def test_notes_the_time_beside_the_vault(guarded):
    allow_calls(guarded)
    open_between(guarded)
    before = guarded.read("VaultEngine.vault", WETH, "borrower")
    assert before.called_at == 0
    call(guarded)
    assert guarded.read("VaultEngine.vault", WETH, "borrower") == before._replace(called_at=guarded.timestamp)
    assert called_at(guarded, "stranger") == 0

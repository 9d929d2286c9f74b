"""seize: for one caller only; its effects are seen in the tests of liquidations and auctions."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_nobody_else_may_call(protocol, sender):
    with reverts("vault_engine: only liquidation"):
        protocol.do("VaultEngine.seize", 0, "borrower", 0, 0, "stranger", 0, sender=sender)

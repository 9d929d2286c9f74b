"""release: for one caller only; its effects are seen in the tests of liquidations and auctions."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_nobody_else_may_call(protocol, sender):
    with reverts("vault_engine: only auction"):
        protocol.do("VaultEngine.release", 0, 0, "stranger", sender=sender)

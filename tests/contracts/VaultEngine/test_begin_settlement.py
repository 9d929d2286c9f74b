"""begin_settlement: for one caller only; its effects are seen in the tests of settlement."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_nobody_else_may_call(protocol, sender):
    with reverts("vault_engine: only settlement"):
        protocol.do("VaultEngine.begin_settlement", sender=sender)

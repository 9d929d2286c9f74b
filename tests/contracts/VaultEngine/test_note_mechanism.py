"""note_mechanism: the liquidation engine alone says that a mechanism sells a type's vaults."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_the_liquidation_engine_only(protocol, sender):
    with reverts("vault_engine: only liquidation"):
        protocol.do("VaultEngine.note_mechanism", 0, sender=sender)

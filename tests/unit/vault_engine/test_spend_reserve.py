"""spend_reserve: the treasury alone pays out of the reserve."""

import pytest

from tests.helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_only_the_treasury(protocol, sender):
    with reverts("vault_engine: only treasury"):
        protocol.do("VaultEngine.spend_reserve", 1, sender, sender=sender)

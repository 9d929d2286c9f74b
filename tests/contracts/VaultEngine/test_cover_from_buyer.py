"""cover_from_buyer: a stage's reservation is paid with its buyer's stablecoin."""

import pytest

from backstop.model.arithmetic import RAD
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "saver"])
def test_only_the_waterfall(protocol, sender):
    with reverts("loss_cover: only waterfall"):
        protocol.do("VaultEngine.cover_from_buyer", 0, "saver", sender, RAD, sender=sender)

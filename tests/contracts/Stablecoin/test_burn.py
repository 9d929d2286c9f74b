"""burn: supply is a figure of the ledger, so the ledger alone destroys stablecoin."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "borrower", "guardian"])
def test_only_the_ledger(protocol, sender):
    with reverts("stablecoin: not ledger"):
        protocol.do("Stablecoin.burn", "saver", WAD, sender=sender)


def test_the_ledger_gets_the_new_supply(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    supply = protocol.read("Stablecoin.totalSupply")
    assert supply == 6_000 * WAD == protocol.read("Stablecoin.balanceOf", "borrower")
    protocol.do(
        "VaultEngine.repay_and_withdraw", 0, "borrower", 1_000 * WAD, 0, "borrower", sender="borrower"
    )
    assert protocol.read("Stablecoin.totalSupply") == 5_000 * WAD

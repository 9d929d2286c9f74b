"""approve_operator: an owner lets another account act, and can stop it."""

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts

WETH = 0


def test_an_operator_can_be_approved_and_stopped(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.do("VaultEngine.approve_operator", "stranger", True, sender="borrower")
    assert protocol.read("VaultEngine.operators", "borrower", "stranger") is True
    protocol.do("VaultEngine.repay_and_withdraw", WETH, "borrower", 0, 1, "stranger", sender="stranger")
    protocol.do("VaultEngine.approve_operator", "stranger", False, sender="borrower")
    with reverts("vault_engine: not approved"):
        protocol.do("VaultEngine.repay_and_withdraw", WETH, "borrower", 0, 1, "stranger", sender="stranger")


def test_an_approval_is_for_ones_own_vaults_only(protocol):
    protocol.do("VaultEngine.approve_operator", "stranger", True, sender="saver")
    assert protocol.read("VaultEngine.operators", "borrower", "stranger") is False

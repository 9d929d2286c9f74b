"""The constructor and the deployment: the contracts that the guard is wired to."""

from backstop.evm_crypto import keccak256


def test_is_wired(guarded):
    assert guarded.read("AutoCeiling.VAULT_ENGINE") == guarded.address("VaultEngine")
    assert guarded.read("AutoCeiling.admin") == guarded.address("admin")
    assert guarded.read("VaultEngine.has_role", keccak256(b"CEILINGS"), "AutoCeiling")


def test_a_plain_deployment_has_none(protocol):
    assert "AutoCeiling" not in protocol.lockstep.addresses

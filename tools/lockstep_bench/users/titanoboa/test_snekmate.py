"""snekmate's vault."""

import boa
from vault_machine import VaultMachine

REASONS = {
    "asset balance": "erc20: transfer amount exceeds balance",
    "mint receiver": "erc20: mint to the zero address",
    "max withdraw": "erc4626: withdraw more than maximum",
    "max redeem": "erc4626: redeem more than maximum",
    "allowance": "erc20: insufficient allowance",
    "approver": "erc20: approve from the zero address",
    "spender": "erc20: approve to the zero address",
    "receiver": "erc20: transfer to the zero address",
    "balance": "erc20: transfer amount exceeds balance",
}
ASSET, VAULT = boa.load_partial("contracts/Asset.vy"), boa.load_partial("contracts/Vault.vy")


class SnekmateMachine(VaultMachine):
    def deploy(self):
        asset = ASSET.deploy()
        return asset, VAULT.deploy(asset)

    def reverts(self, failure):
        return boa.reverts(REASONS[failure])

    def check_event(self, name, **values):
        event = self.vault.get_logs()[-1]
        assert type(event).__name__ == name
        assert {field: getattr(event, field) for field in values} == values


TestVault = SnekmateMachine.TestCase

"""snekmate's vault."""

from vault_machine import VaultMachine


class SnekmateMachine(VaultMachine):
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


TestVault = SnekmateMachine.TestCase

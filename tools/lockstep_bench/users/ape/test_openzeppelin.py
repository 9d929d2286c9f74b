"""OpenZeppelin's vault."""

from ape import reverts
from vault_machine import VaultMachine

ERRORS = {
    "asset balance": "ERC20InsufficientBalance",
    "mint receiver": "ERC20InvalidReceiver",
    "max withdraw": "ERC4626ExceededMaxWithdraw",
    "max redeem": "ERC4626ExceededMaxRedeem",
    "allowance": "ERC20InsufficientAllowance",
    "approver": "ERC20InvalidApprover",
    "spender": "ERC20InvalidSpender",
    "receiver": "ERC20InvalidReceiver",
    "balance": "ERC20InsufficientBalance",
}


class OpenZeppelinMachine(VaultMachine):
    def reverts(self, failure):
        return reverts(getattr(self.vault, ERRORS[failure]))


TestVault = OpenZeppelinMachine.TestCase

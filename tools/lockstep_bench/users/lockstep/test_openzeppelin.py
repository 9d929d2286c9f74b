"""OpenZeppelin's vault."""

from vault_model import ACTIONS, PEOPLE, SETUP, VIEWS, Token, VaultToken

from backstop.lockstep import Campaign, Deployment, at, custom_error, external, require

ERRORS = {
    "sender": "ERC20InvalidSender",
    "receiver": "ERC20InvalidReceiver",
    "balance": "ERC20InsufficientBalance",
    "mint receiver": "ERC20InvalidReceiver",
    "allowance": "ERC20InsufficientAllowance",
    "approver": "ERC20InvalidApprover",
    "spender": "ERC20InvalidSpender",
    "burn owner": "ERC20InvalidSender",
    "burn": "ERC20InsufficientBalance",
    "max withdraw": "ERC4626ExceededMaxWithdraw",
    "max redeem": "ERC4626ExceededMaxRedeem",
}


class OpenZeppelinToken(Token):
    PATHS = ("_balances", "_allowances", "_totalSupply")

    def check(self, condition, failure, *values):
        require(condition, custom_error(ERRORS[failure], *values))

    def emit_spent(self, owner, spender, left):
        pass


class Asset(OpenZeppelinToken):
    @external
    def mint(self, sender, owner, amount):
        self.add_supply(owner, amount)


class Vault(VaultToken, OpenZeppelinToken):
    pass


campaign = Campaign(
    deployments=[Deployment("asset", Asset), Deployment("vault", Vault, [at("asset")])],
    actions=ACTIONS,
    accounts=PEOPLE,
    setup=SETUP,
    views=VIEWS,
    waits=(0,),
    artifacts=["artifacts/solc.json"],
)

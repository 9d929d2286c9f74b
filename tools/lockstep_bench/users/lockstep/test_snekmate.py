"""snekmate's vault."""

from vault_model import ACTIONS, PEOPLE, SETUP, VIEWS, Token, VaultToken

from backstop.lockstep import ZERO_ADDRESS, Campaign, Deployment, at, external, require

REASONS = {
    "sender": "erc20: transfer from the zero address",
    "receiver": "erc20: transfer to the zero address",
    "balance": "erc20: transfer amount exceeds balance",
    "mint receiver": "erc20: mint to the zero address",
    "allowance": "erc20: insufficient allowance",
    "approver": "erc20: approve from the zero address",
    "spender": "erc20: approve to the zero address",
    "burn owner": "erc20: burn from the zero address",
    "burn": "erc20: burn amount exceeds balance",
    "max withdraw": "erc4626: withdraw more than maximum",
    "max redeem": "erc4626: redeem more than maximum",
}


class SnekmateToken(Token):
    MODULE = ""

    def __init__(self, world, name, address):
        self.PATHS = [f"{self.MODULE}erc20.{name}" for name in ("balanceOf", "allowance", "totalSupply")]
        super().__init__(world, name, address)
        self.table(f"{self.MODULE}ownable.owner", ZERO_ADDRESS)[()] = world.deployer
        self.minters = self.table(f"{self.MODULE}erc20.is_minter", False)
        self.minters[world.deployer] = True

    def check(self, condition, failure, *values):
        require(condition, REASONS[failure])

    def emit_spent(self, owner, spender, left):
        self.emit("Approval", owner, spender, left)


class Asset(SnekmateToken):
    @external
    def mint(self, sender, owner, amount):
        require(self.minters[sender], "erc20: access is denied")
        self.add_supply(owner, amount)


class Vault(VaultToken, SnekmateToken):
    MODULE, OVERFLOW = "erc4626.", "math: mul_div overflow"


campaign = Campaign(
    deployments=[Deployment("asset", Asset), Deployment("vault", Vault, [at("asset")])],
    actions=ACTIONS,
    accounts=PEOPLE,
    setup=SETUP,
    views=VIEWS,
    waits=(0,),
)

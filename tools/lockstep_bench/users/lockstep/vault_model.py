"""Models of an ERC-20 and of an ERC-4626 vault, and the calls that are tried on them and on the contracts."""

from backstop.lockstep import (
    ZERO_ADDRESS,
    Call,
    Contract,
    account,
    action,
    at,
    check_uint,
    external,
    require,
    view,
)

FUNDS, VIRTUAL_SHARES, INFINITE = 10**24, 10**3, 2**256 - 1
PEOPLE = [account(name) for name in ("alice", "bob", "carol")]


class Token(Contract):
    PATHS = ()  # of balances, allowances and supply in the compiler's storage layout

    def __init__(self, world, name, address):
        super().__init__(world, name, address)
        self.balances, self.allowances, self.supply = map(self.table, self.PATHS)

    def spend_allowance(self, owner, spender, amount):
        allowed = self.allowances[owner, spender]
        if allowed < INFINITE:
            self.check(allowed >= amount, "allowance", spender, allowed, amount)
            self.check(owner != ZERO_ADDRESS, "approver", ZERO_ADDRESS)
            self.allowances[owner, spender] = allowed - amount
            self.emit_spent(owner, spender, allowed - amount)

    def move(self, owner, receiver, amount):
        self.check(owner != ZERO_ADDRESS, "sender", ZERO_ADDRESS)
        self.check(receiver != ZERO_ADDRESS, "receiver", ZERO_ADDRESS)
        self.check(self.balances[owner] >= amount, "balance", owner, self.balances[owner], amount)
        self.balances[owner] -= amount
        self.balances[receiver] += amount
        self.emit("Transfer", owner, receiver, amount)

    def add_supply(self, receiver, amount):
        self.check(receiver != ZERO_ADDRESS, "mint receiver", ZERO_ADDRESS)
        self.supply[()] = check_uint(self.supply[()] + amount)
        self.balances[receiver] += amount
        self.emit("Transfer", ZERO_ADDRESS, receiver, amount)

    @external
    def transfer(self, sender, receiver, amount):
        self.move(sender, receiver, amount)
        return True

    @external
    def transferFrom(self, sender, owner, receiver, amount):
        self.spend_allowance(owner, sender, amount)
        self.move(owner, receiver, amount)
        return True

    @external
    def approve(self, sender, spender, amount):
        self.check(spender != ZERO_ADDRESS, "spender", ZERO_ADDRESS)
        self.allowances[sender, spender] = amount
        self.emit("Approval", sender, spender, amount)
        return True


class VaultToken(Token):
    OVERFLOW = ""  # the reason where a product does not fit, divided

    def __init__(self, world, name, address, asset):
        super().__init__(world, name, address)
        self.token = world.at(asset)

    def divide(self, product, divisor, up):
        require(product // divisor <= INFINITE, self.OVERFLOW)
        return check_uint(-(-product // divisor) if up else product // divisor)

    def to_shares(self, assets, up=False):
        return self.divide(assets * (self.supply[()] + VIRTUAL_SHARES), self.totalAssets("") + 1, up)

    def to_assets(self, shares, up=False):
        return self.divide(shares * (self.totalAssets("") + 1), self.supply[()] + VIRTUAL_SHARES, up)

    def enter(self, sender, receiver, assets, shares):
        self.token.transferFrom(self.address, sender, self.address, assets)
        self.add_supply(receiver, shares)
        self.emit("Deposit", sender, receiver, assets, shares)

    def leave(self, sender, receiver, owner, assets, shares):
        if sender != owner:
            self.spend_allowance(owner, sender, shares)
        self.check(owner != ZERO_ADDRESS, "burn owner", ZERO_ADDRESS)
        self.check(self.balances[owner] >= shares, "burn", owner, self.balances[owner], shares)
        self.balances[owner] -= shares
        self.supply[()] -= shares
        self.emit("Transfer", owner, ZERO_ADDRESS, shares)
        self.token.transfer(self.address, receiver, assets)
        self.emit("Withdraw", sender, receiver, owner, assets, shares)

    @external
    def deposit(self, sender, assets, receiver):
        shares = self.to_shares(assets)
        self.enter(sender, receiver, assets, shares)
        return shares

    @external
    def mint(self, sender, shares, receiver):
        assets = self.to_assets(shares, up=True)
        self.enter(sender, receiver, assets, shares)
        return assets

    @external
    def withdraw(self, sender, assets, receiver, owner):
        most = self.maxWithdraw(sender, owner)
        self.check(assets <= most, "max withdraw", owner, assets, most)
        shares = self.to_shares(assets, up=True)
        self.leave(sender, receiver, owner, assets, shares)
        return shares

    @external
    def redeem(self, sender, shares, receiver, owner):
        most = self.balances[owner]
        self.check(shares <= most, "max redeem", owner, shares, most)
        assets = self.to_assets(shares)
        self.leave(sender, receiver, owner, assets, shares)
        return assets

    @view
    def totalAssets(self, sender):
        return self.token.balances[self.address]

    @view
    def maxWithdraw(self, sender, owner):
        return self.to_assets(self.balances[owner])

    @view
    def maxRedeem(self, sender, owner):
        return self.balances[owner]

    @view
    def maxDeposit(self, sender, receiver):
        return INFINITE

    @view
    def maxMint(self, sender, receiver):
        return INFINITE

    @view
    def previewDeposit(self, sender, assets):
        return self.to_shares(assets)

    @view
    def previewMint(self, sender, shares):
        return self.to_assets(shares, up=True)

    @view
    def previewWithdraw(self, sender, assets):
        return self.to_shares(assets, up=True)

    @view
    def previewRedeem(self, sender, shares):
        return self.to_assets(shares)

    @view
    def convertToShares(self, sender, assets):
        return self.to_shares(assets)

    @view
    def convertToAssets(self, sender, shares):
        return self.to_assets(shares)

    @view
    def asset(self, sender):
        return self.token.address

    @view
    def name(self, sender):
        return "Vault"

    @view
    def symbol(self, sender):
        return "VLT"

    @view
    def decimals(self, sender):
        return 9


def draw_anyone(draw):
    return draw.choice([*PEOPLE, ZERO_ADDRESS])


@action()
def deposit(draw, state):
    sender = draw.draw_account()
    assets = draw.draw_amount(state.asset.balances[sender])
    return Call("vault.deposit", assets, draw_anyone(draw), sender=sender)


@action()
def mint(draw, state):
    sender = draw.draw_account()
    shares = draw.draw_amount(state.vault.to_shares(state.asset.balances[sender]))
    return Call("vault.mint", shares, draw_anyone(draw), sender=sender)


@action()
def withdraw(draw, state):
    owner = draw_anyone(draw)
    assets = draw.draw_amount(state.vault.maxWithdraw("", owner))
    return Call("vault.withdraw", assets, draw_anyone(draw), owner, sender=draw.draw_account())


@action()
def redeem(draw, state):
    owner = draw_anyone(draw)
    shares = draw.draw_amount(state.vault.balances[owner])
    return Call("vault.redeem", shares, draw_anyone(draw), owner, sender=draw.draw_account())


@action()
def transfer(draw, state):
    sender = draw.draw_account()
    shares = draw.draw_amount(state.vault.balances[sender])
    return Call("vault.transfer", draw_anyone(draw), shares, sender=sender)


@action()
def transfer_from(draw, state):
    owner = draw_anyone(draw)
    shares = draw.draw_amount(state.vault.balances[owner])
    return Call("vault.transferFrom", owner, draw_anyone(draw), shares, sender=draw.draw_account())


@action()
def approve(draw, state):
    shares = draw.choice([INFINITE, draw.draw_amount(FUNDS)])
    return Call("vault.approve", draw_anyone(draw), shares, sender=draw.draw_account())


@action()
def donate(draw, state):
    sender = draw.draw_account()
    assets = draw.draw_amount(state.asset.balances[sender])
    return Call("asset.transfer", at("vault"), assets, sender=sender)


ACTIONS = [deposit, mint, withdraw, redeem, transfer, transfer_from, approve, donate]
FUNDING = [
    call
    for person in PEOPLE
    for call in (
        Call("asset.mint", person, FUNDS, sender=account("deployer")),
        Call("asset.approve", at("vault"), INFINITE, sender=person),
    )
]
SETUP = [*FUNDING, *(Call(f"vault.{name}") for name in ("name", "symbol", "decimals", "asset"))]
VIEWS = [
    Call("vault.totalAssets"),
    *(Call(f"vault.convertTo{name}", 10**18 + 1) for name in ("Shares", "Assets")),
    *(Call(f"vault.preview{name}", 10**18 + 1) for name in ("Deposit", "Mint", "Withdraw", "Redeem")),
    *(Call(f"vault.max{name}", PEOPLE[0]) for name in ("Deposit", "Mint", "Withdraw", "Redeem")),
]

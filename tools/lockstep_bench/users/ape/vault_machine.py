"""An ERC-4626 vault against ghost balances: Hypothesis chooses, Ape sends to Anvil; each rule is one call."""

from functools import partial

from ape import accounts, chain, project, reverts
from ape_ethereum import multicall
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

FUNDS, VIRTUAL_SHARES, INFINITE = 10**24, 10**3, 2**256 - 1
ZERO = "0x" + "00" * 20
CALLERS, ANYONE = st.integers(0, 2), st.integers(0, 3)  # of alice, bob, carol and the zero address
PARTS = st.one_of(st.sampled_from(["nothing", "all", "too much"]), st.integers(0, FUNDS))


def choose_amount(part, limit):
    ends = {"nothing": 0, "all": limit, "too much": limit + 1}
    return ends[part] if part in ends else part % (limit + 1)


def divide(product, divisor, up):
    return -(-product // divisor) if up else product // divisor


class VaultMachine(RuleBasedStateMachine):
    REASONS = {}
    deployed = None

    def __init__(self):
        super().__init__()
        self.people = [*(account.address for account in accounts.test_accounts[1:4]), ZERO]
        self.senders = accounts.test_accounts[1:4]
        if type(self).deployed is None:
            type(self).deployed = self.deploy()
        self.asset, self.vault = self.deployed
        self.start = chain.snapshot()
        self.funds, self.shares = [FUNDS] * 3, [0] * 4
        self.allowed = {(owner, spender): 0 for owner in range(4) for spender in range(3)}
        self.supply = self.managed = 0

    def deploy(self):
        multicall.BaseMulticall.inject()
        deployer = accounts.test_accounts[0]
        asset = deployer.deploy(project.Asset)
        vault = deployer.deploy(project.Vault, asset)
        for sender in self.senders:
            asset.mint(sender, FUNDS, sender=deployer)
            asset.approve(vault, INFINITE, sender=sender)
        assert vault.asset() == asset.address
        assert (vault.name(), vault.symbol(), vault.decimals()) == ("Vault", "VLT", 9)
        return asset, vault

    def teardown(self):
        chain.restore(self.start)

    def compute_shares(self, assets, up=False):
        return divide(assets * (self.supply + VIRTUAL_SHARES), self.managed + 1, up)

    def compute_assets(self, shares, up=False):
        return divide(shares * (self.managed + 1), self.supply + VIRTUAL_SHARES, up)

    def find_allowance_failure(self, owner, spender, shares):
        if self.allowed[owner, spender] < shares:
            return "allowance"
        return "approver" if owner == 3 else None

    def spend_allowance(self, owner, spender, shares):
        if self.allowed[owner, spender] != INFINITE:
            self.allowed[owner, spender] -= shares

    def reverts(self, failure):
        return reverts(self.REASONS[failure])

    def enter(self, caller, receiver, assets, shares, method, *args):
        if assets > self.funds[caller] or receiver == 3:
            with self.reverts("asset balance" if assets > self.funds[caller] else "mint receiver"):
                method(*args, sender=self.senders[caller])
            return
        receipt = method(*args, sender=self.senders[caller])
        assert receipt.events[-1] == self.vault.Deposit(
            self.people[caller], self.people[receiver], assets, shares
        )
        self.funds[caller] -= assets
        self.managed += assets
        self.shares[receiver] += shares
        self.supply += shares

    @rule(caller=CALLERS, receiver=ANYONE, part=PARTS)
    def deposit(self, caller, receiver, part):
        assets = choose_amount(part, self.funds[caller])
        shares = self.compute_shares(assets)
        assert self.vault.previewDeposit(assets) == self.vault.convertToShares(assets) == shares
        assert self.vault.maxDeposit(self.people[receiver]) == INFINITE
        self.enter(caller, receiver, assets, shares, self.vault.deposit, assets, self.people[receiver])

    @rule(caller=CALLERS, receiver=ANYONE, part=PARTS)
    def mint(self, caller, receiver, part):
        shares = choose_amount(part, self.compute_shares(self.funds[caller]))
        assets = self.compute_assets(shares, up=True)
        assert self.vault.previewMint(shares) == assets
        assert self.vault.maxMint(self.people[receiver]) == INFINITE
        self.enter(caller, receiver, assets, shares, self.vault.mint, shares, self.people[receiver])

    def leave(self, caller, receiver, owner, assets, shares, failure, method, amount):
        call = partial(method, amount, self.people[receiver], self.people[owner], sender=self.senders[caller])
        if failure is None and caller != owner:
            failure = self.find_allowance_failure(owner, caller, shares)
        if failure is None and shares > self.shares[owner]:
            failure = "balance"
        if failure is None and receiver == 3:
            failure = "receiver"
        if failure is not None:
            with self.reverts(failure):
                call()
            return
        people = [self.people[each] for each in (caller, receiver, owner)]
        assert call().events[-1] == self.vault.Withdraw(*people, assets, shares)
        if caller != owner:
            self.spend_allowance(owner, caller, shares)
        self.shares[owner] -= shares
        self.supply -= shares
        self.managed -= assets
        self.funds[receiver] += assets

    @rule(caller=CALLERS, receiver=ANYONE, owner=ANYONE, part=PARTS)
    def withdraw(self, caller, receiver, owner, part):
        limit = self.compute_assets(self.shares[owner])
        assets = choose_amount(part, limit)
        shares = self.compute_shares(assets, up=True)
        assert self.vault.maxWithdraw(self.people[owner]) == limit
        assert self.vault.previewWithdraw(assets) == shares
        failure = "max withdraw" if assets > limit else None
        self.leave(caller, receiver, owner, assets, shares, failure, self.vault.withdraw, assets)

    @rule(caller=CALLERS, receiver=ANYONE, owner=ANYONE, part=PARTS)
    def redeem(self, caller, receiver, owner, part):
        shares = choose_amount(part, self.shares[owner])
        assets = self.compute_assets(shares)
        assert self.vault.maxRedeem(self.people[owner]) == self.shares[owner]
        assert self.vault.previewRedeem(shares) == self.vault.convertToAssets(shares) == assets
        failure = "max redeem" if shares > self.shares[owner] else None
        self.leave(caller, receiver, owner, assets, shares, failure, self.vault.redeem, shares)

    def move(self, owner, receiver, shares, failure, call):
        if failure is None and receiver == 3:
            failure = "receiver"
        if failure is None and shares > self.shares[owner]:
            failure = "balance"
        if failure is not None:
            with self.reverts(failure):
                call()
            return False
        assert call().events[-1] == self.vault.Transfer(self.people[owner], self.people[receiver], shares)
        self.shares[owner] -= shares
        self.shares[receiver] += shares
        return True

    @rule(caller=CALLERS, receiver=ANYONE, part=PARTS)
    def transfer(self, caller, receiver, part):
        shares = choose_amount(part, self.shares[caller])
        call = partial(self.vault.transfer, self.people[receiver], shares, sender=self.senders[caller])
        self.move(caller, receiver, shares, None, call)

    @rule(caller=CALLERS, owner=ANYONE, receiver=ANYONE, part=PARTS)
    def transfer_from(self, caller, owner, receiver, part):
        shares = choose_amount(part, self.shares[owner])
        failure = self.find_allowance_failure(owner, caller, shares)
        people = self.people[owner], self.people[receiver]
        call = partial(self.vault.transferFrom, *people, shares, sender=self.senders[caller])
        if self.move(owner, receiver, shares, failure, call):
            self.spend_allowance(owner, caller, shares)

    @rule(caller=CALLERS, spender=ANYONE, shares=st.one_of(st.integers(0, FUNDS), st.just(INFINITE)))
    def approve(self, caller, spender, shares):
        call = partial(self.vault.approve, self.people[spender], shares, sender=self.senders[caller])
        if spender == 3:
            with self.reverts("spender"):
                call()
            return
        assert call().events[-1] == self.vault.Approval(self.people[caller], self.people[spender], shares)
        self.allowed[caller, spender] = shares

    @rule(caller=CALLERS, part=PARTS)
    def donate(self, caller, part):
        assets = choose_amount(part, self.funds[caller])
        if assets > self.funds[caller]:
            return
        self.asset.transfer(self.vault, assets, sender=self.senders[caller])
        self.funds[caller] -= assets
        self.managed += assets

    @invariant()
    def ghosts_agree(self):
        views, ghosts = multicall.Call(), [self.supply, self.managed]
        views.add(self.vault.totalSupply)
        views.add(self.vault.totalAssets)
        for person in range(3):
            views.add(self.vault.balanceOf, self.people[person])
            views.add(self.asset.balanceOf, self.people[person])
            ghosts += [self.shares[person], self.funds[person]]
            for spender in range(3):
                views.add(self.vault.allowance, self.people[person], self.people[spender])
                ghosts.append(self.allowed[person, spender])
        assert list(views()) == ghosts

"""An ERC-4626 vault against ghost balances: Hypothesis chooses, titanoboa runs; each rule is one call."""

from functools import partial

import boa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

FUNDS, VIRTUAL_SHARES, INFINITE = 10**24, 10**3, 2**256 - 1
ZERO = "0x" + "00" * 20
PEOPLE = [boa.env.generate_address(name) for name in ("alice", "bob", "carol")]
CALLERS, ANYONE = st.sampled_from(PEOPLE), st.sampled_from([*PEOPLE, ZERO])
PARTS = st.one_of(st.sampled_from(["nothing", "all", "too much"]), st.integers(0, FUNDS))


def choose_amount(part, limit):
    ends = {"nothing": 0, "all": limit, "too much": limit + 1}
    return ends[part] if part in ends else part % (limit + 1)


def divide(product, divisor, up):
    return -(-product // divisor) if up else product // divisor


class VaultMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.asset, self.vault = self.deploy()
        self.funds, self.shares = dict.fromkeys(PEOPLE, FUNDS), dict.fromkeys([*PEOPLE, ZERO], 0)
        self.allowed = {(owner, spender): 0 for owner in self.shares for spender in PEOPLE}
        self.supply = self.managed = 0
        for person in PEOPLE:
            self.asset.mint(person, FUNDS)
            self.asset.approve(self.vault, INFINITE, sender=person)
        assert self.vault.asset() == self.asset.address
        assert (self.vault.name(), self.vault.symbol(), self.vault.decimals()) == ("Vault", "VLT", 9)

    def compute_shares(self, assets, up=False):
        return divide(assets * (self.supply + VIRTUAL_SHARES), self.managed + 1, up)

    def compute_assets(self, shares, up=False):
        return divide(shares * (self.managed + 1), self.supply + VIRTUAL_SHARES, up)

    def find_allowance_failure(self, owner, spender, shares):
        if self.allowed[owner, spender] < shares:
            return "allowance"
        return "approver" if owner == ZERO else None

    def spend_allowance(self, owner, spender, shares):
        if self.allowed[owner, spender] != INFINITE:
            self.allowed[owner, spender] -= shares

    def enter(self, caller, receiver, assets, shares, call):
        if assets > self.funds[caller] or receiver == ZERO:
            with self.reverts("asset balance" if assets > self.funds[caller] else "mint receiver"):
                call()
            return
        assert call() in (assets, shares)
        self.check_event("Deposit", sender=caller, owner=receiver, assets=assets, shares=shares)
        self.funds[caller] -= assets
        self.managed += assets
        self.shares[receiver] += shares
        self.supply += shares

    @rule(caller=CALLERS, receiver=ANYONE, part=PARTS)
    def deposit(self, caller, receiver, part):
        assets = choose_amount(part, self.funds[caller])
        shares = self.compute_shares(assets)
        assert self.vault.previewDeposit(assets) == self.vault.convertToShares(assets) == shares
        assert self.vault.maxDeposit(receiver) == INFINITE
        self.enter(
            caller, receiver, assets, shares, partial(self.vault.deposit, assets, receiver, sender=caller)
        )

    @rule(caller=CALLERS, receiver=ANYONE, part=PARTS)
    def mint(self, caller, receiver, part):
        shares = choose_amount(part, self.compute_shares(self.funds[caller]))
        assets = self.compute_assets(shares, up=True)
        assert self.vault.previewMint(shares) == assets
        assert self.vault.maxMint(receiver) == INFINITE
        self.enter(
            caller, receiver, assets, shares, partial(self.vault.mint, shares, receiver, sender=caller)
        )

    def leave(self, caller, receiver, owner, assets, shares, failure, call):
        if failure is None and caller != owner:
            failure = self.find_allowance_failure(owner, caller, shares)
        if failure is None and shares > self.shares[owner]:
            failure = "balance"
        if failure is None and receiver == ZERO:
            failure = "receiver"
        if failure is not None:
            with self.reverts(failure):
                call()
            return
        assert call() in (assets, shares)
        self.check_event(
            "Withdraw", sender=caller, receiver=receiver, owner=owner, assets=assets, shares=shares
        )
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
        assert self.vault.maxWithdraw(owner) == limit
        assert self.vault.previewWithdraw(assets) == shares
        failure = "max withdraw" if assets > limit else None
        call = partial(self.vault.withdraw, assets, receiver, owner, sender=caller)
        self.leave(caller, receiver, owner, assets, shares, failure, call)

    @rule(caller=CALLERS, receiver=ANYONE, owner=ANYONE, part=PARTS)
    def redeem(self, caller, receiver, owner, part):
        shares = choose_amount(part, self.shares[owner])
        assets = self.compute_assets(shares)
        assert self.vault.maxRedeem(owner) == self.shares[owner]
        assert self.vault.previewRedeem(shares) == self.vault.convertToAssets(shares) == assets
        failure = "max redeem" if shares > self.shares[owner] else None
        call = partial(self.vault.redeem, shares, receiver, owner, sender=caller)
        self.leave(caller, receiver, owner, assets, shares, failure, call)

    def move(self, owner, receiver, shares, failure, call):
        if failure is None and receiver == ZERO:
            failure = "receiver"
        if failure is None and shares > self.shares[owner]:
            failure = "balance"
        if failure is not None:
            with self.reverts(failure):
                call()
            return False
        assert call()
        self.check_event("Transfer", sender=owner, receiver=receiver, value=shares)
        self.shares[owner] -= shares
        self.shares[receiver] += shares
        return True

    @rule(caller=CALLERS, receiver=ANYONE, part=PARTS)
    def transfer(self, caller, receiver, part):
        shares = choose_amount(part, self.shares[caller])
        self.move(
            caller, receiver, shares, None, partial(self.vault.transfer, receiver, shares, sender=caller)
        )

    @rule(caller=CALLERS, owner=ANYONE, receiver=ANYONE, part=PARTS)
    def transfer_from(self, caller, owner, receiver, part):
        shares = choose_amount(part, self.shares[owner])
        failure = self.find_allowance_failure(owner, caller, shares)
        call = partial(self.vault.transferFrom, owner, receiver, shares, sender=caller)
        if self.move(owner, receiver, shares, failure, call):
            self.spend_allowance(owner, caller, shares)

    @rule(caller=CALLERS, spender=ANYONE, shares=st.one_of(st.integers(0, FUNDS), st.just(INFINITE)))
    def approve(self, caller, spender, shares):
        if spender == ZERO:
            with self.reverts("spender"):
                self.vault.approve(spender, shares, sender=caller)
            return
        assert self.vault.approve(spender, shares, sender=caller)
        self.check_event("Approval", owner=caller, spender=spender, value=shares)
        self.allowed[caller, spender] = shares

    @rule(caller=CALLERS, part=PARTS)
    def donate(self, caller, part):
        assets = choose_amount(part, self.funds[caller])
        if assets > self.funds[caller]:
            return
        self.asset.transfer(self.vault, assets, sender=caller)
        self.funds[caller] -= assets
        self.managed += assets

    @invariant()
    def ghosts_agree(self):
        assert self.vault.totalSupply() == self.supply
        assert self.vault.totalAssets() == self.managed
        for person in PEOPLE:
            assert self.vault.balanceOf(person) == self.shares[person]
            assert self.asset.balanceOf(person) == self.funds[person]
            for spender in PEOPLE:
                assert self.vault.allowance(person, spender) == self.allowed[person, spender]

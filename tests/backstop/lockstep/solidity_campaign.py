"""A campaign of the contracts in tests/data/lockstep/Vault.sol: packed slots, structs, arrays, errors."""

from __future__ import annotations

from typing import Any, NamedTuple

from backstop.lockstep import (
    MAX_UINT256,
    ZERO_ADDRESS,
    Call,
    Campaign,
    Contract,
    Deployment,
    Wait,
    account,
    action,
    at,
    check_uint,
    custom_error,
    declare_record_slot_bit_widths,
    external,
    invariant,
    require,
    view,
)
from tests.support.checkout_paths import DATA

SUPPLY, FEE = 10**24, 30
ARTIFACTS = DATA / "lockstep" / "solc-output.json"
PEOPLE = [account(name) for name in ("deployer", "alice", "bob")]


@declare_record_slot_bit_widths(160, 16, 8)
class Settings(NamedTuple):
    owner: str = ZERO_ADDRESS
    fee: int = 0
    paused: bool = False


@declare_record_slot_bit_widths(128, 64)
class Position(NamedTuple):
    amount: int = 0
    since: int = 0


class Coin(Contract):
    def __init__(self, world: Any, name: str, address: str, title: str, supply: int, fee: int) -> None:
        super().__init__(world, name, address)
        self.settings = self.table("owner", Settings())
        self.supply = self.table("total")
        self.balances = self.table("_balances")
        self.allowances = self.table("allowance")
        self.settings[()] = Settings(world.deployer, fee)
        self.supply[()] = self.balances[world.deployer] = supply

    @external
    def setPaused(self, sender: str, to: bool) -> None:
        require(sender == self.settings[()].owner, "not the owner")
        self.settings[()] = self.settings[()]._replace(paused=to)

    @external
    def approve(self, sender: str, spender: str, amount: int) -> bool:
        self.allowances[sender, spender] = amount
        return True

    @external
    def transfer(self, sender: str, receiver: str, amount: int) -> bool:
        require(not self.settings[()].paused, custom_error("Paused"))
        held = self.balances[sender]
        require(held >= amount, custom_error("Insufficient", sender, held, amount))
        self.balances[sender] -= amount
        self.balances[receiver] += amount
        self.emit("Moved", sender, receiver, amount)
        return True

    @external
    def transferFrom(self, sender: str, owner: str, receiver: str, amount: int) -> bool:
        self.allowances[owner, sender] = check_uint(self.allowances[owner, sender] - amount)
        return self.transfer(owner, receiver, amount)

    @view
    def balanceOf(self, sender: str, who: str) -> int:
        return self.balances[who]


class Vault(Contract):
    KIND = "Vault.sol:Vault"

    def __init__(self, world: Any, name: str, address: str, coin: str) -> None:
        super().__init__(world, name, address)
        self.coin = world.at(coin)
        self.positions = self.table("positions.amount", Position())
        self.deposits = self.table("positions.deposits")
        self.depositors = self.table("depositors", ZERO_ADDRESS)
        self.depositor_count = self.table("depositors.length")
        self.flows = self.table("flows")

    @external
    def deposit(self, sender: str, amount: int) -> None:
        self.coin.transferFrom(self.address, sender, self.address, amount)
        if self.deposits[sender] == 0:
            self.depositors[self.depositor_count[()]] = sender
            self.depositor_count[()] += 1
        self.positions[sender] = Position(self.positions[sender].amount + amount, self.world.timestamp)
        self.deposits[sender] += 1
        self.flows[0] += amount

    @external
    def withdraw(self, sender: str, amount: int) -> None:
        left = check_uint(self.positions[sender].amount - amount, 128)
        self.positions[sender] = Position(left, self.world.timestamp)
        self.flows[1] += amount
        self.coin.transfer(self.address, sender, amount)


@action(weight=4)
def deposit(draw: Any, state: Any) -> Call:
    who = draw.draw_account()
    return Call("vault.deposit", draw.draw_amount(state.coin.balances[who]), sender=who)


@action(weight=3)
def withdraw(draw: Any, state: Any) -> Call:
    who = draw.draw_account()
    return Call("vault.withdraw", draw.draw_amount(state.vault.positions[who].amount), sender=who)


@action(weight=2)
def approve_and_send(draw: Any, state: Any) -> Any:
    who = draw.draw_account()
    yield Call("coin.approve", at("vault"), MAX_UINT256, sender=who)
    yield Wait(5)
    yield Call("coin.transfer", draw.draw_account(), draw.draw_amount(state.coin.balances[who]), sender=who)


@action
def pause(draw: Any, state: Any) -> Call:
    return Call("coin.setPaused", draw.random() < 0.2, sender=draw.draw_account())


@invariant
def coins_add_up(state: Any) -> bool:
    return sum(state.coin.balances.values()) == SUPPLY


def build_campaign(vault: type[Contract] = Vault, artifacts: Any = (ARTIFACTS,), **fields: Any) -> Campaign:
    """Return the campaign, with another model of the vault or other files."""
    return Campaign(
        deployments=[
            Deployment("coin", Coin, ["Coin", SUPPLY, FEE]),
            Deployment("vault", vault, [at("coin")]),
        ],
        actions=[deposit, withdraw, approve_and_send, pause],
        accounts=PEOPLE,
        invariants=[coins_add_up],
        views=lambda state: [Call("coin.balanceOf", who) for who in PEOPLE],
        setup=[Call("coin.transfer", who, SUPPLY // 4, sender=PEOPLE[0]) for who in PEOPLE[1:]],
        artifacts=artifacts,
        **fields,
    )

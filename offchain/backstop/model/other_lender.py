"""A protocol that exists already, for a local chain: it lends a coin, and reports what liquidations lack."""

from __future__ import annotations

from typing import Protocol, cast

from backstop.contract_base import ZERO_ADDRESS, Contract, World, external, immutable, require, view
from backstop.model.arithmetic import add_uint256, mul_uint256, sub
from backstop.model.interfaces import IERC20
from backstop.model.token import Token


class IAdapter(Protocol):
    """Interface of the adapter to which a lender reports its deficits."""

    def report_deficit(self, sender: str, amount: int) -> None: ...


class OtherLender(Contract):
    """Example of a lending protocol that reports bad debt to a loss cover adapter.

    Model of contracts/devnet/OtherLender.vy.
    """

    KIND = "OtherLender"

    coin_address = immutable("COIN", str)
    token_address = immutable("TOKEN", str)
    owner = immutable("OWNER", str)

    def __init__(self, world: World, name: str, address: str, coin: str, token: str, owner: str) -> None:
        super().__init__(world, name, address)
        self.coin_address = coin
        self.token_address = token
        self.owner = owner
        self.adapters = self.table("adapter", ZERO_ADDRESS)
        self.prices = self.table("price")
        self.collaterals = self.table("collateral_of")
        self.debts = self.table("debt_of")
        self.bad_debts = self.table("bad_debt")
        self.all_retired = self.table("retired")

    @property
    def coin(self) -> Token:
        return cast(Token, self.world.at(self.coin_address))

    @property
    def token(self) -> IERC20:
        return cast(IERC20, self.world.at(self.token_address))

    @external
    def set_adapter(self, sender: str, new: str) -> None:
        """Set the address of the adapter to which deficits are reported. Only the owner may call this."""
        self._only_owner(sender)
        self.adapters[()] = new

    @external
    def set_price(self, sender: str, new: int) -> None:
        """Set the token's price [units of the coin per unit of the token]. Only the owner may call this."""
        self._only_owner(sender)
        self.prices[()] = new

    @external
    def borrow(self, sender: str, collateral: int, amount: int) -> None:
        """Deposit collateral tokens, and borrow coins up to two thirds of all collateral's value."""
        held = add_uint256(self.collaterals[sender], collateral)
        debt = add_uint256(self.debts[sender], amount)
        most = mul_uint256(mul_uint256(held, self.prices[()]), 2)
        require(mul_uint256(debt, 3) <= most, "other_lender: too much debt")
        self.collaterals[sender] = held
        self.debts[sender] = debt
        self.token.transferFrom(self.address, sender, self.address, collateral)
        self.coin.mint(self.address, sender, amount)

    @external
    def liquidate(self, sender: str, owner: str) -> None:
        """Buy all collateral of an owner at its price, if it is worth less than the debt.

        The difference is reported to the adapter as bad debt. Any account may call this.
        """
        collateral, debt = int(self.collaterals[owner]), int(self.debts[owner])
        worth = mul_uint256(collateral, self.prices[()])
        require(worth < debt, "other_lender: is covered")
        self.collaterals[owner] = 0
        self.debts[owner] = 0
        self.bad_debts[()] = add_uint256(self.bad_debts[()], debt - worth)
        self.all_retired[()] = add_uint256(self.all_retired[()], worth)
        self.coin.transferFrom(self.address, sender, self.address, worth)
        self.token.transfer(self.address, sender, collateral)
        adapter = cast(IAdapter, self.world.at(self.adapters[()]))
        adapter.report_deficit(self.address, debt - worth)

    @external
    def heal(self, sender: str) -> int:
        """Repay bad debt with the coins received, and return the amount [units of the coin]."""
        held = self.coin.balanceOf(self.address, self.address)
        amount = min(sub(held, self.all_retired[()]), int(self.bad_debts[()]))
        self.all_retired[()] = self.all_retired[()] + amount
        self.bad_debts[()] = self.bad_debts[()] - amount
        return amount

    @view
    def adapter(self, sender: str) -> str:
        return str(self.adapters[()])

    @view
    def price(self, sender: str) -> int:
        return int(self.prices[()])

    @view
    def collateral_of(self, sender: str, owner: str) -> int:
        return int(self.collaterals[owner])

    @view
    def debt_of(self, sender: str, owner: str) -> int:
        return int(self.debts[owner])

    @view
    def bad_debt(self, sender: str) -> int:
        return int(self.bad_debts[()])

    @view
    def retired(self, sender: str) -> int:
        return int(self.all_retired[()])

    def _only_owner(self, sender: str) -> None:
        require(sender == self.owner, "other_lender: not owner")

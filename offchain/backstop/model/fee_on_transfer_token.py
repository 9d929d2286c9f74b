"""A token of a local chain that takes a fee."""

from __future__ import annotations

from backstop.contract_base import ZERO_ADDRESS, World, external, require, view
from backstop.model.token import Token


class FeeOnTransferToken(Token):
    """Test token that burns 1% of each transfer (model of contracts/devnet/FeeOnTransferToken.vy)."""

    KIND = "FeeOnTransferToken"

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, token_decimals: int
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol, token_decimals)
        self.pulls_are_free = self.table("free_pulls", False)

    @external
    def set_free_pulls(self, sender: str, free: bool) -> None:
        """Set whether `transferFrom` is free of the fee; `transfer` always pays it."""
        self.pulls_are_free[()] = free

    @view
    def free_pulls(self, sender: str) -> bool:
        """Return True if `transferFrom` is free of the fee."""
        return bool(self.pulls_are_free[()])

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool:
        """Transfer the caller's tokens less the 1% fee, and return True."""
        self._charge_fee(sender, to, amount, amount // 100)
        return True

    def _move_tokens(self, owner: str, to: str, amount: int) -> None:
        self._charge_fee(owner, to, amount, 0 if self.pulls_are_free[()] else amount // 100)

    def _charge_fee(self, owner: str, to: str, amount: int, fee: int) -> None:
        balance = self.balances[owner]
        require(balance >= amount, "token: insufficient balance")
        self.balances[owner] = balance - amount
        self.balances[to] = self.balances[to] + amount - fee
        self.supply[()] = self.supply[()] - fee
        self.emit("Transfer", owner, to, amount - fee)
        self.emit("Transfer", owner, ZERO_ADDRESS, fee)

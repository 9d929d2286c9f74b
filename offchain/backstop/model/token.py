"""A plain token of a local chain, which any account may mint."""

from __future__ import annotations

from backstop.contract_base import ZERO_ADDRESS, Contract, World, external, immutable, require, view
from backstop.model.arithmetic import MAX_UINT256, add_uint256


class Token(Contract):
    """Plain ERC-20 token that any account may mint (model of contracts/devnet/Token.vy)."""

    KIND = "Token"

    token_name = immutable("name", str)
    token_symbol = immutable("symbol", str)
    token_decimals = immutable("decimals", int)

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, token_decimals: int
    ) -> None:
        super().__init__(world, name, address)
        self.token_name = token_name
        self.token_symbol = token_symbol
        self.token_decimals = token_decimals
        self.supply = self.table("totalSupply")
        self.balances = self.table("balanceOf")
        self.allowances = self.table("allowance")

    @external
    def mint(self, sender: str, to: str, amount: int) -> None:
        """Mint tokens to an account; any account may call."""
        self.supply[()] = add_uint256(self.supply[()], amount)
        self.balances[to] = self.balances[to] + amount
        self.emit("Transfer", ZERO_ADDRESS, to, amount)

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool | None:
        """Transfer tokens from the caller to another account."""
        self._move_tokens(sender, to, amount)
        return True

    @external
    def approve(self, sender: str, spender: str, amount: int) -> bool | None:
        """Set how many of the caller's tokens a spender may transfer."""
        self.allowances[sender, spender] = amount
        self.emit("Approval", sender, spender, amount)
        return True

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool | None:
        """Transfer an owner's tokens by the caller's allowance, which is reduced unless it is unlimited."""
        allowance = self.allowances[owner, sender]
        if allowance != MAX_UINT256:
            require(allowance >= amount, "token: insufficient allowance")
            self.allowances[owner, sender] = allowance - amount
        self._move_tokens(owner, to, amount)
        return True

    @view
    def totalSupply(self, sender: str) -> int:
        """Return the number of all tokens, in raw units."""
        return int(self.supply[()])

    @view
    def balanceOf(self, sender: str, owner: str) -> int:
        """Return the token balance of an owner, in raw units."""
        return int(self.balances[owner])

    @view
    def allowance(self, sender: str, owner: str, spender: str) -> int:
        """Return how many of the owner's tokens the spender may still transfer, in raw units."""
        return int(self.allowances[owner, spender])

    def _move_tokens(self, owner: str, to: str, amount: int) -> None:
        balance = self.balances[owner]
        require(balance >= amount, "token: insufficient balance")
        self.balances[owner] = balance - amount
        self.balances[to] = self.balances[to] + amount
        self.emit("Transfer", owner, to, amount)

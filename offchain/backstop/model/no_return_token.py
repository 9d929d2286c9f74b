"""A token of a local chain, with functions that return nothing."""

from __future__ import annotations

from backstop.contract_base import external
from backstop.model.token import Token


class NoReturnToken(Token):
    """Test token whose ERC-20 functions return no value (model of contracts/devnet/NoReturnToken.vy)."""

    KIND = "NoReturnToken"

    @external
    def transfer(self, sender: str, to: str, amount: int) -> None:
        """Transfer the caller's tokens to an account, without a return value."""
        super().transfer(sender, to, amount)

    @external
    def approve(self, sender: str, spender: str, amount: int) -> None:
        """Set the spender's allowance over the caller's tokens, without a return value."""
        super().approve(sender, spender, amount)

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> None:
        """Transfer an owner's tokens on the caller's allowance, without a return value."""
        super().transferFrom(sender, owner, to, amount)

"""A token of a local chain, with functions that return nothing."""

from __future__ import annotations

from backstop.contract_base import external
from backstop.model.token import Token


class NoReturnToken(Token):
    """Returns nothing. See contracts/devnet/NoReturnToken.vy."""

    KIND = "NoReturnToken"

    @external
    def transfer(self, sender: str, to: str, amount: int) -> None:
        """Move the sender's tokens."""
        super().transfer(sender, to, amount)

    @external
    def approve(self, sender: str, spender: str, amount: int) -> None:
        """Set an allowance."""
        super().approve(sender, spender, amount)

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> None:
        """Move tokens on an allowance."""
        super().transferFrom(sender, owner, to, amount)

"""A token of a local chain whose functions return nothing."""

from __future__ import annotations

from backstop.model.state import external
from backstop.model.token import Token


class SilentToken(Token):
    """Returns nothing. See contracts/devnet/SilentToken.vy."""

    KIND = "SilentToken"

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

"""A token of a local chain, with functions that return false where others revert."""

from __future__ import annotations

from backstop.contract_base import World, external, view
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.token import Token


class ReturnsFalseToken(Token):
    """Test token that returns False instead of reverting (model of contracts/devnet/ReturnsFalseToken.vy)."""

    KIND = "ReturnsFalseToken"

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, token_decimals: int
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol, token_decimals)
        self.freezes = self.table("frozen", False)

    @external
    def freeze(self, sender: str, frozen: bool) -> None:
        """Freeze all transfers of the token, or allow them again."""
        self.freezes[()] = frozen

    @view
    def frozen(self, sender: str) -> bool:
        """Return True if all transfers of the token are frozen."""
        return bool(self.freezes[()])

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool:
        """Transfer tokens from the caller; return False if frozen or if the balance is too low."""
        if self.freezes[()] or self.balances[sender] < amount:
            return False
        self._move_tokens(sender, to, amount)
        return True

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool:
        """Transfer an owner's tokens by allowance and return True.

        Return False if the token is frozen, or if balance or allowance is too low.
        """
        allowance = self.allowances[owner, sender]
        if allowance < amount or self.freezes[()] or self.balances[owner] < amount:
            return False
        self._move_tokens(owner, to, amount)
        if allowance != MAX_UINT256:
            self.allowances[owner, sender] = allowance - amount
        return True

"""A token of a local chain, with an issuer that has the powers of stablecoin issuers."""

from __future__ import annotations

from backstop.contract_base import World, external, require, view
from backstop.model.arithmetic import BASIS_POINTS, mul_uint256
from backstop.model.token import Token


class BlocklistToken(Token):
    """Test token with a pause, a blocklist and a transfer fee.

    Model of contracts/devnet/BlocklistToken.vy.
    """

    KIND = "BlocklistToken"

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, token_decimals: int
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol, token_decimals)
        self.is_stopped = self.table("stopped", False)
        self.is_blocked = self.table("blocked", False)
        self.is_nothing_refused = self.table("refuses_zero_transfers", False)
        self.fees = self.table("fee")

    @external
    def stop(self, sender: str, stopped: bool) -> None:
        """Pause all transfers of the token if `stopped` is True, or resume them."""
        self.is_stopped[()] = stopped

    @external
    def block(self, sender: str, account: str, blocked: bool) -> None:
        """Add an account to the blocklist if `blocked` is True, or remove the account from it."""
        self.is_blocked[account] = blocked

    @external
    def refuse_zero_transfers(self, sender: str, refused: bool) -> None:
        """Set whether a transfer of amount 0 reverts."""
        self.is_nothing_refused[()] = refused

    @external
    def upgrade(self, sender: str, fee: int) -> None:
        """Set the fee that is burned from each later transfer [basis points of the amount]."""
        self.fees[()] = fee

    @view
    def stopped(self, sender: str) -> bool:
        """Return True if all transfers are paused."""
        return bool(self.is_stopped[()])

    @view
    def blocked(self, sender: str, account: str) -> bool:
        """Return True if the account is on the blocklist, and can neither send nor receive."""
        return bool(self.is_blocked[account])

    @view
    def refuses_zero_transfers(self, sender: str) -> bool:
        """Return True if a transfer of amount 0 reverts."""
        return bool(self.is_nothing_refused[()])

    @view
    def fee(self, sender: str) -> int:
        """Return the fee that is burned from each transfer [basis points of the amount]."""
        return int(self.fees[()])

    def _move_tokens(self, owner: str, to: str, amount: int) -> None:
        require(not self.is_stopped[()], "token: stopped")
        require(not self.is_blocked[owner], "token: sender blocked")
        require(not self.is_blocked[to], "token: receiver blocked")
        require(amount != 0 or not self.is_nothing_refused[()], "token: nothing to move")
        balance = self.balances[owner]
        require(balance >= amount, "token: insufficient balance")
        lost = mul_uint256(amount, self.fees[()]) // BASIS_POINTS
        self.balances[owner] = balance - amount
        self.balances[to] = self.balances[to] + amount - lost
        self.supply[()] = self.supply[()] - lost
        self.emit("Transfer", owner, to, amount - lost)

"""The protocol's debt token, minted and burned by the ledger alone."""

from __future__ import annotations

from backstop.contract_base import World, external, immutable, require
from backstop.model.erc20 import ERC20


class Stablecoin(ERC20):
    """ERC-20 debt token, minted and burned by the ledger alone (model of contracts/Stablecoin.vy)."""

    KIND = "Stablecoin"

    ledger = immutable("LEDGER", str)

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, ledger: str
    ) -> None:
        super().__init__(world, name, address, token_name, token_symbol, 18)
        self.ledger = ledger

    @external
    def mint(self, sender: str, to: str, amount: int) -> int:
        """Mint stablecoin [wad] to an account and return the new supply; only the ledger may call."""
        self._only_ledger(sender)
        self._mint_tokens(to, amount)
        return int(self.supply[()])

    @external
    def burn(self, sender: str, owner: str, amount: int) -> int:
        """Burn an owner's stablecoin [wad] and return the new supply; only the ledger may call."""
        self._only_ledger(sender)
        self._burn_tokens(owner, amount)
        return int(self.supply[()])

    @external
    def burn_allowed(self, sender: str, owner: str, spender: str, amount: int) -> int:
        """Burn an owner's stablecoin [wad] by the allowance of `spender` and return the new supply.

        Only the ledger may call.
        """
        self._only_ledger(sender)
        self._spend_allowance(owner, spender, amount)
        self._burn_tokens(owner, amount)
        return int(self.supply[()])

    def _only_ledger(self, sender: str) -> None:
        require(sender == self.ledger, "stablecoin: not ledger")

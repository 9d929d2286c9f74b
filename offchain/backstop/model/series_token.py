"""An ERC-20 with EIP-2612 permits, and balances that live in generations; see modules/series_token.vy."""

from __future__ import annotations

from typing import NamedTuple

from backstop.contract_base import ZERO_ADDRESS, World, declare_record_slot_bit_widths, require, view
from backstop.model.permits import Permits


@declare_record_slot_bit_widths(152, 32)
class State(NamedTuple):
    """Total supply and number of the present generation of tokens."""

    supply: int = 0
    generation: int = 0


@declare_record_slot_bit_widths(152, 104)
class Balance(NamedTuple):
    """Tokens of an owner in one generation, and the point up to which the owner is settled."""

    shares: int = 0
    mark: int = 0  # how far the owner was settled


class SeriesToken(Permits):
    """ERC-20 token with permits; all balances expire when a new generation begins.

    It mirrors contracts/modules/series_token.vy. Subclasses mint, burn and move tokens.
    """

    def __init__(self, world: World, name: str, address: str, token_name: str, token_symbol: str) -> None:
        super().__init__(world, name, address, token_name, token_symbol)
        self.state = self.table("token.state", State())
        self.balances = self.table("token.balances", Balance())

    @view
    def totalSupply(self, sender: str) -> int:
        """Return the token supply of the present generation."""
        return int(self.state[()].supply)

    @view
    def balanceOf(self, sender: str, owner: str) -> int:
        """Return an owner's token balance in the present generation."""
        return self.held(owner)

    @view
    def generation(self, sender: str) -> int:
        """Return the number of the present generation: how often a new one has begun."""
        return int(self.state[()].generation)

    # --------------------------------------------------------------- internals

    def held(self, owner: str) -> int:
        """Return an owner's token balance in the present generation."""
        return int(self.balances[self.state[()].generation, owner].shares)

    def list_holders(self) -> list[str]:
        """Return the accounts with a token balance in the present generation."""
        present = self.state[()].generation
        return [
            who for (generation, who), held in self.balances.items() if generation == present and held.shares
        ]

    def _set_mark(self, generation: int, owner: str, mark: int) -> None:
        self.balances[generation, owner] = self.balances[generation, owner]._replace(mark=mark)

    def _new_generation(self) -> None:
        """Begin a new generation: all token balances and the supply are zero."""
        self.state[()] = State(generation=self.state[()].generation + 1)

    def _check_receiver(self, to: str) -> None:
        require(to != ZERO_ADDRESS and to != self.address, "shares: bad receiver")

    def _subtract_from_balance(self, generation: int, owner: str, amount: int) -> None:
        require(amount <= self.balances[generation, owner].shares, "shares: balance too small")
        self._change_holder_balance(generation, owner, -amount)

    def _transfer_tokens(self, generation: int, owner: str, to: str, amount: int) -> None:
        self._subtract_from_balance(generation, owner, amount)
        self._change_holder_balance(generation, to, amount)
        self.emit("Transfer", owner, to, amount)

    def _mint_tokens(self, generation: int, to: str, amount: int) -> None:
        self.state[()] = self.state[()]._replace(supply=self.state[()].supply + amount)
        self._change_holder_balance(generation, to, amount)
        self.emit("Transfer", ZERO_ADDRESS, to, amount)

    def _burn_tokens(self, generation: int, owner: str, amount: int) -> None:
        self._subtract_from_balance(generation, owner, amount)
        self.state[()] = self.state[()]._replace(supply=self.state[()].supply - amount)
        self.emit("Transfer", owner, ZERO_ADDRESS, amount)

    def _change_holder_balance(self, generation: int, owner: str, balance_change: int) -> None:
        balance: Balance = self.balances[generation, owner]
        self.balances[generation, owner] = balance._replace(shares=balance.shares + balance_change)

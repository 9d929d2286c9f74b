"""An ERC-20 with EIP-2612 permits; its shares are divided after losses; see contracts/modules/shares.vy."""

from __future__ import annotations

from typing import NamedTuple

from backstop.contract_base import ZERO_ADDRESS, World, declare_record_slot_bit_widths, require, view
from backstop.model.denominations import VOID, convert_shares
from backstop.model.permits import Permits


@declare_record_slot_bit_widths(152, 32, 64, 8)
class State(NamedTuple):
    """Total supply, generation and loss checkpoint of a pool's shares."""

    supply: int = 0
    generation: int = 0
    mark: int = 0  # how far the importer has come in it
    open: int = 0  # how many things of its own the importer has open


@declare_record_slot_bit_widths(152, 64, 40)
class Balance(NamedTuple):
    """Balance of an owner at the last update, with its generation and loss checkpoint."""

    shares: int = 0
    mark: int = 0  # how far the owner was settled
    generation: int = 0  # of the shares and of the mark


class Shares(Permits):
    """ERC-20 share token with permits; all balances can be divided at once after a loss.

    It mirrors contracts/modules/shares.vy. Subclasses mint, burn and move shares.
    """

    def __init__(self, world: World, name: str, address: str, token_name: str, token_symbol: str) -> None:
        super().__init__(world, name, address, token_name, token_symbol)
        self.state = self.table("token.state", State())
        self.balances = self.table("token.balances", Balance())

    @view
    def totalSupply(self, sender: str) -> int:
        """Return the total supply of shares in present units (after all divisions of shares)."""
        return int(self.state[()].supply)

    @view
    def balanceOf(self, sender: str, owner: str) -> int:
        """Return an owner's shares in present units (after all divisions of shares), rounded down."""
        return self.held(owner)

    @view
    def generation(self, sender: str) -> int:
        """Return how often all shares were divided; a total loss adds VOID steps at once."""
        return int(self.state[()].generation)

    # --------------------------------------------------------------- internals

    def held(self, owner: str) -> int:
        """Return an owner's shares in present units (after all divisions of shares), rounded down."""
        balance: Balance = self.balances[owner]
        return convert_shares(balance.shares, balance.generation, self.state[()].generation)

    def list_holders(self) -> list[str]:
        """Return the accounts with a non-zero balance of shares."""
        return [owner for owner in self.balances if self.held(owner)]

    def _renew_record(self, owner: str, mark: int) -> Balance:
        """Update an owner's record to present share units and loss checkpoint `mark`.

        Return the record before the update.
        """
        before: Balance = self.balances[owner]
        generation = self.state[()].generation
        if (before.generation, before.mark) != (generation, mark):
            self.balances[owner] = Balance(self.held(owner), mark, generation)
        return before

    def _set_mark(self, mark: int) -> None:
        self.state[()] = self.state[()]._replace(mark=mark)

    def _set_open_group_count(self, open: int) -> None:
        self.state[()] = self.state[()]._replace(open=open)

    def _advance_share_generations(self, steps: int) -> State:
        """Advance the generation by a number of steps and return the new state.

        Each step divides all shares. After VOID steps none is left. The loss checkpoint starts again at 0.
        """
        state: State = self.state[()]
        supply, open = convert_shares(state.supply, 0, steps), state.open if steps < VOID else 0
        begun = State(supply, state.generation + steps, 0, open)
        self.state[()] = begun
        return begun

    def _check_receiver(self, to: str) -> None:
        require(to != ZERO_ADDRESS and to != self.address, "shares: bad receiver")

    def _take_shares(self, owner: str, amount: int) -> None:
        require(amount <= self.balances[owner].shares, "shares: balance too small")
        self._change_holder_balance(owner, -amount)

    def _transfer_shares(self, owner: str, to: str, amount: int) -> None:
        self._take_shares(owner, amount)
        self._change_holder_balance(to, amount)
        self.emit("Transfer", owner, to, amount)

    def _mint_shares(self, to: str, amount: int) -> None:
        self.state[()] = self.state[()]._replace(supply=self.state[()].supply + amount)
        self._change_holder_balance(to, amount)
        self.emit("Transfer", ZERO_ADDRESS, to, amount)

    def _burn_shares(self, owner: str, amount: int) -> None:
        self._take_shares(owner, amount)
        self.state[()] = self.state[()]._replace(supply=self.state[()].supply - amount)
        self.emit("Transfer", owner, ZERO_ADDRESS, amount)

    def _change_holder_balance(self, owner: str, balance_change: int) -> None:
        balance: Balance = self.balances[owner]
        self.balances[owner] = balance._replace(shares=balance.shares + balance_change)

"""An ERC-20 with EIP-2612 permits whose balances live in generations; see contracts/modules/shares.vy."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from backstop.model.arithmetic import MAX_UINT256
from backstop.model.erc20 import domain_separator, permit_digest
from backstop.model.signatures import ORDER, ecrecover
from backstop.model.state import (
    ZERO_ADDRESS,
    Contract,
    World,
    constant,
    external,
    immutable,
    require,
    slot,
    view,
)


@slot(152, 32, 64, 8)
class State(NamedTuple):
    """The present generation."""

    supply: int = 0
    generation: int = 0
    mark: int = 0  # how far the importer has come
    open: int = 0  # how many things of its own the importer has open


@slot(152, 104)
class Balance(NamedTuple):
    """What an owner has in one generation."""

    shares: int = 0
    mark: int = 0  # how far the owner was settled


class Shares(Contract):
    """Creating, destroying and moving shares belong to the subclass, which settles owners first."""

    VERSION: ClassVar[str] = "1"

    token_name = immutable("name", str)
    token_symbol = immutable("symbol", str)
    decimals = constant(18)

    def __init__(self, world: World, name: str, address: str, token_name: str, token_symbol: str) -> None:
        super().__init__(world, name, address)
        self.token_name = token_name
        self.token_symbol = token_symbol
        self.state = self.table("token.state", State())
        self.balances = self.table("token.balances", Balance())
        self.allowances = self.table("token.allowance")
        self.permits = self.table("token.nonces")

    # ------------------------------------------------------------------ ERC-20

    @external
    def approve(self, sender: str, spender: str, amount: int) -> bool:
        """Set an allowance; the highest value means without end."""
        self._approve(sender, spender, amount)
        return True

    @external
    def permit(
        self, sender: str, owner: str, spender: str, amount: int, deadline: int, v: int, r: bytes, s: bytes
    ) -> None:
        """Set an allowance by the owner's signature over the next nonce."""
        require(self.world.timestamp <= deadline, "shares: expired deadline")
        nonce = self.permits[owner]
        self.permits[owner] = nonce + 1
        digest = permit_digest(self.DOMAIN_SEPARATOR(sender), owner, spender, amount, nonce, deadline)
        # Of the two signatures that sign the same content only the one with the lower half of s is valid.
        require(int.from_bytes(s, "big") <= ORDER // 2, "ecdsa: invalid signature `s` value")
        signer = ecrecover(digest, v, int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        require(signer is not None, "ecdsa: invalid signature")
        require(signer == owner, "shares: invalid signature")
        self._approve(owner, spender, amount)

    @view
    def DOMAIN_SEPARATOR(self, sender: str) -> bytes:
        """Return the EIP-712 domain of permits."""
        return domain_separator(self.token_name, self.VERSION, self.world.chain_id, self.address)

    @view
    def eip712Domain(self, sender: str) -> tuple[bytes, str, str, int, str, bytes, list[int]]:
        """Return the fields of the domain (EIP-5267)."""
        return b"\x0f", self.token_name, self.VERSION, self.world.chain_id, self.address, bytes(32), []

    @view
    def totalSupply(self, sender: str) -> int:
        """Return the shares of the present generation."""
        return int(self.state[()].supply)

    @view
    def balanceOf(self, sender: str, owner: str) -> int:
        """Return an owner's shares of the present generation."""
        return self.held(owner)

    @view
    def generation(self, sender: str) -> int:
        """Return how often all shares have become void."""
        return int(self.state[()].generation)

    @view
    def allowance(self, sender: str, owner: str, spender: str) -> int:
        """Return what the spender may still move."""
        return int(self.allowances[owner, spender])

    @view
    def nonces(self, sender: str, owner: str) -> int:
        """Return the nonce of the owner's next permit."""
        return int(self.permits[owner])

    # --------------------------------------------------------------- internals

    def held(self, owner: str) -> int:
        """Return an owner's shares of the present generation."""
        return int(self.balances[self.state[()].generation, owner].shares)

    def holders(self) -> list[str]:
        """Return who has shares of the present generation."""
        present = self.state[()].generation
        return [
            who for (generation, who), held in self.balances.items() if generation == present and held.shares
        ]

    def _set_mark(self, mark: int) -> None:
        self.state[()] = self.state[()]._replace(mark=mark)

    def _set_open(self, open: int) -> None:
        self.state[()] = self.state[()]._replace(open=open)

    def _set_mark_of(self, generation: int, owner: str, mark: int) -> None:
        self.balances[generation, owner] = self.balances[generation, owner]._replace(mark=mark)

    def _void_shares(self) -> None:
        """Begin a new generation: all shares become void."""
        self.state[()] = State(generation=self.state[()].generation + 1)

    def _check_receiver(self, to: str) -> None:
        require(to != ZERO_ADDRESS and to != self.address, "shares: bad receiver")

    def _take(self, generation: int, owner: str, amount: int) -> None:
        require(amount <= self.balances[generation, owner].shares, "shares: balance too small")
        self._change(generation, owner, -amount)

    def _transfer(self, generation: int, owner: str, to: str, amount: int) -> None:
        self._take(generation, owner, amount)
        self._change(generation, to, amount)
        self.emit("Transfer", owner, to, amount)

    def _mint(self, generation: int, to: str, amount: int) -> None:
        self.state[()] = self.state[()]._replace(supply=self.state[()].supply + amount)
        self._change(generation, to, amount)
        self.emit("Transfer", ZERO_ADDRESS, to, amount)

    def _burn(self, generation: int, owner: str, amount: int) -> None:
        self._take(generation, owner, amount)
        self.state[()] = self.state[()]._replace(supply=self.state[()].supply - amount)
        self.emit("Transfer", owner, ZERO_ADDRESS, amount)

    def _spend_allowance(self, owner: str, spender: str, amount: int) -> None:
        allowed = self.allowances[owner, spender]
        if allowed != MAX_UINT256:
            require(amount <= allowed, "shares: allowance too small")
            self._approve(owner, spender, allowed - amount)

    def _approve(self, owner: str, spender: str, amount: int) -> None:
        require(owner != ZERO_ADDRESS, "shares: bad owner")
        require(spender != ZERO_ADDRESS, "shares: bad spender")
        self.allowances[owner, spender] = amount
        self.emit("Approval", owner, spender, amount)

    def _change(self, generation: int, owner: str, amount: int) -> None:
        balance: Balance = self.balances[generation, owner]
        self.balances[generation, owner] = balance._replace(shares=balance.shares + amount)

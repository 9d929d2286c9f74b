"""The name of an ERC-20, its allowances and EIP-2612 permits; see contracts/modules/permits.vy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from backstop.contract_base import (
    ZERO_ADDRESS,
    Contract,
    World,
    declare_constant_view,
    external,
    immutable,
    require,
    view,
)
from backstop.evm_crypto import ORDER, recover_signer_or_none
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.erc20 import domain_separator, permit_digest


class Permits(Contract, ABC):
    """Allowances and EIP-2612 permits of an ERC-20 token; the subclass keeps balances and moves tokens."""

    VERSION: ClassVar[str] = "1"

    token_name = immutable("name", str)
    token_symbol = immutable("symbol", str)
    decimals = declare_constant_view(18)

    def __init__(self, world: World, name: str, address: str, token_name: str, token_symbol: str) -> None:
        super().__init__(world, name, address)
        self.token_name = token_name
        self.token_symbol = token_symbol
        self.allowances = self.table("token.permits.allowance")
        self.permits = self.table("token.permits.nonces")

    # ------------------------------------------------------------------ ERC-20

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool:
        """Transfer the caller's tokens to an account, and return True.

        Recovery claims and payments earned before stay with the caller.
        """
        self._move_tokens(sender, to, amount)
        return True

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool:
        """Transfer an owner's tokens on the caller's allowance, and return True."""
        self._spend_allowance(owner, sender, amount)
        self._move_tokens(owner, to, amount)
        return True

    @external
    def approve(self, sender: str, spender: str, amount: int) -> bool:
        """Set the spender's allowance over the caller's tokens, and return True.

        The value 2**256 - 1 is an unlimited allowance.
        """
        self._set_allowance(sender, spender, amount)
        return True

    @external
    def permit(
        self, sender: str, owner: str, spender: str, amount: int, deadline: int, v: int, r: bytes, s: bytes
    ) -> None:
        """Set a spender's allowance by the owner's EIP-2612 signature over the next nonce.

        Reverts after the deadline [seconds], or if the signature is not the owner's.
        """
        require(self.world.timestamp <= deadline, "shares: expired deadline")
        nonce = self.permits[owner]
        self.permits[owner] = nonce + 1
        digest = permit_digest(self.DOMAIN_SEPARATOR(sender), owner, spender, amount, nonce, deadline)
        # Of the two signatures that sign the same content only the one with the lower half of s is valid.
        require(int.from_bytes(s, "big") <= ORDER // 2, "ecdsa: invalid signature `s` value")
        signer = recover_signer_or_none(digest, v, int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        require(signer is not None, "ecdsa: invalid signature")
        require(signer == owner, "shares: invalid signature")
        self._set_allowance(owner, spender, amount)

    @view
    def DOMAIN_SEPARATOR(self, sender: str) -> bytes:
        """Return the EIP-712 domain separator for permits of this token on this chain."""
        return domain_separator(self.token_name, self.VERSION, self.world.chain_id, self.address)

    @view
    def eip712Domain(self, sender: str) -> tuple[bytes, str, str, int, str, bytes, list[int]]:
        """Return the fields of the token's EIP-712 domain, in the order of EIP-5267."""
        return b"\x0f", self.token_name, self.VERSION, self.world.chain_id, self.address, bytes(32), []

    @view
    def allowance(self, sender: str, owner: str, spender: str) -> int:
        """Return the amount that the spender may still transfer from the owner [smallest unit]."""
        return int(self.allowances[owner, spender])

    @view
    def nonces(self, sender: str, owner: str) -> int:
        """Return the nonce of the owner's next permit."""
        return int(self.permits[owner])

    # --------------------------------------------------------------- internals

    @abstractmethod
    def _move_tokens(self, owner: str, to: str, amount: int) -> None:
        """Update the share records of both accounts, then move tokens from `owner` to `to`."""

    def _spend_allowance(self, owner: str, spender: str, amount: int) -> None:
        allowed = self.allowances[owner, spender]
        if allowed != MAX_UINT256:
            require(amount <= allowed, "shares: allowance too small")
            self._set_allowance(owner, spender, allowed - amount)

    def _set_allowance(self, owner: str, spender: str, amount: int) -> None:
        require(owner != ZERO_ADDRESS, "shares: bad owner")
        require(spender != ZERO_ADDRESS, "shares: bad spender")
        self.allowances[owner, spender] = amount
        self.emit("Approval", owner, spender, amount)

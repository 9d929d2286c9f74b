"""ERC-20 with EIP-2612 permits: storage, checks, reasons and events of snekmate's `erc20`."""

from __future__ import annotations

from typing import ClassVar

from backstop.contract_base import ZERO_ADDRESS, Contract, World, external, immutable, require, view
from backstop.evm_crypto import ORDER, keccak256, recover_signer_or_none
from backstop.model.arithmetic import MAX_UINT256, add_uint256

_DOMAIN_TYPE = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_PERMIT_TYPE = keccak256(
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


def encode_words(*values: int | str | bytes) -> bytes:
    """Return the ABI encoding of static values: one 32-byte word for each integer, address or bytes32."""
    return b"".join(map(_encode_word, values))


def _encode_word(value: int | str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    return (int(value, 16) if isinstance(value, str) else value).to_bytes(32, "big")


def domain_separator(name: str, version: str, chain_id: int, address: str) -> bytes:
    """Return the EIP-712 domain separator of a contract on a chain."""
    return keccak256(
        encode_words(_DOMAIN_TYPE, keccak256(name.encode()), keccak256(version.encode()), chain_id, address)
    )


def permit_digest(domain: bytes, owner: str, spender: str, amount: int, nonce: int, deadline: int) -> bytes:
    """Return the EIP-712 digest that the owner signs for an EIP-2612 permit."""
    content = encode_words(_PERMIT_TYPE, owner, spender, amount, nonce, deadline)
    return keccak256(b"\x19\x01" + domain + keccak256(content))


class ERC20(Contract):
    """ERC-20 token with EIP-2612 permits, with the behaviour of snekmate's `erc20` module.

    Subclasses mint and burn. Not modelled are the owner (renounced by every constructor) and `is_minter` (its
    only entry is the deployer, and the functions that read it are not exported).
    """

    VERSION: ClassVar[str] = "1"

    token_name = immutable("name", str)
    token_symbol = immutable("symbol", str)
    token_decimals = immutable("decimals", int)

    def __init__(
        self, world: World, name: str, address: str, token_name: str, token_symbol: str, token_decimals: int
    ) -> None:
        super().__init__(world, name, address)
        self.token_name = token_name
        self.token_symbol = token_symbol
        self.token_decimals = token_decimals
        self.balances = self.table("erc20.balanceOf")
        self.allowances = self.table("erc20.allowance")
        self.supply = self.table("erc20.totalSupply")
        self.permits = self.table("erc20.nonces")

    @external
    def transfer(self, sender: str, to: str, amount: int) -> bool:
        """Transfer the caller's tokens [smallest unit] to an account, and return True."""
        self._transfer_tokens(sender, to, amount)
        return True

    @external
    def approve(self, sender: str, spender: str, amount: int) -> bool:
        """Set the spender's allowance over the caller's tokens, and return True.

        The value 2**256 - 1 is an unlimited allowance.
        """
        self._set_allowance(sender, spender, amount)
        return True

    @external
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool:
        """Transfer an owner's tokens on the caller's allowance, and return True."""
        self._spend_allowance(owner, sender, amount)
        self._transfer_tokens(owner, to, amount)
        return True

    @external
    def permit(
        self, sender: str, owner: str, spender: str, amount: int, deadline: int, v: int, r: bytes, s: bytes
    ) -> None:
        """Set a spender's allowance by the owner's EIP-2612 signature over the next nonce.

        Reverts after the deadline [seconds], or if the signature is not the owner's.
        """
        require(self.world.timestamp <= deadline, "erc20: expired deadline")
        nonce = self.permits[owner]
        self.permits[owner] = nonce + 1
        digest = permit_digest(self.DOMAIN_SEPARATOR(sender), owner, spender, amount, nonce, deadline)
        # Of the two signatures that sign the same content only the one with the lower half of s is valid.
        require(int.from_bytes(s, "big") <= ORDER // 2, "ecdsa: invalid signature `s` value")
        signer = recover_signer_or_none(digest, v, int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        require(signer is not None, "ecdsa: invalid signature")
        require(signer == owner, "erc20: invalid signature")
        self._set_allowance(owner, spender, amount)

    @view
    def balanceOf(self, sender: str, owner: str) -> int:
        """Return the owner's token balance [smallest unit]."""
        return int(self.balances[owner])

    @view
    def allowance(self, sender: str, owner: str, spender: str) -> int:
        """Return the amount that the spender may still transfer from the owner [smallest unit]."""
        return int(self.allowances[owner, spender])

    @view
    def totalSupply(self, sender: str) -> int:
        """Return the number of tokens in existence [smallest unit]."""
        return int(self.supply[()])

    @view
    def nonces(self, sender: str, owner: str) -> int:
        """Return the nonce of the owner's next permit."""
        return int(self.permits[owner])

    @view
    def DOMAIN_SEPARATOR(self, sender: str) -> bytes:
        """Return the EIP-712 domain separator of this token on this chain."""
        return domain_separator(self.token_name, self.VERSION, self.world.chain_id, self.address)

    @view
    def eip712Domain(self, sender: str) -> tuple[bytes, str, str, int, str, bytes, list[int]]:
        """Return the fields of the token's EIP-712 domain, in the order of EIP-5267."""
        return b"\x0f", self.token_name, self.VERSION, self.world.chain_id, self.address, bytes(32), []

    def _transfer_tokens(self, owner: str, to: str, amount: int) -> None:
        require(owner != ZERO_ADDRESS, "erc20: transfer from the zero address")
        require(to != ZERO_ADDRESS, "erc20: transfer to the zero address")
        balance = self.balances[owner]
        require(balance >= amount, "erc20: transfer amount exceeds balance")
        self.balances[owner] = balance - amount
        self.balances[to] = self.balances[to] + amount
        self.emit("Transfer", owner, to, amount)

    def _mint_tokens(self, owner: str, amount: int) -> None:
        require(owner != ZERO_ADDRESS, "erc20: mint to the zero address")
        self.supply[()] = add_uint256(self.supply[()], amount)
        self.balances[owner] = self.balances[owner] + amount
        self.emit("Transfer", ZERO_ADDRESS, owner, amount)

    def _burn_tokens(self, owner: str, amount: int) -> None:
        require(owner != ZERO_ADDRESS, "erc20: burn from the zero address")
        balance = self.balances[owner]
        require(balance >= amount, "erc20: burn amount exceeds balance")
        self.balances[owner] = balance - amount
        self.supply[()] = self.supply[()] - amount
        self.emit("Transfer", owner, ZERO_ADDRESS, amount)

    def _set_allowance(self, owner: str, spender: str, amount: int) -> None:
        require(owner != ZERO_ADDRESS, "erc20: approve from the zero address")
        require(spender != ZERO_ADDRESS, "erc20: approve to the zero address")
        self.allowances[owner, spender] = amount
        self.emit("Approval", owner, spender, amount)

    def _spend_allowance(self, owner: str, spender: str, amount: int) -> None:
        allowance = self.allowances[owner, spender]
        if allowance < MAX_UINT256:
            require(allowance >= amount, "erc20: insufficient allowance")
            self._set_allowance(owner, spender, allowance - amount)

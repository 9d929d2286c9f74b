"""Addresses that follow from a name or from a creator, the same on every host."""

from __future__ import annotations

from functools import cache

from eth_hash.auto import keccak  # eth_utils has it too, and takes a quarter of a second to start


@cache
def derive_account(name: str) -> str:
    """Return the address of a named test account; no private key of it is known."""
    return "0x" + keccak(f"backstop: {name}".encode())[12:].hex()


@cache
def compute_contract_address(deployer: str, nonce: int) -> str:
    """Return the address of the contract that the deployer creates with this nonce."""
    # As RLP has it: a number below 128 is itself, but for 0; the bytes of others come after their count.
    raw = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    number = raw if 0 < nonce < 128 else bytes([128 + len(raw)]) + raw
    fields = bytes([128 + 20]) + bytes.fromhex(deployer[2:]) + number
    return "0x" + keccak(bytes([192 + len(fields)]) + fields)[12:].hex()

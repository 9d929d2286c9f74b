"""Ownership of margin accounts: an address and its sub-accounts; see contracts/modules/account_owner.vy."""

from __future__ import annotations

from backstop.contract_base import World


def is_own_or_subaccount(world: World, account: str, owner: str) -> bool:
    """Return True if the account is the owner's address, or has its first 19 bytes and no code."""
    return account == owner or (has_same_first_19_bytes(account, owner) and account not in world.addresses)


def has_same_first_19_bytes(address: str, other_address: str) -> bool:
    """Tell whether two accounts differ in the last byte at most."""
    return address[:-2] == other_address[:-2]


def derive_account(address: str, number: int) -> str:
    """Return one of the 256 accounts of an address; 0 is the address itself."""
    return f"{address[:-2]}{int(address[-2:], 16) ^ number:02x}"

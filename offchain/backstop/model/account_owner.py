"""Ownership of margin accounts: an address and its sub-accounts; see contracts/modules/account_owner.vy."""

from __future__ import annotations

from backstop.contract_base import World


def is_own_or_subaccount(world: World, account: str, owner: str) -> bool:
    """Return True if the account belongs to the owner's address: the address itself or a sub-account.

    A sub-account has the first 19 bytes of the owner's address and no contract code.
    """
    return account == owner or (has_same_first_19_bytes(account, owner) and account not in world.addresses)


def has_same_first_19_bytes(address: str, other_address: str) -> bool:
    """Return True if two addresses are equal in all but possibly their last byte."""
    return address[:-2] == other_address[:-2]


def derive_account(address: str, number: int) -> str:
    """Return the address of sub-account `number` (0 to 255); number 0 is the address itself.

    The last byte of the address is combined with the number by XOR.
    """
    return f"{address[:-2]}{int(address[-2:], 16) ^ number:02x}"
